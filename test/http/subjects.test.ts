/**
 * Subjects over HTTP: in what is streamed, what is published, what a request asks for, and what it may do.
 *
 * @module
 */
import * as fc from "fast-check";
import type { Context } from "hono";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { defineEvents, type MemoryChannel, type Permission } from "../../src/mod.ts";
import { createFilter } from "../../src/http/event_filter.ts";
import { makeChunk, select } from "../../src/stream/chunk.ts";
import { ndjson, serialize } from "../../src/stream/wire_format.ts";
import { makeEndpoint } from "../support/endpoint.ts";
import { linesOf, until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";

const test = suite("http: subjects");

const catalogue = defineEvents({
  order_placed: v.object({ id: v.string() }),
  note: v.object({ n: v.number() }),
  closed: null,
}, {
  subject: { order_placed: ({ id }) => `order/${id}` },
});
type Shop = MemoryChannel<typeof catalogue.schemas>;

/** The default options of the endpoints. */
const OPTIONS = { heartbeat: null, history: { events: 1000 } };

/** Publishes a note about each of these subjects, numbered by its position; `""` for none. */
function publish(channel: Shop, ...subjects: readonly string[]): void {
  for (const subject of subjects) {
    channel.publish("note", { n: channel.last + 1 }, { subject: subject === "" ? undefined : subject });
  }
}

/** Reads what is kept. */
async function numbersAt(endpoint: { request(path: string): Response | Promise<Response> }, query: string) {
  const response = await endpoint.request(`/?since=earliest&follow=false&${query}`);
  assert.is(response.status, 200, query);
  const events = await linesOf(response.body!).rest();
  return events.slice(1).map(({ event }) => event?.n);
}

test("GET /events writes the subject between type and event, in NDJSON and in SSE", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue, OPTIONS);
  channel.publish("order_placed", { id: "42" });
  channel.publish("closed", undefined, { subject: "shop" });
  const read = async (format: string) =>
    await (await endpoint.request(`/?since=earliest&follow=false&format=${format}`)).text();
  const dictionaries = channel.read(0, 1e6).entries.map(({ json }) => json);
  assert.ok(
    dictionaries[0]!.startsWith('{"type":"order_placed","subject":"order/42","event":{"id":"42"},"id":"'),
  );
  assert.ok(dictionaries[1]!.startsWith('{"type":"closed","subject":"shop","id":"'));
  assert.equal((await read("ndjson")).trim().split("\n").slice(1), dictionaries);
  const data = (await read("sse")).split("\n").filter((line) => line.startsWith("data: {")).slice(1);
  assert.equal(data, dictionaries.map((json) => `data: ${json}`));
});

test("?subject= selects exactly, by prefix and several, live and replayed, within ?types=", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue, OPTIONS);
  publish(channel, "order/1", "order/2", "", "order", "orders/1", "ü/😀");
  channel.publish("closed", undefined, { subject: "order/1" });
  const cases: [query: string, expected: (number | undefined)[]][] = [
    ["subject=order/1", [1, undefined, 8, undefined]],
    ["subject=order/*", [1, 2, undefined, 8, undefined]],
    ["subject=order*", [1, 2, 4, 5, undefined, 8, undefined]],
    ["subject=order/2&subject=orders/*", [2, 5]],
    ["subject=*", [1, 2, 4, 5, 6, undefined, 8, undefined]],
    ["subject=order/*&types=note", [1, 2, 8]],
    ["subject=order/1&types=closed", [undefined, undefined]],
    [`subject=${encodeURIComponent("ü/😀")}`, [6]],
    ["subject=Order/1", []],
    ["subject=order/1,order/2", []],
    ["subject=*/1", []],
  ];
  const open = await Promise.all(cases.map(async ([query]) => {
    const lines = linesOf((await endpoint.request(`/?since=earliest&${query}`)).body!);
    assert.is((await lines.event()).type, "events_start", "control events pass every filter");
    return lines;
  }));
  publish(channel, "order/1", "");
  channel.publish("closed", undefined, { subject: "order/1" });
  channel.close();
  for (const [index, [query, expected]] of cases.entries()) {
    assert.equal((await open[index]!.rest()).map(({ event }) => event?.n), expected, query);
  }
});

