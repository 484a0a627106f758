import { Hono } from "hono";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { type EventsEndpoint, eventsEndpoint, EventsError } from "../../src/mod.ts";
import {
  type ChannelResult,
  createSession,
  type Session,
  type SessionOptions,
  type TorrentResult,
  triblerEvents,
} from "../../src/tribler/mod.ts";
import { type Dictionary, type Lines, openLines, serving, until } from "../support/harness.ts";
import { triblerPayloads } from "../support/tribler_payloads.ts";

const test = suite("session");

/** A session behind an endpoint behind a server. */
interface Served {
  readonly session: Session;
  readonly endpoint: EventsEndpoint;
  readonly url: string;
  /** Opens a stream; the query may say from where. */
  open(query?: string): Promise<Lines>;
  /** Leaves a stream, and waits until the server knows. */
  leave(stream: Lines): Promise<void>;
}

/** Serves a session while `use` runs; leaves what streams are still open after it. */
async function served(
  use: (served: Served) => Promise<void>,
  options: Partial<SessionOptions> = {},
): Promise<void> {
  const session = createSession({ version: "7.1.5", ...options });
  // No heartbeat within any wait: each would let it begin anew.
  const endpoint = eventsEndpoint(session, { heartbeat: 60 });
  const app = new Hono().route("/events", endpoint);
  await serving(app, async (base) => {
    const url = `${base}/events`;
    const streams = new Set<Lines>();
    const open = async (query = "") => {
      const stream = await openLines(url + query);
      streams.add(stream);
      return stream;
    };
    const leave = async (stream: Lines) => {
      const { subscribers } = endpoint.stats();
      streams.delete(stream);
      await stream.close();
      await until(
        () => endpoint.stats().subscribers < subscribers,
        "the server knows that a client has left",
      );
    };
    try {
      await use({ session, endpoint, url, open, leave });
    } finally {
      for (const stream of streams) await stream.close();
      await until(() => endpoint.stats().subscribers === 0, "all streams are over");
    }
  });
}

/** Everything the channel has kept, parsed. */
function kept({ channel }: Session): Dictionary[] {
  return channel.read(channel.first - 1, Infinity).entries.map((entry) => channel.parse(entry) as Dictionary);
}

function texts(events: readonly Dictionary[]): string[] {
  return events.filter(({ type }) => type === "tribler_exception").map(({ event }) => event.text);
}

/** The search result of another torrent: the same payload with another infohash. */
function torrentResult(digit: string, changes: Partial<TorrentResult["result"]> = {}): TorrentResult {
  const { query, result } = triblerPayloads.search_result_torrent;
  return { query, result: { ...result, infohash: digit.repeat(40), ...changes } };
}

function channelResult(digit: string): ChannelResult {
  const { query, result } = triblerPayloads.search_result_channel;
  return { query, result: { ...result, dispersy_cid: digit.repeat(40) } };
}

test("emit() delivers every event of the catalogue as it was published", () =>
  served(async ({ session, open }) => {
    const stream = await open();
    const start = await stream.event();
    assert.is(start.type, "events_start");
    const published = triblerEvents.types.map((type) => {
      const payload = triblerPayloads[type as keyof typeof triblerPayloads];
      const id = session.emit(
        type as "tribler_exception",
        payload as typeof triblerPayloads.tribler_exception,
      );
      return { type, payload, id };
    });
    assert.is(published.length, 25);
    const events = await stream.events(published.length);
    for (const [index, { type, payload, id }] of published.entries()) {
      const event = events[index]!;
      assert.equal([event.type, event.event, event.id], [type, payload, id]);
      const { infohash, result = { infohash } } = (payload ?? {}) as {
        infohash?: string;
        result?: { infohash?: string };
      };
      assert.is(event.subject, result.infohash);
      const keys = ["type", event.subject && "subject", payload && "event", "id", "time"].filter(Boolean);
      assert.equal(Object.keys(event), keys);
    }
    assert.equal(kept(session), events);
  }));

test("emit() rejects an event that does not fit, and publishes nothing", () => {
  const session = createSession({ version: "7.1.5" });
  const refused = [
    () => session.emit("torrent_finished", { infohash: "AB".repeat(20), name: "x" }),
    () => session.emit("upgrader_tick", {} as never),
    () => session.emit("upgrader_started", {} as never),
    () => session.emit("events_start" as never, triblerPayloads.events_start as never),
    () => session.emit("no_such_event" as never, {} as never),
  ];
  for (const emit of refused) {
    assert.throws(emit, (error: unknown) => error instanceof EventsError && error.code === "InvalidEvent");
  }
  assert.is(session.channel.last, 0);
});

