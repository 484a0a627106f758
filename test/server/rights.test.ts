import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { sign } from "hono/jwt";
import * as assert from "uvu/assert";
import { readAccess } from "../../src/cli/serve_access.ts";
import { readFlags, type Source } from "../../src/cli/serve_flags.ts";
import { UsageError } from "../../src/cli/usage.ts";
import { type AppOptions, createApp } from "../../src/server/app.ts";
import { readKeys } from "../../src/server/keys_file.ts";
import { createLog } from "../../src/server/log.ts";
import { createSession } from "../../src/tribler/mod.ts";
import { until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { withFolder } from "./server_process.ts";

const test = suite("rights");

const SECRET = "a secret of thirty-two characters";

type Request = (key: string | undefined, path?: string, init?: RequestInit) => Promise<Response>;

/** Makes the application of a server with these options. */
function serverWith(options: Partial<AppOptions>): Request {
  const app = createApp(createSession({ version: "7.1.5" }), { heartbeat: 5, ...options });
  return async (key, path = "/events?follow=false", init = {}) => {
    const headers = new Headers(init.headers);
    if (key !== undefined) headers.set("X-Api-Key", key);
    return await app.request(`http://localhost${path}`, { ...init, headers });
  };
}

async function statusOf(response: Promise<Response>): Promise<number> {
  const { status } = await response.then(async (one) => ({ status: one.status, text: await one.text() }));
  return status;
}

const started = {
  method: "POST",
  body: '{"type":"tribler_started"}',
  headers: { "Content-Type": "application/json" },
};

const accessOf = (args: string[], env: Source["env"] = {}) => readAccess(readFlags(args, env) as Source);

test("serve --read-key --publish-key gives each key its right, on every route", async () => {
  const { apiKey, credentials } = accessOf(["--read-key", "r1,r2", "--publish-key=p1", "--read-key=r3"]);
  assert.equal([apiKey, credentials?.readKeys], [undefined, ["r1", "r2", "r3"]]);
  const request = serverWith({ credentials });
  const rights = async (key: string | undefined) =>
    await Promise.all([
      statusOf(request(key)),
      statusOf(request(key, "/events", started)),
      statusOf(request(key, "/metrics")),
      statusOf(request(key, "/openapi.json")),
      statusOf(request(key, "/")),
      statusOf(request(key, "/healthz")),
    ]);
  assert.equal(await rights("r2"), [200, 403, 200, 200, 200, 200]);
  assert.equal(await rights("p1"), [403, 202, 403, 200, 200, 200]);
  assert.equal(await rights("p2"), [401, 401, 401, 401, 200, 200]);
  assert.equal(await rights(undefined), [401, 401, 401, 401, 200, 200]);
  const text = await (await request("r2", "/metrics")).text();
  assert.match(text, /^events_endpoint_authorized_requests_total\{key="read-key-2"\} 1$/m);
  assert.match(text, /^events_endpoint_authorized_requests_total\{key="publish-key"\} 1$/m);
  assert.match(text, /^events_endpoint_refusals_total\{code="Forbidden"\} 3$/m);
});

test("serve --jwt-secret lets tokens in, beside keys", async () => {
  const args = ["--api-key", "k1", "--jwt-audience", "hub"];
  const { apiKey, credentials } = accessOf(args, { EVENTS_JWT_SECRET: SECRET });
  const request = serverWith({ apiKey, credentials });
  const tokenOf = (claims: object) => sign({ aud: "hub", ...claims }, SECRET, "HS256");
  const reader = await tokenOf({ scope: "events:read", types: ["tribler_*"] });
  assert.is(await statusOf(request("k1", "/events", started)), 202);
  assert.is(
    await statusOf(request("k1", "/events", { ...started, body: '{"type":"upgrader_started"}' })),
    202,
  );
  const text = await (await request(reader, "/events?follow=false&since=earliest")).text();
  assert.equal(text.trim().split("\n").map((line) => JSON.parse(line).type), [
    "events_start",
    "tribler_started",
  ]);
  assert.is(await statusOf(request(reader, "/events", started)), 403);
  assert.is(await statusOf(request(await tokenOf({ scope: "events:read", aud: "other" }))), 401);
});

test("serve logs and counts the name of a key, and never the key", async () => {
  const lines: string[] = [];
  const hash = "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"; // Of "secret".
  const request = serverWith({
    log: createLog("text", (line) => lines.push(line)),
    credentials: { keys: [{ name: "dashboard", hash, rights: ["read"] }], readKeys: ["other-secret"] },
  });
  assert.is(await statusOf(request("secret")), 200);
  assert.is(await statusOf(request("other-secret")), 200);
  assert.is(await statusOf(request("wrong-secret")), 401);
  await until(() => lines.length === 3, "three lines");
  assert.match(lines.join("\n"), / stream ended .* key=dashboard /);
  assert.match(lines.join("\n"), / stream ended .* key=read-key /);
  const { text } = { text: await (await request("secret", "/metrics")).text() };
  for (const output of [lines.join("\n"), text]) assert.not.match(output, /secret/);
});

test("readKeys() reads names, hashes, rights and times, and names the place of a fault without the key", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "keys.json");
    const read = async (contents: unknown) => {
      await writeFile(file, typeof contents === "string" ? contents : JSON.stringify(contents));
      return await readKeys(file).catch((error: Error) => error.message.replace(file, "FILE"));
    };
    const key = { name: "dashboard", hash: `sha256:${"ab".repeat(32)}`, rights: ["read"] };
    const expiresAt = "2030-01-01T00:00:00Z";
    assert.equal(await read([{ ...key, types: ["order_*"], expiresAt }]), [
      { ...key, types: ["order_*"], expiresAt: new Date(expiresAt) },
    ]);
    const faults: readonly (readonly [contents: unknown, message: RegExp])[] = [
      ["[{]", /^the keys FILE:1:3: expected a key in "quotes"$/],
      [{}, /^the keys FILE: it must be an array of keys/],
      [
        [{ ...key, hash: "my-secret" }],
        /^the keys FILE: key\[0\]: hash must be sha256: and 64 hexadecimal digits$/,
      ],
      [[{ ...key, key: "my-secret" }], /^the keys FILE: key\[0\]: there is no option "key"/],
      [[key, key], /^the keys FILE: key\[1\]: another key has the name "dashboard"$/],
      [[{ ...key, expiresAt: "tomorrow" }], /^the keys FILE: key\[0\]: expiresAt must be a date/],
      [[{ name: "a" }], /^the keys FILE: key\[0\]: hash must be/],
    ];
    for (const [contents, message] of faults) {
      const fault = await read(contents);
      assert.type(fault, "string");
      assert.match(fault as string, message);
      assert.not.match(fault as string, /my-secret|\n/);
    }
    assert.match(
      String(await readKeys(`${file}.x`).catch((error) => error.message)),
      /there is no such file$/,
    );
  });
});