test("?subject= rejects what is no subject, with the text that was sent", async () => {
  const { endpoint } = makeEndpoint(catalogue, OPTIONS);
  for (const bad of ["", "a b", "a\n", "\t", "\0", "\u2028", "x".repeat(257)]) {
    for (
      const query of [`subject=${encodeURIComponent(bad)}`, `subject=a&subject=${encodeURIComponent(bad)}`]
    ) {
      const response = await endpoint.request(`/?${query}`);
      assert.is(response.status, 400, query);
      const { error } = await response.json();
      assert.is(error.code, "InvalidParameter");
      assert.ok(error.message.includes(JSON.stringify(bad.slice(0, 128))), error.message);
    }
  }
  assert.equal(await numbersAt(endpoint, `subject=${"x".repeat(256)}`), []);
});

test("?subject= reports the position that its stream has reached, and every loss exactly", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue, { ...OPTIONS, history: { events: 4 } });
  publish(channel, "order/1", "order/2", "order/1", "order/2", "order/2", "order/2");
  const response = await endpoint.request(
    `/?since=${channel.epoch}-0&subject=order/1&bookmarks=true&follow=false`,
  );
  const [start, lost, event, bookmark, ...rest] = await linesOf(response.body!).rest();
  assert.is(start!.id, `${channel.epoch}-0`);
  assert.equal([lost!.type, lost!.event], ["events_lost", { reason: "history_expired", count: 2 }]);
  assert.is(event!.id, `${channel.epoch}-3`);
  assert.equal([bookmark!.type, bookmark!.id, rest], ["events_bookmark", `${channel.epoch}-6`, []]);
  const again = await endpoint.request(`/?since=${event!.id}&subject=order/2&follow=false`);
  assert.equal((await linesOf(again.body!).rest()).slice(1).map(({ event }) => event.n), [4, 5, 6]);
  const last = await endpoint.request("/?last=2&subject=order/*&follow=false");
  assert.equal((await linesOf(last.body!).rest()).slice(1).map(({ event }) => event.n), [5, 6]);
});

test("?subject= delivers what a model selects, for any subjects and patterns", async () => {
  const subject = fc.string({ unit: fc.constantFrom("a", "b", "/"), minLength: 1, maxLength: 3 });
  const pattern = fc.tuple(subject, fc.constantFrom("", "*")).map((parts) => parts.join(""));
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(subject, fc.constant("")), { maxLength: 20 }),
      fc.array(pattern, { minLength: 1, maxLength: 3 }),
      async (subjects, patterns) => {
        const { channel, endpoint } = makeEndpoint(catalogue, OPTIONS);
        publish(channel, ...subjects);
        const expected = subjects.flatMap((subject, index) => {
          const isMatch = patterns.some((pattern) =>
            pattern.endsWith("*") ? subject.startsWith(pattern.slice(0, -1)) : subject === pattern
          );
          return subject !== "" && isMatch ? [index + 1] : [];
        });
        const query = patterns.map((pattern) => `subject=${encodeURIComponent(pattern)}`).join("&");
        assert.equal(await numbersAt(endpoint, query), expected);
      },
    ),
    { numRuns: 50 },
  );
});

test("streams that ask for the same subjects and types share what is selected of a chunk", () => {
  const { channel } = makeEndpoint(catalogue, OPTIONS);
  publish(channel, "a", "b", "a", "");
  const { entries } = channel.read(0, 1e6);
  const bytes = new TextEncoder().encode(serialize(ndjson, entries));
  const chunk = makeChunk(ndjson, { after: 0, last: 4 }, entries, bytes);
  const selected = (subjects: string[], allowed?: string[], types?: string[]) => {
    const wanted = { types: types && new Set(types), subjects };
    const filter = createFilter(
      { filter: undefined },
      {} as Context,
      wanted,
      allowed && { subjects: allowed },
    );
    return select(chunk, 0, Infinity, filter);
  };
  const first = selected(["a", "b*"]);
  assert.is(first.count, 3);
  assert.is(selected(["b*", "a"]), first, "in any order");
  assert.is(selected(["a"]).count, 2);
  assert.is.not(selected(["b"]).bytes.buffer, bytes.buffer, "a slow reader would hold the whole chunk");
  assert.is(
    select(chunk, 0, Infinity, { accepts: () => true }).bytes,
    bytes,
    "all of it is the chunk itself",
  );
  for (
    const other of [
      selected(["a"]),
      selected(["a", "b*"], ["a"]),
      selected(["a b*"]),
      selected(["a"], ["b*"]),
    ]
  ) {
    assert.is.not(other, first);
  }
  assert.is.not(selected(["a"], undefined, ["closed"]), selected(["a"]));
  assert.is(selected(["a"], undefined, ["closed"]).count, 0);
  assert.is(selected(["a", "b"], ["b"]), selected(["b", "a"], ["b"]));
});