test("events_start reports the version, and from start() on that Tribler has started", () =>
  served(async ({ session, open }) => {
    assert.is(session.version, "7.1.5-test");
    assert.is(session.started, false);
    const before = await open();
    assert.equal((await before.event()).event, {
      tribler_started: false,
      version: "7.1.5-test",
      heartbeat: 60,
    });
    session.start();
    assert.is(session.started, true);
    assert.is((await before.event()).type, "tribler_started");
    const after = await open();
    assert.equal((await after.event()).event, {
      tribler_started: true,
      version: "7.1.5-test",
      heartbeat: 60,
    });
  }, { version: "7.1.5-test" }));

test("start() publishes tribler_started once when it is called twice", () =>
  served(async ({ session, open }) => {
    const stream = await open("?since=earliest");
    await stream.event();
    session.start();
    session.start();
    session.emit("upgrader_tick", { text: "after" });
    session.start();
    assert.equal((await stream.events(2)).map(({ type }) => type), ["tribler_started", "upgrader_tick"]);
    assert.is(session.channel.last, 2);
  }));

test("GET /events begins with events_start, which no history keeps", () =>
  served(async ({ session, open }) => {
    session.start();
    session.emit("torrent_finished", triblerPayloads.torrent_finished);
    for (const query of ["", "?since=earliest", `?since=${session.channel.epoch}-1`]) {
      const stream = await open(query);
      assert.is((await stream.event()).type, "events_start");
    }
    assert.equal(kept(session).map(({ type }) => type), ["tribler_started", "torrent_finished"]);
  }));

test("exception() keeps an error for the next client while no client is connected, and publishes it once", () =>
  served(async ({ session, open, leave }) => {
    session.start();
    session.exception(new Error("the disk is full"));
    assert.is(session.channel.last, 1, "it is not published before a client is connected");
    const first = await open();
    const [start, exception] = await first.events(2);
    assert.is(start!.type, "events_start");
    assert.is(exception!.type, "tribler_exception");
    assert.match(exception!.event.text, "the disk is full");

    const second = await open();
    session.emit("upgrader_tick", { text: "next" });
    assert.equal((await second.events(2)).map(({ type }) => type), ["events_start", "upgrader_tick"]);
    assert.is((await first.event()).type, "upgrader_tick");
    await leave(first);
    await leave(second);

    const third = await open();
    session.emit("upgrader_tick", { text: "last" });
    assert.equal((await third.events(2)).map(({ type }) => type), ["events_start", "upgrader_tick"]);
    assert.is(texts(kept(session)).length, 1);
  }));

test("exception() is delivered after events_start, and after what a resuming client had missed", () =>
  served(async ({ session, open }) => {
    const id = session.emit("upgrader_tick", { text: "1" });
    session.emit("upgrader_tick", { text: "2" });
    session.exception("unheard");
    const stream = await open(`?since=${id}`);
    const [start, missed, exception] = await stream.events(3);
    assert.is(start!.id, id);
    assert.equal([start!.type, missed!.event, exception!.event], [
      "events_start",
      { text: "2" },
      { text: "unheard" },
    ]);
    session.emit("upgrader_tick", { text: "3" });
    assert.equal((await stream.event()).event, { text: "3" });
    const other = await open("?since=earliest");
    assert.equal((await other.events(5)).map(({ event }) => event.text), [
      undefined,
      "1",
      "2",
      "unheard",
      "3",
    ]);
  }));

test("exception() keeps the first of several errors while no client is connected, the others in history alone", () =>
  served(async ({ session, open, leave }) => {
    for (const text of ["first", "second", "third"]) session.exception(text);
    assert.equal(texts(kept(session)), ["second", "third"]);
    const stream = await open();
    assert.equal(texts(await stream.events(2)), ["first"]);
    session.emit("upgrader_tick", { text: "next" });
    assert.is((await stream.event()).type, "upgrader_tick");
    await leave(stream);
    assert.equal(texts(kept(session)), ["second", "third", "first"]);

    session.exception("fourth");
    session.exception("fifth");
    const next = await open(`?since=${session.channel.epoch}-4`);
    assert.equal(
      texts(await next.events(3)),
      ["fifth", "fourth"],
      "once the first was heard, the next one waits",
    );
  }));

test("exception() publishes at once, to every client, while any is connected", () =>
  served(async ({ session, open, leave }) => {
    const [a, b] = [await open(), await open()];
    for (const stream of [a, b]) await stream.event();
    session.exception("one");
    session.exception("two");
    for (const stream of [a, b]) assert.equal(texts(await stream.events(2)), ["one", "two"]);
    await leave(a);
    session.exception("three");
    assert.equal(texts([await b.event()]), ["three"]);
    await leave(b);
    session.exception("four");
    assert.equal(texts(kept(session)), ["one", "two", "three"]);
    assert.equal(texts(await (await open()).events(2)), ["four"]);
  }));