test("serve rejects empty keys and weak secrets, and shows none of them", () => {
  const reject = (args: string[], env: Source["env"], message: RegExp) => {
    assert.throws(
      () => accessOf(args, env),
      (error: unknown) =>
        error instanceof UsageError && message.test(error.message) && !/swordfish/.test(error.message),
    );
  };
  reject(["--read-key="], {}, /^--read-key must be visible ASCII characters without spaces$/);
  reject([], { EVENTS_PUBLISH_KEY: "" }, /^EVENTS_PUBLISH_KEY must be visible/);
  reject(["--read-key", "a,,b"], {}, /^--read-key must be visible/);
  reject(["--jwt-secret", "swordfish"], {}, /^--jwt-secret must have 32 characters or more: openssl rand/);
  reject([], { EVENTS_JWT_SECRET: "" }, /^EVENTS_JWT_SECRET must not be empty$/);
  reject(["--keys="], {}, /^--keys must not be empty$/);
  reject(["--jwks-url", "ftp://u:swordfish@h/"], {}, /^--jwks-url takes the address of a key set/);
  reject(["--jwt-issuer", "i"], {}, /^--jwt-issuer is a claim of tokens: add --jwt-secret or --jwks-url$/);
  assert.is(accessOf([]).credentials, undefined);
});

test("serve --cors-origin takes origins of every scheme, and pages may send headers of tracers", async () => {
  const origins = [
    "capacitor://localhost",
    "tauri://localhost",
    "chrome-extension://abcdefghijklmnop",
    "http://a.example:81",
  ];
  const { corsOrigins, corsHeaders } = accessOf([
    "--cors-origin",
    origins.join(),
    "--cors-header",
    "x-request-id",
  ]);
  assert.equal([corsOrigins, corsHeaders], [origins, ["x-request-id"]]);
  for (
    const origin of [
      "capacitor:",
      "HTTPS://a.example",
      "https://a.example/",
      "https://a.example:443",
      "null",
      "file:///a",
    ]
  ) {
    assert.throws(
      () => accessOf([`--cors-origin=${origin}`]),
      /takes an origin as a browser writes it/,
      origin,
    );
  }
  assert.throws(() => accessOf(["--cors-header", "x y"]), /takes the name of a header/);
  const request = serverWith({ corsOrigins, corsHeaders });
  for (const Origin of origins) {
    const asked = { "Origin": Origin, "Access-Control-Request-Method": "POST" };
    const preflight = await request(undefined, "/events", { method: "OPTIONS", headers: asked });
    const allowed = preflight.headers.get("Access-Control-Allow-Headers")?.toLowerCase().split(",") ?? [];
    for (const name of ["traceparent", "tracestate", "baggage", "x-api-key", "x-request-id"]) {
      assert.ok(allowed.includes(name), `${Origin}: ${name}`);
    }
    const headers = { ...started.headers, Origin, "Sec-Fetch-Site": "cross-site" };
    const response = await request(undefined, "/events", { ...started, headers });
    assert.equal([response.status, response.headers.get("Access-Control-Allow-Origin")], [202, Origin]);
  }
  const headers = { ...started.headers, "Origin": "capacitor://other", "Sec-Fetch-Site": "cross-site" };
  assert.is(await statusOf(request(undefined, "/events", { ...started, headers })), 403);
});

test.run();