/** Publishes a body. Returns the status, and the code and the issues of a rejection. */
async function post(
  endpoint: { request(path: string, init: RequestInit): Response | Promise<Response> },
  body: string,
  headers: Record<string, string> = {},
): Promise<unknown[]> {
  const response = await endpoint.request("/", {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body,
  });
  const { error } = await response.json() as {
    error?: { code: string; details?: { index: number; path: string }[] };
  };
  return [
    response.status,
    error?.code,
    ...(error?.details ?? []).map(({ index, path }) => `${index} ${path}`),
  ]
    .filter((part) => part !== undefined);
}

test("POST /events takes a subject as given where the catalogue derives none, and else the same", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue, OPTIONS);
  const bodies = [
    '{"type":"note","subject":"a/b","event":{"n":1}}',
    ' {"event":{"n":1},"subject":"a\\u002fb","type":"note"}',
    '[{"type":"closed","subject":"a/b"},{"type":"order_placed","event":{"id":"a"}}]',
    '{"type":"order_placed","subject":"order/a","event":{"id":"a"}}',
  ];
  for (const body of bodies) assert.equal(await post(endpoint, body), [202], body);
  const lines = '{"type":"note","subject":"a/b","event":{"n":1}}\n{"type":"closed","subject":"a/b"}';
  assert.equal(await post(endpoint, lines, { "Content-Type": "application/x-ndjson" }), [202]);
  const subjects = channel.read(0, 1e6).entries.map(({ subject }) => subject);
  assert.equal(subjects, ["a/b", "a/b", "a/b", "order/a", "order/a", "a/b", "a/b"]);
  const { entries: [first, second] } = channel.read(0, 1e6);
  assert.is(first!.json.replace(/"id".*/, ""), second!.json.replace(/"id".*/, ""));
});

test("POST /events rejects a subject that is none, or another one than the catalogue derives, with its place", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue, OPTIONS);
  const bad = ['""', '"a b"', '"\\n"', '"\\ud800"', "null", "42", '["a"]', `"${"x".repeat(257)}"`];
  for (const subject of bad) {
    const body = `{"type":"note","subject":${subject},"event":{"n":1}}`;
    assert.equal(await post(endpoint, body), [400, "InvalidEvent", "0 subject"], body);
  }
  const body =
    '[{"type":"closed","subject":" "},{"type":"order_placed","subject":"order/b","event":{"id":"a"}},' +
    '{"type":"note","subject":" ","event":{"n":"one"}},{"type":"closed","id":"x","subject":" "}]';
  const issues = ["0 subject", "1 subject", "2 event.n", "2 subject", "3 id", "3 subject"];
  assert.equal(await post(endpoint, body), [400, "InvalidEvent", ...issues]);
  assert.is(channel.last, 0);
});

/** An endpoint at which each user reads and publishes the subjects in a header. */
function authorized(): ReturnType<typeof makeEndpoint<typeof catalogue.schemas>> & {
  allow: Map<string, string[]>;
} {
  const allow = new Map<string, string[]>();
  const permissionOf = (c: Context): Permission<typeof catalogue.schemas> => {
    const subjects = allow.get(c.req.query("user") ?? c.req.header("X-User") ?? "");
    return subjects === undefined ? {} : { subjects };
  };
  return { ...makeEndpoint(catalogue, { ...OPTIONS, heartbeat: 0.2, authorize: permissionOf }), allow };
}

