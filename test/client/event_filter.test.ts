/**
 * Which of the received events are yielded.
 *
 * @module
 */
import * as assert from "uvu/assert";
import * as v from "valibot";
import { connect, type Dictionary } from "../../src/client/mod.ts";
import { createChannel, defineEvents, eventsEndpoint } from "../../src/mod.ts";
import { until } from "../support/harness.ts";
import { line, NDJSON, scripted, start, streams } from "../support/scripted.ts";
import { suite } from "../support/suite.ts";
import { errorOf, shop, take, typesOf } from "./reading.ts";

const test = suite("client: event filter");

test("types is sent to the server, and applied when the server ignores it", async () => {
  const all = start("a") + line("torrent_error", "b") + line("market_ask", "c") + line("tick", "d") +
    line("events_lost", "e", { reason: "slow_consumer", count: 1 }) + line("market_bid", "f");
  await scripted([streams(NDJSON, all)], async ({ url, requests }) => {
    const connection = connect(`${url}?key=k`, { types: ["torrent_*", "market_bid"] });
    assert.equal(typesOf(await take(connection, 3)), ["torrent_error", "events_lost", "market_bid"]);
    await connection.return();
    assert.equal(Object.fromEntries(requests[0]!.query), {
      key: "k",
      types: "torrent_*,market_bid",
      bookmarks: "true",
    });
  });
});

test("subjects is sent to the server, and applied when the server ignores it", async () => {
  const about = (subject: string, id: string) =>
    JSON.stringify({ type: "tick", subject, event: { n: 1 }, id }) + "\n";
  const all = start("a") + about("order/1", "b") + line("tick", "c") + about("order/2", "d") +
    line("events_lost", "e", { reason: "slow_consumer", count: 1 }) + about("user/ann", "f");
  await scripted([streams(NDJSON, all)], async ({ url, requests }) => {
    const connection = connect(`${url}?subject=other`, { subjects: ["order/1", "user/*"] });
    const events = await take(connection, 3);
    assert.equal(events.map(({ subject, type }) => subject ?? type), ["order/1", "events_lost", "user/ann"]);
    await connection.return();
    assert.equal(requests[0]!.query.getAll("subject"), ["order/1", "user/*"]);
    assert.is(requests[0]!.query.get("bookmarks"), "true");
  });
  assert.throws(
    () => connect("http://localhost/", { subjects: ["a b"] }),
    /subjects must be 1 to 256 characters.*"a b"/,
  );
  assert.throws(
    () => connect("http://localhost/", { subjects: "a" } as never),
    /subjects must be an array of strings/,
  );
});

test("subjects yields what a server in the dialect of Tribler 8 has chosen, which has no subjects there", async () => {
  const channel = createChannel(defineEvents({ tick: v.object({ n: v.number() }) }));
  for (const [n, subject] of ["order/1", "order/2", "order/1"].entries()) {
    channel.publish("tick", { n }, { subject });
  }
  const endpoint = eventsEndpoint(channel, { dialect: "8" });
  const fetch: typeof globalThis.fetch = async (url, init) =>
    await endpoint.request(`/${new URL(`${url}`).search}`, init);
  const connection = connect("http://localhost/", { subjects: ["order/1"], since: "earliest", fetch });
  const events = await take(connection, 2);
  assert.equal(events.map(({ event }) => event), [{ n: 0 }, { n: 2 }]);
  await connection.return();
});

test("onUnknown() receives events of types that the catalogue does not have; by default a warning is printed", async () => {
  const text = start("a") + line("new", "b") + line("new", "c") + line("toString", "d") + line("closed", "e");
  await scripted([streams(NDJSON, text), streams(NDJSON, text)], async ({ url }) => {
    const unknown: Dictionary[] = [];
    const connection = connect(url, { catalogue: shop, onUnknown: (event) => unknown.push(event) });
    assert.equal(typesOf(await take(connection, 1)), ["closed"]);
    assert.equal(typesOf(unknown), ["new", "new", "toString"]);
    await connection.return();

    const { warn } = console;
    const warnings: string[] = [];
    console.warn = (text: string) => warnings.push(text);
    try {
      const quiet = connect(url, { catalogue: shop });
      await take(quiet, 1);
      await quiet.return();
    } finally {
      console.warn = warn;
    }
    assert.is(warnings.length, 2, "once for each type");
    assert.match(warnings[0]!, /"new".*not in the catalogue/);
  });
});

test("connect() warns of 100 unknown types, and the last warning says that it is the last", async () => {
  const text = start("a") + Array.from({ length: 150 }, (_, i) => line(`new_${i}`)).join("") + line("closed");
  const { warn } = console;
  const warnings: string[] = [];
  console.warn = (text: string) => warnings.push(text);
  try {
    await scripted([streams(NDJSON, text)], async ({ url }) => {
      const connection = connect(url, { catalogue: shop });
      assert.equal(typesOf(await take(connection, 1)), ["closed"]);
      await connection.return();
    });
  } finally {
    console.warn = warn;
  }
  assert.is(warnings.length, 100);
  assert.equal(warnings.filter((text) => text.includes("without a warning")), warnings.slice(-1));
});

test("onInvalid() receives events that do not fit the catalogue; by default next() rejects with the issues", async () => {
  const text = start("a") + line("closed", "b") + line("placed", "c", { n: "?" }) +
    line("placed", "d", { n: 2 });
  const replies = [streams(NDJSON, text), streams(NDJSON, text)];
  await scripted(replies, async ({ url, open }) => {
    const strict = connect(url, { catalogue: shop });
    await take(strict, 1);
    const error = await errorOf(strict.next());
    assert.is(error.code, "InvalidEvent");
    assert.is(error.issues[0]?.path, "event.n");
    assert.equal(error.event, { type: "placed", event: { n: "?" }, id: "c" });
    assert.match(error.message, /"placed": event\.n: /);
    assert.is(strict.lastId, "b");
    await until(() => open() === 0, "its socket is closed");

    const invalid: unknown[] = [];
    const lenient = connect(url, {
      catalogue: shop,
      onInvalid: (event, issues) => invalid.push([event.id, issues.length]),
    });
    assert.equal((await take(lenient, 2)).map(({ id }) => id), ["b", "d"]);
    assert.equal(invalid, [["c", 1]]);
    await lenient.return();
  });
});

test.run();
