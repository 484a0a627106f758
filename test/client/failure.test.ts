/**
 * Failures that would be the same at every attempt end the connection with their code; and the time of attempts.
 *
 * @module
 */
import { build } from "esbuild";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import * as assert from "uvu/assert";
import { connect, type ConnectOptions, type EventsError, type Status } from "../../src/client/mod.ts";
import { makeCertificate } from "../support/certificate.ts";
import { within } from "../support/harness.ts";
import { line, NDJSON, type Reply, scripted, SSE, start, streams } from "../support/scripted.ts";
import { suite } from "../support/suite.ts";
import { inVirtualTime } from "../support/virtual_time.ts";
import { openResponse } from "./manual_fetch.ts";

const test = suite("client: failure");

/** How a connection ended: by an error, or by this test when it waited for another attempt. */
interface Course {
  readonly attempts: number;
  /** The error; or the cause of the wait. */
  readonly error: EventsError | undefined;
  readonly isRetried: boolean;
}

/** Runs a connection until it ends, or waits. */
async function courseOf(url: string, options: ConnectOptions = {}, open = connect): Promise<Course> {
  let attempts = 0;
  let cause: EventsError | undefined;
  const connection = open(url, {
    ...options,
    onStatus: (status: Status) => {
      if (status.type === "connecting") attempts++;
      if (status.type !== "waiting") return;
      cause = status.cause;
      void connection.return();
    },
  });
  const error = await within(connection.next(), "the end").then(() => undefined, (error) => error);
  assert.is(connection.status.type, "closed");
  return { attempts, error: error ?? cause, isRetried: error === undefined };
}

/** Returns a `fetch` that throws an error with these properties. */
function failing(message: string, properties: object): ConnectOptions {
  return { fetch: () => Promise.reject(Object.assign(new TypeError(message), properties)) };
}