test("exception() keeps its error through HEAD and rejected requests, which are no clients", () =>
  served(async ({ session, open, url }) => {
    session.exception("unheard");
    assert.is((await fetch(url, { method: "HEAD" })).status, 200);
    const refused = await fetch(`${url}?since=nonsense`);
    assert.is(refused.status, 400);
    await refused.body?.cancel();
    assert.is(session.channel.last, 0);
    assert.equal(texts(await (await open()).events(2)), ["unheard"]);
  }));

test("exception() is delivered to a client with follow=false too", () =>
  served(async ({ session, open }) => {
    session.emit("upgrader_tick", { text: "1" });
    session.exception("unheard");
    const events = await (await open("?since=earliest&follow=false")).rest();
    assert.equal(events.map(({ type }) => type), ["events_start", "upgrader_tick", "tribler_exception"]);
  }));

test("exception() publishes the text of whatever was raised", () =>
  served(async ({ session, open }) => {
    const stream = await open();
    await stream.event();
    const textOf = async (error: unknown) => {
      session.exception(error);
      return texts([await stream.event()])[0]!;
    };
    assert.match(await textOf(new Error("a plain error")), /^Error: a plain error\n.*\bat\b/s);
    assert.match(await textOf(new TypeError("a kind of error")), /TypeError: a kind of error/);
    assert.match(await textOf(new DOMException("it was aborted", "AbortError")), /it was aborted/);
    assert.match(await textOf(new AggregateError([new Error("inner")], "several errors")), /several errors/);
    const bare = new Error("no stack");
    delete bare.stack;
    assert.is(await textOf(bare), "Error: no stack");
    assert.is(await textOf("a string"), "a string");
    assert.is(await textOf(""), "");
    assert.is(await textOf(undefined), "undefined");
    assert.is(await textOf(null), "null");
    assert.is(await textOf(7), "7");
    assert.is(await textOf(10n), "10");
    assert.is(await textOf(Symbol("s")), "Symbol(s)");
    assert.is(await textOf({ toString: () => "its own words" }), "its own words");
    assert.is(await textOf("half a pair: \ud83d"), "half a pair: \ufffd");
  }));

test("exception() publishes an object without a text, connected or not", () =>
  served(async ({ session, open }) => {
    session.exception(Object.create(null));
    const stream = await open();
    assert.is((await stream.events(2))[1]!.type, "tribler_exception");
    session.exception({
      toString: () => {
        throw new Error("no text");
      },
    });
    assert.is((await stream.event()).type, "tribler_exception");
  }));

test("exception() shortens an error that is too long for the history, and clients connect all the same", () =>
  served(async ({ session, open }) => {
    session.exception("x".repeat(5000));
    const stream = await open();
    session.emit("upgrader_tick", { text: "next" });
    const types = (await stream.events(2)).map(({ type }) => type);
    assert.ok(types.includes("events_start"));
  }, { history: { bytes: 4096 } }));

test("GET /events reads a closed channel to its end, also while an error waits", () =>
  served(async ({ session, open }) => {
    session.emit("upgrader_tick", { text: "1" });
    session.exception("unheard");
    session.channel.close();
    const events = await (await open("?since=earliest")).rest();
    assert.equal(events.slice(0, 2).map(({ type }) => type), ["events_start", "upgrader_tick"]);
  }));

test("emit() publishes a torrent once in each query", () =>
  served(async ({ session, open }) => {
    const stream = await open();
    await stream.event();
    const a = session.emit("search_result_torrent", torrentResult("a"));
    assert.is(session.emit("search_result_torrent", torrentResult("a")), undefined);
    const b = session.emit("search_result_torrent", torrentResult("b"));
    assert.is(
      session.emit("search_result_torrent", torrentResult("a", { name: "by another name" })),
      undefined,
    );
    assert.is(session.emit("search_result_torrent", { ...torrentResult("b"), query: "other" }), undefined);
    session.startNewQuery();
    const again = session.emit("search_result_torrent", torrentResult("a"));
    assert.is(session.emit("search_result_torrent", torrentResult("a")), undefined);
    assert.equal((await stream.events(3)).map(({ id }) => id), [a, b, again]);
    assert.is(session.channel.last, 3);
  }));