test("authorize() limits each reader to the subjects of its permission, within those it asked for", async () => {
  const { channel, endpoint, allow } = authorized();
  allow.set("ann", ["user/ann", "order/1*"]).set("nobody", []);
  publish(channel, "user/ann", "user/bob", "", "order/1", "order/12", "order/2");
  const cases: [query: string, expected: number[]][] = [
    ["", [1, 2, 3, 4, 5, 6]],
    ["user=ann", [1, 4, 5]],
    ["user=ann&subject=order/*", [4, 5]],
    ["user=ann&subject=user/bob&subject=user/ann", [1]],
    ["user=ann&subject=user/bob", []],
    ["user=ann&types=closed", []],
    ["user=nobody", []],
    ["user=nobody&subject=*", []],
    ["user=ann&last=2", [4, 5]],
  ];
  for (const [query, expected] of cases) {
    const since = query.includes("last=") ? "" : "since=earliest&";
    const response = await endpoint.request(`/?${since}follow=false&${query}`);
    const events = await linesOf(response.body!).rest();
    assert.equal(events.slice(1).map(({ event }) => event.n), expected, query);
  }
});

test("authorize() replaces the subjects of an open stream by those of its newest permission", async () => {
  const { channel, endpoint, allow } = authorized();
  allow.set("ann", ["a"]);
  const lines = linesOf((await endpoint.request("/?user=ann&since=earliest&subject=*")).body!);
  assert.is((await lines.event()).type, "events_start");
  publish(channel, "a", "b");
  assert.is((await lines.event()).event.n, 1);
  let asked = 0;
  const { get } = allow;
  allow.get = (user) => {
    asked++;
    return get.call(allow, user);
  };
  allow.set("ann", ["b"]);
  await until(() => asked >= 2, "it is asked again");
  publish(channel, "a", "b");
  assert.is((await lines.event()).event.n, 4);
  channel.close();
  assert.equal(await lines.rest(), []);
});

test("authorize() limits what a POST publishes to the subjects of its permission, all or nothing", async () => {
  const { channel, endpoint, allow } = authorized();
  allow.set("ann", ["order/1", "user/ann/*"]).set("nobody", []);
  const as = (user: string, body: unknown) => post(endpoint, JSON.stringify(body), { "X-User": user });
  const order = (id: string) => ({ type: "order_placed", event: { id } });
  assert.equal(await as("ann", order("1")), [202]);
  assert.equal(await as("ann", [order("1"), { type: "closed", subject: "user/ann/x" }]), [202]);
  assert.is(channel.last, 3);
  const forbidden = [
    order("2"),
    [order("1"), order("2")],
    { type: "closed" },
    { type: "closed", subject: "user/ann" },
    { type: "note", event: { n: 1 }, subject: "user/bob/x" },
  ];
  for (const body of forbidden) assert.equal(await as("ann", body), [403, "Forbidden"], JSON.stringify(body));
  assert.equal(await as("nobody", order("1")), [403, "Forbidden"]);
  assert.equal(await as("ann", { ...order("1"), subject: "order/2" }), [400, "InvalidEvent", "0 subject"]);
  assert.equal(await as("ann", { type: "order_placed", event: {} }), [400, "InvalidEvent", "0 event.id"]);
  assert.equal(await as("", order("2")), [202]);
  assert.is(channel.last, 4);
});

test("authorize() rejects every request and reports it when its subjects are none", async () => {
  for (const subjects of ["a", [1], [""], ["a b"], [["a"]], { a: true }, null]) {
    const errors: unknown[] = [];
    const { endpoint } = makeEndpoint(catalogue, {
      ...OPTIONS,
      authorize: () => ({ subjects }) as never,
      onError: (error) => void errors.push(error),
    });
    assert.is((await endpoint.request("/")).status, 401);
    assert.equal(await post(endpoint, '{"type":"closed"}'), [401, "Unauthorized"]);
    assert.match(
      String(errors[0]),
      /authorize: the answer must be true, false, or \{ filter, subjects, types, expiresAt, name, isFinal \}/,
    );
    assert.is(errors.length, 2);
  }
});

test.run();