/** The errors of the runtimes for a request whose failure another attempt would repeat. */
const PERMANENT: readonly [code: string, what: string, failure: ConnectOptions][] = [
  ...["CERT_HAS_EXPIRED", "ERR_TLS_CERT_ALTNAME_INVALID", "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "INVALID_CA"]
    .flatMap(
      (code): [string, string, ConnectOptions][] => [
        [
          "CertificateRejected",
          `${code} on Node`,
          failing("fetch failed", { cause: { code, message: "no" } }),
        ],
        [
          "CertificateRejected",
          `${code} on Bun`,
          failing(`${code} fetching "https://x/?key=secret"`, { code }),
        ],
      ],
    ),
  ...["Expired", "NotValidForName", "UnknownIssuer"].map((reason): [string, string, ConnectOptions] => {
    const message = "error sending request for url (https://x/?key=secret): client error (Connect): " +
      `invalid peer certificate: ${reason}`;
    return ["CertificateRejected", `${reason} on Deno`, failing(message, {})];
  }),
  ["InvalidParameter", "a port on Node", failing("fetch failed", { cause: new Error("bad port") })],
  ["InvalidParameter", "a port on Deno", failing("Fetch failed: Requests to port 6667 are blocked", {})],
  ["InvalidParameter", "a port in Chromium", failing("Failed to fetch", {})],
  ["InvalidParameter", "a port in Firefox", failing("NetworkError when attempting to fetch resource.", {})],
  ["InvalidParameter", "a port in Safari", failing("Load failed", {})],
];

for (const [code, what, failure] of PERMANENT) {
  test(`next() rejects with ${code} at the first attempt: ${what}`, async () => {
    const { error, isRetried, attempts } = await courseOf("https://127.0.0.1:6667/?key=secret", failure);
    assert.equal([error?.code, isRetried, attempts], [code, false, 1]);
    assert.match(error!.message, "https://127.0.0.1:6667/");
    assert.not.match(error!.message, "secret");
    assert.ok(error!.cause instanceof TypeError);
  });
}

test("connect() retries after a failure that is temporary, also on a port that other runtimes refuse", async () => {
  const failures: [string, ConnectOptions][] = [
    ["https://127.0.0.1:8085/", failing("Failed to fetch", {})],
    ["https://127.0.0.1/", failing("Load failed", {})],
    ["https://127.0.0.1:6667/", failing("fetch failed", { cause: { code: "ECONNREFUSED" } })],
    ["https://127.0.0.1:6667/", failing("Unable to connect.", { code: "ConnectionRefused" })],
    ["https://127.0.0.1:8085/", { fetch: () => Promise.reject(undefined) }],
  ];
  for (const [url, failure] of failures) {
    const { error, isRetried } = await courseOf(url, failure);
    assert.equal([error?.code, isRetried], ["ConnectionFailed", true]);
  }
});

test("next() rejects with CertificateRejected after a certificate that the runtime does not accept", async () => {
  let connections = 0;
  const server = createServer(await makeCertificate(), (_, response) => void response.end());
  server.on("connection", () => connections++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const { error, isRetried, attempts } = await courseOf(`https://127.0.0.1:${port}/events`);
    assert.equal([error?.code, isRetried, attempts], ["CertificateRejected", false, 1], String(error));
    assert.match(error!.message, `the certificate of https://127.0.0.1:${port}/events is not accepted: `);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

test("next() rejects with InvalidParameter for a port that fetch refuses", async () => {
  for (const port of [1, 6667]) {
    const url = `http://127.0.0.1:${port}/events`;
    const { error, isRetried } = await courseOf(url);
    // Bun, and Deno 2.2, refuse no port: no server is there.
    const refuses = await fetch(url).catch(({ message, cause }) =>
      /port/.test(`${message} ${cause?.message}`)
    );
    assert.equal(
      [error?.code, isRetried],
      refuses ? ["InvalidParameter", false] : ["ConnectionFailed", true],
    );
  }
  assert.ok(
    "Bun" in globalThis || (await courseOf("http://127.0.0.1:1/")).error?.code === "InvalidParameter",
  );
});

test("next() rejects with ModuleNotLoaded when the parser of a stream cannot be loaded", async () => {
  const root = fileURLToPath(new URL("../../", import.meta.url));
  const folder = await mkdtemp(join(tmpdir(), "events-endpoint-"));
  try {
    // As a bundler makes it, because Node 20 imports no TypeScript from outside of the repository.
    await build({
      absWorkingDir: root,
      entryPoints: ["src/client/mod.ts"],
      outdir: folder,
      outExtension: { ".js": ".mjs" },
      bundle: true,
      splitting: true,
      format: "esm",
      logLevel: "error",
    });
    for (const name of await readdir(folder)) if (name.startsWith("sse")) await rm(join(folder, name));
    const client = await import(pathToFileURL(join(folder, "mod.mjs")).href);
    const cases: [Reply, ConnectOptions<never, boolean>, requests: number][] = [
      [streams(SSE, `data: ${line("x", "b")}\n`), {}, 1],
      [streams(NDJSON, start("a")), { bigint: true }, 0],
    ];
    for (const [reply, options, expected] of cases) {
      await scripted([reply, reply], async ({ url, requests }) => {
        const { error, isRetried, attempts } = await courseOf(url, options as ConnectOptions, client.connect);
        assert.equal([error?.code, isRetried, attempts], ["ModuleNotLoaded", false, 1], String(error));
        assert.match(error!.message, /^cannot load the parser of this stream, a part of the client: .*sse/s);
        assert.is(requests.length, expected);
      });
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("connect() measures its waits and time-outs by a clock that does not jump with the time of day", async () => {
  const { now } = Date;
  await inVirtualTime(async (time) => {
    const delays: number[] = [];
    const moments: [status: string, seconds: number][] = [];
    let requests = 0;
    const connection = connect("http://localhost:8085/events", {
      idleTimeout: 10,
      reconnect: { min: 2, max: 60, jitter: false },
      fetch: () => {
        requests++;
        if (requests === 1) return Promise.reject(new TypeError("down"));
        if (requests === 2) return new Response(null, { status: 503, headers: { "Retry-After": "20" } });
        return openResponse(200, start("a"), line("x", "b")).response;
      },
      onStatus: (status) => {
        moments.push([status.type, time.now() / 1000]);
        if (status.type === "waiting") delays.push(status.delay);
      },
    });
    const events: string[] = [];
    const following = (async () => {
      for await (const { type } of connection) events.push(type);
    })();
    for (let second = 0; second < 50; second++) {
      const hours = second % 2 === 0 ? 5 : -5;
      Date.now = () => now() + hours * 3_600_000;
      // A time-out is two timers, one after the other: a leap of a second would delay it.
      for (let step = 0; step < 100; step++) await time.elapse(10);
    }
    await connection.return();
    await following;
    assert.equal(delays, [2, 24, 8]);
    assert.equal(moments.slice(0, 9), [
      ["connecting", 0],
      ["waiting", 0],
      ["connecting", 2],
      ["waiting", 2],
      ["connecting", 26],
      ["open", 26],
      ["lost", 36],
      ["waiting", 36],
      ["connecting", 44],
    ]);
    assert.equal(events, ["x", "x"]);
  }).finally(() => Date.now = now);
});

test.run();
