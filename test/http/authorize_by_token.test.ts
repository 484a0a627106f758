import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Hono } from "hono";
import { sign } from "hono/jwt";
import * as assert from "uvu/assert";
import * as v from "valibot";
import {
  type AccessKey,
  authorizeByToken,
  createChannel,
  type CredentialsOptions,
  defineEvents,
  type EndpointOptions,
  eventsEndpoint,
  type MemoryChannel,
  type StreamEnd,
} from "../../src/mod.ts";
import { until, within } from "../support/harness.ts";
import { suite } from "../support/suite.ts";

const test = suite("authorizeByToken");

const events = defineEvents({ order_placed: v.object({ id: v.string() }), shop_closed: null });
const SECRET = "a secret of thirty-two characters";

interface Shop {
  readonly channel: MemoryChannel<typeof events.schemas>;
  readonly endpoint: ReturnType<typeof eventsEndpoint>;
  readonly request: (token: string | undefined, init?: RequestInit, query?: string) => Promise<Response>;
}

function shopWith(
  options: CredentialsOptions,
  more: EndpointOptions<typeof events.schemas> = {},
): Shop {
  const channel = createChannel(events);
  const authorize = authorizeByToken(options);
  const endpoint = eventsEndpoint(channel, { authorize, ...more });
  const app = new Hono().route("/events", endpoint);
  const request = async (
    token: string | undefined,
    init: RequestInit = {},
    query = "?follow=false&since=earliest",
  ) => {
    const headers = {
      "Content-Type": "application/json",
      ...(token !== undefined && { Authorization: `Bearer ${token}` }),
    };
    return await app.request(`http://localhost/events${query}`, { ...init, headers });
  };
  return { channel, endpoint: endpoint as unknown as Shop["endpoint"], request };
}

function placed(id: string, subject?: string): RequestInit {
  return { method: "POST", body: JSON.stringify({ type: "order_placed", subject, event: { id } }) };
}

/** The status of a response, and what it says. */
async function answerOf(response: Response | Promise<Response>): Promise<[status: number, message: string]> {
  const answer = await response;
  const text = await answer.text();
  return [answer.status, answer.ok ? "" : JSON.parse(text).error.message];
}