test("emit() publishes a channel once in each query, and does not take it for a torrent of the same digits", () =>
  served(async ({ session, open }) => {
    const stream = await open();
    await stream.event();
    const ids = [
      session.emit("search_result_channel", channelResult("a")),
      session.emit("search_result_torrent", torrentResult("a")),
      session.emit("search_result_channel", channelResult("b")),
    ];
    for (const digit of ["a", "b"]) {
      assert.is(session.emit("search_result_channel", channelResult(digit)), undefined);
    }
    session.startNewQuery();
    ids.push(session.emit("search_result_channel", channelResult("b")));
    assert.equal((await stream.events(4)).map(({ id }) => id), ids);
    assert.is(session.channel.last, 4);
  }));

test("emit() publishes events that are no search results as often as they happen", () => {
  const session = createSession({ version: "7.1.5" });
  for (let n = 0; n < 3; n++) {
    session.emit("torrent_discovered", triblerPayloads.torrent_discovered);
    session.emit("channel_discovered", triblerPayloads.channel_discovered);
    session.emit("upgrader_started");
  }
  assert.is(session.channel.last, 9);
});

test("familyFilter leaves out torrents of the category xxx, unless it is off", () => {
  for (const options of [{}, { familyFilter: true }]) {
    const session = createSession({ version: "7.1.5", ...options });
    assert.is(session.emit("search_result_torrent", torrentResult("a", { category: "xxx" })), undefined);
    assert.ok(session.emit("search_result_torrent", torrentResult("b", { category: "xxx " })));
    assert.ok(session.emit("search_result_torrent", torrentResult("c", { name: "xxx" })));
    assert.ok(
      session.emit("search_result_torrent", torrentResult("a")),
      "what was left out does not count as published",
    );
    assert.is(session.channel.last, 3);
  }
  const session = createSession({ version: "7.1.5", familyFilter: false });
  assert.ok(session.emit("search_result_torrent", torrentResult("a", { category: "xxx" })));
  assert.is(session.emit("search_result_torrent", torrentResult("a", { category: "xxx" })), undefined);
});

test("emit() does not count a rejected search result as published", () => {
  const session = createSession({ version: "7.1.5" });
  assert.throws(
    () => session.emit("search_result_torrent", torrentResult("a", { size: "big" as never })),
    (error: unknown) => error instanceof EventsError && error.code === "InvalidEvent",
  );
  const { query, result } = channelResult("a");
  assert.throws(
    () => session.emit("search_result_channel", { query, result: { ...result, votes: 1.5 } }),
    (error: unknown) => error instanceof EventsError && error.code === "InvalidEvent",
  );
  assert.is(session.channel.last, 0);
  assert.ok(session.emit("search_result_torrent", torrentResult("a")));
  assert.ok(session.emit("search_result_channel", channelResult("a")));
});

test("emit() rejects a search result of any wrong shape like every other event", () => {
  const session = createSession({ version: "7.1.5" });
  const payloads = [undefined, null, {}, { query: "x" }, { query: "x", result: null }, "x", 7];
  for (const type of ["search_result_torrent", "search_result_channel"] as const) {
    for (const payload of payloads) {
      assert.throws(
        () => session.emit(type, payload as never),
        (error: unknown) => error instanceof EventsError && error.code === "InvalidEvent",
        `${type} ${JSON.stringify(payload)}`,
      );
    }
  }
  assert.is(session.channel.last, 0);
});

test("close() of the channel ends emit(), start() and exception()", () => {
  const session = createSession({ version: "7.1.5" });
  session.channel.close();
  for (
    const tell of [
      () => session.emit("upgrader_started"),
      () => session.emit("search_result_torrent", torrentResult("a")),
      () => session.start(),
    ]
  ) {
    assert.throws(tell, (error: unknown) => error instanceof EventsError && error.code === "ChannelClosed");
  }
});

test("createSession() makes sessions that share nothing", () => {
  const [a, b] = [createSession({ version: "1" }), createSession({ version: "2" })];
  assert.ok(a.emit("search_result_torrent", torrentResult("a")));
  assert.ok(b.emit("search_result_torrent", torrentResult("a")));
  a.start();
  assert.equal([a.started, b.started], [true, false]);
  assert.equal([a.version, b.version], ["1", "2"]);
  assert.is.not(a.channel.epoch, b.channel.epoch);
});

test("createSession() passes the limits of history to its channel", () => {
  const session = createSession({ version: "7.1.5", history: { events: 3 } });
  for (let n = 0; n < 5; n++) session.emit("upgrader_tick", { text: `${n}` });
  assert.equal(kept(session).map(({ event }) => event.text), ["2", "3", "4"]);
  assert.throws(
    () => createSession({ version: "7.1.5", history: { events: 0 } }),
    (error: unknown) => error instanceof RangeError,
  );
});

test.run();