async function hashOf(key: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key)));
  return `sha256:${[...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

const now = () => Math.floor(Date.now() / 1000);
const tokenOf = (claims: object, secret = SECRET) => sign({ exp: now() + 60, ...claims }, secret, "HS256");

test("authorizeByToken() lets a key read, publish, or both, and answers with 403 without the right", async () => {
  const { request } = shopWith({ apiKeys: ["both"], readKeys: ["r-1", "r-2"], publishKeys: ["p-1"] });
  assert.equal(await answerOf(request("both", placed("1"))), [202, ""]);
  assert.equal(await answerOf(request("p-1", placed("2"))), [202, ""]);
  for (const key of ["both", "r-1", "r-2"]) assert.is((await answerOf(request(key)))[0], 200, key);
  assert.equal(await answerOf(request("r-2", placed("3"))), [
    403,
    "the key read-key-2 has no right to publish: it may read alone",
  ]);
  assert.equal(await answerOf(request("p-1")), [
    403,
    "the key publish-key has no right to read: it may publish alone",
  ]);
  for (const key of [undefined, "", "r-3", "r-"]) {
    const [status, message] = await answerOf(request(key));
    assert.is(status, 401);
    assert.match(message, /^the API key is missing or wrong: send it as X-Api-Key/);
  }
});

test("authorizeByToken() takes scopes, types and subjects from a JSON Web Token", async () => {
  const { request } = shopWith({ jwtSecret: SECRET });
  const publisher = await tokenOf({ scope: "events:publish", subjects: ["order/*"] });
  assert.equal(await answerOf(request(publisher, placed("1", "order/1"))), [202, ""]);
  assert.is((await answerOf(request(publisher, placed("1", "shop/1"))))[0], 403);
  assert.equal(await answerOf(request(publisher)), [
    403,
    "the token has no scope events:read: it may publish alone",
  ]);
  const both = "events:read other events:publish";
  const closer = await tokenOf({ scope: both, types: ["shop_*"] });
  const closed = { method: "POST", body: '{"type":"shop_closed"}' };
  assert.equal(await answerOf(request(closer, closed)), [202, ""]);
  assert.equal(await answerOf(request(closer, placed("2"))), [
    403,
    'event 0: these credentials do not allow to publish events of the type "order_placed"',
  ]);
  const typesOf = async (claims: object, query?: string) => {
    const text = await (await request(await tokenOf({ scope: both, ...claims }), {}, query)).text();
    return text.trim().split("\n").slice(1).map((line) => JSON.parse(line).type);
  };
  assert.equal(await typesOf({}), ["order_placed", "shop_closed"]);
  assert.equal(await typesOf({ types: ["shop_*"] }), ["shop_closed"]);
  assert.equal(await typesOf({ types: "order_placed" }), ["order_placed"]);
  assert.equal(await typesOf({ subjects: ["order/1"] }), ["order_placed"]);
  assert.equal(await typesOf({ types: [] }), []);
  assert.equal(await answerOf(request(await tokenOf({}))), [403, "the token has no scope events:read"]);
  for (const claims of [{ types: { all: true } }, { subjects: null }, { scope: 7 }, { types: [1] }]) {
    const [status, message] = await answerOf(request(await tokenOf({ scope: both, ...claims })));
    assert.is(status, 401, JSON.stringify(claims));
    assert.match(message, /^the token is not accepted: its (types|subjects|scope) /);
  }
});

test("authorizeByToken() rejects a token of another secret, issuer or audience, or outside its time", async () => {
  const scope = "events:read";
  const { request } = shopWith({
    jwtSecret: SECRET,
    jwtIssuer: "https://id.example",
    jwtAudience: ["hub", "shop"],
  });
  const good = { scope, iss: "https://id.example", aud: ["other", "hub"] };
  const statuses: readonly (readonly [claims: object, reason: string])[] = [
    [{}, ""],
    [{ exp: now() - 2, nbf: now() + 2 }, ""], // Within the leeway.
    [{ exp: now() - 30 }, "it has expired"],
    [{ nbf: now() + 30 }, "it is not valid yet"],
    [{ exp: "tomorrow" }, "its exp is no number of seconds"],
    [{ iss: "https://other.example" }, "it is of another issuer"],
    [{ iss: undefined }, "it is of another issuer"],
    [{ aud: "another" }, "it is for another audience"],
    [{ aud: undefined }, "it names no audience"],
  ];
  for (const [claims, reason] of statuses) {
    const token = await tokenOf({ ...good, ...claims });
    const [status, message] = await answerOf(request(token));
    const expected = reason === "" ? [200, ""] : [401, `the token is not accepted: ${reason}`];
    assert.equal([status, message], expected, JSON.stringify(claims));
  }
  const token = await tokenOf(good);
  const [head, body, signature] = token.split(".");
  const encode = (value: object) => btoa(JSON.stringify(value)).replaceAll("=", "");
  const forged = [
    await tokenOf(good, "another secret of 32 characters!"),
    `${head}.${encode({ ...good, exp: now() + 99 })}.${signature}`,
    `${encode({ alg: "none" })}.${body}.${signature}`,
    `${encode({ alg: "RS256" })}.${body}.${signature}`,
    `${head}.${body}.${signature!.slice(0, -3)}`,
  ];
  for (const one of forged) {
    const [status, message] = await answerOf(request(one));
    assert.is(status, 401);
    assert.not.match(message, new RegExp(body!), "no part of the token");
  }
});

test("authorizeByToken() ends a stream on a whole line when its token does", async () => {
  const ends: StreamEnd[] = [];
  const { request, channel, endpoint } = shopWith({ jwtSecret: SECRET, leeway: 0 }, {
    heartbeat: 1,
    onStreamEnd: (end) => ends.push(end),
  });
  const token = await tokenOf({ scope: "events:read", exp: now() + 2 });
  const response = await request(token, {}, "");
  channel.publish("order_placed", { id: "1" });
  const text = await within(response.text(), "the end of the stream", 10_000);
  assert.match(text, /"order_placed".*\}\n+$/);
  await until(() => ends.length === 1, "the end is reported");
  assert.equal([ends[0]!.reason, ends[0]!.name], ["unauthorized", "jwt"]);
  assert.equal(endpoint.stats().authorized, { jwt: 1 });
  assert.is((await answerOf(request(token)))[0], 401);
});

test("authorizeByToken() follows named keys that are added, limited and removed", async () => {
  let keys: readonly AccessKey[] = [{ name: "dashboard", hash: await hashOf("d-1"), rights: ["read"] }];
  const { request, endpoint } = shopWith({ keys: () => keys }, { heartbeat: 0.2 });
  const stream = await request("d-1", {}, "");
  assert.is(stream.status, 200);
  assert.equal(await answerOf(request("d-1", placed("1"))), [
    403,
    "the key dashboard has no right to publish: it may read alone",
  ]);
  const hash = await hashOf("s-1");
  keys = [{ name: "shop", hash, rights: ["publish"], types: ["shop_*"] }];
  const text = await within(stream.text(), "the end of the stream of the removed key", 10_000);
  assert.ok(text.endsWith("\n"));
  assert.is((await answerOf(request("d-1")))[0], 401);
  assert.is((await answerOf(request("s-1", placed("1"))))[0], 403);
  keys = [{ name: "shop", hash, rights: ["publish", "read"], expiresAt: new Date(Date.now() - 1) }];
  assert.is((await answerOf(request("s-1")))[0], 401);
  assert.equal(Object.keys(endpoint.stats().authorized), ["dashboard", "shop"]);
});

test("authorizeByToken() verifies tokens with the public keys of an authority, and finds new ones", async () => {
  const generate = async (kid: string) => {
    const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
      "sign",
      "verify",
    ]);
    const { privateKey, publicKey } = pair as CryptoKeyPair;
    const [own, shared] = await Promise.all([
      crypto.subtle.exportKey("jwk", privateKey),
      crypto.subtle.exportKey("jwk", publicKey),
    ]);
    return { own: { ...own, kid, alg: "ES256" }, shared: { ...shared, kid, alg: "ES256" } };
  };
  const first = await generate("2026-1");
  let isUp = true;
  let asked = 0;
  const server = createServer((_, response) => {
    asked++;
    response.statusCode = isUp ? 200 : 500;
    response.end(
      JSON.stringify({ keys: [first.shared, { kty: "oct", k: "AAAA", kid: "oct", alg: "HS256" }] }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
    const { request } = shopWith({ jwksUrl });
    const signed = (key: object) =>
      sign({ scope: "events:read", exp: now() + 60 }, key as Parameters<typeof sign>[1], "ES256");
    const token = await signed(first.own);
    assert.equal(await Promise.all([token, token].map(async (one) => (await answerOf(request(one)))[0])), [
      200,
      200,
    ]);
    assert.is(asked, 1);
    const [status, message] = await answerOf(request(await signed((await generate("2026-2")).own)));
    assert.equal([status, message], [401, "the token is not accepted: no key of the server fits it"]);
    // A token that is signed with the public key as if that were a secret.
    const confused = await sign({ scope: "events:read" }, JSON.stringify(first.shared), "HS256");
    assert.is((await answerOf(request(confused)))[0], 401);
    isUp = false;
    const late = shopWith({ jwksUrl });
    const [code] = await answerOf(late.request(token));
    assert.is(code, 503);
    assert.is((await answerOf(request(token)))[0], 200, "keys that were fetched before stay good");
  } finally {
    server.close();
  }
});

test("authorizeByToken() rejects mistaken options at once, and shows no key", () => {
  const hash = `sha256:${"0".repeat(64)}`;
  const mistakes: readonly (readonly [options: object, message: RegExp])[] = [
    [{}, /no request could be authorized/],
    [{ readKeys: [] }, /no request could be authorized/],
    [{ readKeys: [""] }, /readKeys must be an array of keys that are not empty/],
    [{ apiKeys: "secret-key" }, /apiKeys must be an array of keys that are not empty$/],
    [{ jwtSecret: "" }, /jwtSecret must be a string that is not empty/],
    [{ readkeys: ["secret-key"] }, /there is no option "readkeys": did you mean readKeys\?/],
    [{ jwksUrl: "file:///keys" }, /jwksUrl must be the address of a key set/],
    [{ keys: [{ name: "a b", hash, rights: ["read"] }] }, /keys\[0\]: name must be 1 to 64/],
    [
      { keys: [{ name: "a", hash: "secret-key", rights: ["read"] }] },
      /keys\[0\]: hash must be sha256: and 64/,
    ],
    [
      { keys: [{ name: "a", hash, rights: [] }] },
      /keys\[0\]: rights must be an array of "read" and "publish"/,
    ],
    [{ keys: [{ name: "a", hash, rights: ["read"], type: [] }] }, /there is no option "type"/],
    [
      { keys: [1, 2].map(() => ({ name: "a", hash, rights: ["read"] })) },
      /keys\[1\]: another key has the name "a"/,
    ],
  ];
  for (const [options, message] of mistakes) {
    let error: unknown;
    try {
      authorizeByToken(options);
    } catch (thrown) {
      error = thrown;
    }
    assert.instance(error, TypeError, JSON.stringify(options));
    assert.match((error as Error).message, message);
    assert.not.match((error as Error).message, /secret-key/);
  }
});

test("authorize reports an expiresAt in seconds, with the unit that it needs", async () => {
  const errors: unknown[] = [];
  const channel = createChannel(events);
  const endpoint = eventsEndpoint(channel, {
    authorize: () => ({ expiresAt: now() + 60 }),
    onError: (error) => errors.push(error),
  });
  assert.is((await answerOf(endpoint.request("/")))[0], 401);
  assert.match(
    String(errors[0]),
    /expiresAt is \d+, which can only be seconds: it takes milliseconds since 1970/,
  );
  const fine = eventsEndpoint(channel, { authorize: () => ({ expiresAt: new Date(Date.now() + 60_000) }) });
  assert.is((await answerOf(fine.request("/?follow=false")))[0], 200);
  // One that has ended is no mistake.
  const ended = eventsEndpoint(channel, {
    authorize: () => ({ expiresAt: 5 }),
    onError: (error) => errors.push(error),
  });
  assert.is((await answerOf(ended.request("/")))[0], 401);
  assert.is(errors.length, 1);
});

test("authorize is asked once for a stream whose permission is final", async () => {
  const asked = { final: 0, other: 0 };
  const endpoint = eventsEndpoint(createChannel(events), {
    heartbeat: 0.1,
    authorize: (c) => {
      const isFinal = c.req.query("final") === "true";
      asked[isFinal ? "final" : "other"]++;
      return { isFinal, expiresAt: Date.now() + 60_000 };
    },
  });
  const streams = await Promise.all([endpoint.request("/?final=true"), endpoint.request("/?final=false")]);
  await until(() => asked.other > 3, "the other one is asked again");
  assert.is(asked.final, 1);
  await Promise.all(streams.map((stream) => stream.body?.cancel()));
});

test("a permission without types shares no events with one that allows none", async () => {
  const channel = createChannel(events);
  const limits: Readonly<Record<string, object>> = {
    none: { types: [] },
    nothing: { subjects: [] },
    all: {},
  };
  const endpoint = eventsEndpoint(channel, {
    authorize: (c) => limits[c.req.query("as")!] as { types?: string[] },
  });
  channel.publish("shop_closed");
  const linesOf = async (as: string) => {
    const response = await endpoint.request(`/?as=${as}&types=shop_*&since=earliest&follow=false`);
    return (await response.text()).trim().split("\n").length;
  };
  // In this order: what is selected for one may be reused for the next.
  assert.equal([await linesOf("all"), await linesOf("none"), await linesOf("nothing")], [2, 1, 1]);
  assert.equal(await Promise.all(["all", "none", "nothing", "all"].map(linesOf)), [2, 1, 1, 2]);
});

test.run();
