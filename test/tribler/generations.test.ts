/**
 * The generations of Tribler: each front end receives every event of its catalogue, in its own dialect.
 *
 * @module
 */
import * as fc from "fast-check";
import { Hono } from "hono";
import * as assert from "uvu/assert";
import { connect } from "../../src/client/mod.ts";
import {
  type Batch,
  type Catalogue,
  createChannel,
  defineEvents,
  type Dialect,
  eventsEndpoint,
  EventsError,
} from "../../src/mod.ts";
import {
  createSession,
  type Generation,
  type Session,
  tribler712Events,
  tribler74Events,
  tribler75Events,
  tribler8Events,
  triblerEvents,
} from "../../src/tribler/mod.ts";
import { serving, until, within } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { triblerPayloads } from "../support/tribler_payloads.ts";
import { FRONT_ENDS, type FrontEnd, type Handled } from "./front_ends.ts";
import { generationPayloads } from "./generation_payloads.ts";

const test = suite("generations");

const CATALOGUES = {
  "7.1": triblerEvents,
  "7.4": tribler74Events,
  "7.5": tribler75Events,
  "7.12": tribler712Events,
  "8": tribler8Events,
} as const;
const GENERATIONS = Object.keys(CATALOGUES) as Generation[];

/** A session of any generation: events are given by name. */
interface AnySession {
  readonly session: Session<Generation>;
  emit(type: string, payload: unknown): void;
}

function sessionOf(
  generation: Generation,
  options: { readonly history?: { readonly events: number } } = {},
): AnySession {
  const session = createSession({ version: "1.2.3", publicKey: "ab12", generation, ...options });
  const emit = session.emit as (type: string, payload?: unknown) => void;
  return { session, emit };
}

/** The events of a generation's catalogue, and what its front end is to handle. */
function eventsOf(generation: Generation): Handled[] {
  const payloads: Readonly<Record<string, unknown>> = generationPayloads[generation];
  return CATALOGUES[generation].types.map((type) => ({ type, payload: payloads[type] }));
}

/** What reaches the handler where a type has no payload. */
function withoutPayload(generation: Generation): unknown {
  return generation === "7.1" ? undefined : generation === "8" || generation === "7.12" ? {} : null;
}

/** Lets a front end read a URL, as its release asks for it, until it has handled this many events. */
async function readBy(frontEnd: FrontEnd, url: string, count: number): Promise<void> {
  const response = await fetch(url);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  try {
    while (frontEnd.handled.length < count) {
      const { done, value } = await within(reader.read(), `${count} events`);
      if (done) throw new Error("the stream is over");
      frontEnd.read(value);
    }
  } finally {
    await reader.cancel();
  }
}

test("createSession() makes the infohash the subject of every event about a torrent", async () => {
  const about: Record<Generation, readonly string[]> = {
    "7.1": [
      "search_result_torrent",
      "torrent_discovered",
      "torrent_removed_from_channel",
      "torrent_finished",
      "torrent_error",
    ],
    "7.4": [
      "torrent_discovered",
      "torrent_finished",
      "torrent_error",
      "torrent_info_updated",
      "channel_entity_info_updated",
    ],
    "7.5": ["torrent_finished", "channel_entity_updated"],
    "7.12": ["torrent_finished", "channel_entity_updated"],
    "8": ["torrent_status_changed", "torrent_finished", "torrent_health_updated"],
  };
  for (const generation of GENERATIONS) {
    const { session, emit } = sessionOf(generation);
    for (const { type, payload } of eventsOf(generation)) emit(type, payload);
    const { entries } = session.channel.read(0, Infinity) as Batch;
    const subjects = entries.filter(({ subject }) => subject !== undefined);
    for (const { json, subject } of subjects) assert.ok(json.includes(`"infohash":"${subject}"`), json);
    const withHash = entries.filter(({ json }) => /"infohash":/.test(json)).map(({ type }) => type);
    assert.equal(subjects.map(({ type }) => type), withHash, generation);
    for (const type of withHash) assert.ok(about[generation].includes(type), type);
    const [{ subject } = { subject: "" }] = subjects;
    const app = new Hono().route("/events", eventsEndpoint(session));
    const response = await app.request(`/events?since=earliest&follow=false&subject=${subject}`);
    const count = (await response.text()).trim().split("\n").length - 1;
    assert.is(count, subjects.filter((entry) => entry.subject === subject).length);
  }
});

test("createSession() leaves out the subject of a dictionary that has no valid infohash", () => {
  const { session, emit } = sessionOf("7.4");
  for (const infohash of [undefined, 42, "short", "AB".repeat(20)]) emit("torrent_discovered", { infohash });
  const { entries } = session.channel.read(0, Infinity) as Batch;
  assert.equal(entries.map(({ subject }) => subject), [undefined, undefined, undefined, undefined]);
});

for (const generation of GENERATIONS) {
  test(`eventsEndpoint() with dialect ${generation} delivers every event to the front end of that generation`, async () => {
    const { session, emit } = sessionOf(generation);
    const app = new Hono().route("/events", eventsEndpoint(session, { dialect: generation }));
    await serving(app, async (url) => {
      const frontEnd = FRONT_ENDS[generation]();
      const events = eventsOf(generation);
      const reading = readBy(frontEnd, `${url}/events`, events.length + 1);
      await until(() => session.channel.stats().readers > 0, "it reads");
      for (const { type, payload } of events) emit(type, payload);
      await reading;
      const [start, ...rest] = frontEnd.handled;
      assert.is(start!.type, "events_start");
      const expected = events.map(({ type, payload }) => ({
        type,
        // As the parser gives it: each string is what was published.
        payload: payload === undefined ? withoutPayload(generation) : JSON.parse(JSON.stringify(payload)),
      }));
      if (generation === "7.12") { // A bare value comes by position, and has the name of the argument there.
        for (const one of expected) assert.type(one.payload, "object");
      }
      assert.equal(rest, expected);
    });
  });

  test(`createSession() of ${generation} fills events_start as that generation does`, async () => {
    const { session } = sessionOf(generation);
    const app = new Hono().route("/events", eventsEndpoint(session, { dialect: generation }));
    const response = await app.request("/events?follow=false");
    const frontEnd = FRONT_ENDS[generation]();
    frontEnd.read(await response.text());
    const { heartbeat, ...start } = frontEnd.handled[0]!.payload as { readonly heartbeat?: number };
    assert.is(heartbeat, generation === "7.5" || generation === "7.12" ? undefined : 5);
    const starts: Record<Generation, unknown> = {
      "7.1": { tribler_started: false, version: "1.2.3" },
      "7.4": { tribler_started: false, version: "1.2.3" },
      "7.5": { tribler_started: false, version: "1.2.3" },
      "7.12": { public_key: "ab12", version: "1.2.3" },
      "8": { public_key: "ab12", version: "1.2.3", sessions: "0" },
    };
    assert.equal(start, starts[generation]);
  });

  test(`connect() reads the dialect ${generation} with its catalogue, and checks every event`, async () => {
    const { session, emit } = sessionOf(generation);
    const app = new Hono().route("/events", eventsEndpoint(session, { dialect: generation }));
    await serving(app, async (url) => {
      const events = eventsOf(generation);
      for (const { type, payload } of events) emit(type, payload);
      const received: Handled[] = [];
      const connection = connect(`${url}/events`, {
        catalogue: CATALOGUES[generation] as Catalogue,
        since: "earliest",
      });
      for await (const { type, event } of connection) {
        if (type !== "events_start") received.push({ type, payload: event });
        if (received.length === events.length) break;
      }
      assert.equal(JSON.parse(JSON.stringify(received)), JSON.parse(JSON.stringify(events)));
    });
  });
}

test("eventsEndpoint() writes the events of one session in several dialects side by side", async () => {
  const { session, emit } = sessionOf("7.1");
  const app = new Hono();
  for (const dialect of GENERATIONS) app.route(`/${dialect}`, eventsEndpoint(session, { dialect }));
  const events = eventsOf("7.1");
  for (const { type, payload } of events) emit(type, payload);
  for (const dialect of GENERATIONS) {
    const frontEnd = FRONT_ENDS[dialect]();
    // Only in 7.1 the client chooses the format.
    const headers = { Accept: dialect === "7.1" ? "*/*" : "text/html" };
    const response = await app.request(`/${dialect}?since=earliest&follow=false`, { headers });
    const text = await response.text();
    if (dialect === "7.12") {
      // The handlers of 7.12 are called with other arguments than those of 7.1: only the frame is compared.
      const topics = text.split("\n\n").slice(1, -1).map((block) => JSON.parse(block.slice(5)).topic);
      assert.equal(topics, events.map(({ type }) => type));
      continue;
    }
    frontEnd.read(text);
    assert.equal(frontEnd.handled.slice(1).map(({ type }) => type), events.map(({ type }) => type), dialect);
  }
});

test("eventsEndpoint() with dialect 7.5 or 7.12 writes one line of data a block, wherever the text is cut", async () => {
  for (const generation of ["7.5", "7.12"] as const) {
    const { session, emit } = sessionOf(generation);
    for (const { type, payload } of eventsOf(generation)) emit(type, payload);
    const endpoint = eventsEndpoint(session, { dialect: generation });
    const text = await (await endpoint.request("/?since=earliest&follow=false&bookmarks=true")).text();
    for (const block of text.split("\n\n").slice(0, -1)) assert.match(block, /^data: \{.*\}$/);
    fc.assert(fc.property(fc.array(fc.nat(text.length), { maxLength: 20 }), (cuts) => {
      const frontEnd = FRONT_ENDS[generation]();
      let from = 0;
      for (const cut of [...cuts.sort((a, b) => a - b), text.length]) {
        frontEnd.read(text.slice(from, cut));
        from = cut;
      }
      assert.is(frontEnd.handled.length, CATALOGUES[generation].types.length + 1);
    }));
  }
});

test("eventsEndpoint() sends no heartbeat in dialects 7.5 and 7.12, an empty line in 7.4, a comment line in 8", async () => {
  const { session } = sessionOf("7.1");
  const app = new Hono();
  for (const dialect of GENERATIONS) {
    app.route(`/${dialect}`, eventsEndpoint(session, { dialect, heartbeat: 0.05 }));
  }
  await serving(app, async (url) => {
    const texts = new Map<Dialect, string>();
    const readers = await Promise.all(GENERATIONS.map(async (dialect) => {
      const response = await fetch(`${url}/${dialect}`);
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      texts.set(dialect, "");
      void (async () => {
        for (let read; !(read = await reader.read()).done;) {
          texts.set(dialect, texts.get(dialect)! + read.value);
        }
      })().catch(() => {});
      return reader;
    }));
    const beats = (dialect: Dialect, beat: string) => texts.get(dialect)!.split(beat).length - 1;
    await until(() => beats("7.4", "\n") > 4 && beats("8", "\n:") > 3, "heartbeats");
    assert.match(texts.get("8")!, /^event: events_start\ndata: .*\nid: .*\n\n(?::\n)+$/);
    assert.match(texts.get("7.4")!, /^\{.*\}\n+$/);
    for (const dialect of ["7.5", "7.12"] as const) assert.match(texts.get(dialect)!, /^data: \{.*\}\n\n$/);
    await Promise.all(readers.map((reader) => reader.cancel()));
  });
});

test("eventsEndpoint() reports lost events in dialects 7.4 and 8, and leaves them out in 7.5 and 7.12", async () => {
  for (const dialect of ["7.4", "7.5", "7.12", "8"] as const) {
    const { session, emit } = sessionOf("7.1", { history: { events: 2 } });
    for (let n = 0; n < 5; n++) emit("upgrader_tick", { text: `${n}` });
    const endpoint = eventsEndpoint(session, { dialect });
    const since = `${session.channel.epoch}-1`;
    const response = await endpoint.request(
      `/?follow=false&since=${since}&bookmarks=true&types=upgrader_tick`,
    );
    const text = await response.text();
    const isSilent = dialect === "7.5" || dialect === "7.12";
    assert.is(text.includes("events_lost"), !isSilent, dialect);
    if (dialect === "8") {
      const loss =
        `event: events_lost\ndata: {"reason":"history_expired","count":2}\nid: ${session.channel.epoch}-3\n\n`;
      assert.ok(text.includes(loss), text);
    }
    assert.ok(text.includes("upgrader_tick"));
  }
});

test("eventsEndpoint() with dialect 8 resumes by Last-Event-ID, and moves the cursor behind a filter", async () => {
  const { session, emit } = sessionOf("8");
  const endpoint = eventsEndpoint(session, { dialect: "8" });
  const { epoch } = session.channel;
  for (let n = 0; n < 4; n++) emit("tribler_new_version", { version: `8.${n}` });
  emit("report_config_error", { error: "x" });
  const headers = { "Last-Event-ID": `${epoch}-2` };
  const rest = await (await endpoint.request("/?follow=false", { headers })).text();
  assert.equal(
    rest.split("\n\n").slice(1, -1),
    [3, 4].map((n) => `event: tribler_new_version\ndata: {"version":"8.${n - 1}"}\nid: ${epoch}-${n}`)
      .concat(`event: report_config_error\ndata: {"error":"x"}\nid: ${epoch}-5`),
  );
  const filtered = await (await endpoint.request("/?follow=false&types=ask_add_download&since=earliest"))
    .text();
  assert.is(filtered.split("\n\n")[1], `id: ${epoch}-5`);
});

test("GET /info with dialect 8 answers what events_start says, to requests that authorize accepts", async () => {
  const { session } = sessionOf("8");
  const app = new Hono().route("/api/events", eventsEndpoint(session, { dialect: "8" }));
  await serving(app, async (url) => {
    const [first, second] = [await fetch(`${url}/api/events`), await fetch(`${url}/api/events`)];
    const response = await fetch(`${url}/api/events/info`);
    assert.match(response.headers.get("content-type")!, /^application\/json/);
    assert.equal(await response.json(), { public_key: "ab12", version: "1.2.3", sessions: "2" });
    assert.is((await fetch(`${url}/api/events/info`, { method: "HEAD" })).status, 200);
    const posted = await fetch(`${url}/api/events/info`, { method: "POST" });
    assert.equal([posted.status, posted.headers.get("allow")], [405, "GET, HEAD"]);
    await first.body!.cancel();
    await second.body!.cancel();
  });
  const guarded = eventsEndpoint(session, {
    dialect: "8",
    authorize: (c) => c.req.header("X-Api-Key") === "k" ? {} : false,
  });
  assert.is((await guarded.request("/info")).status, 401);
  assert.is((await guarded.request("/info", { headers: { "X-Api-Key": "k" } })).status, 200);
  assert.is((await eventsEndpoint(session).request("/info")).status, 404);
});

test("exception() is delivered right after events_start to the first client, in the words of its generation", async () => {
  const payloads: Record<Generation, (payload: never) => void> = {
    "7.1": ({ text }: { text: string }) => assert.match(text, /^TypeError: broken\n/),
    "7.4": ({ text }: { text: string }) => assert.match(text, /^TypeError: broken\n/),
    "7.5": ({ type, text, event }: { type: string; text: string; event: unknown }) => {
      assert.match(text, /^TypeError: broken\n/);
      assert.equal([type, event], ["TypeError", {}]);
    },
    "7.12": ({ error }: { error: { type: string; text: string; event: unknown; long_text: string } }) => {
      assert.match(error.long_text, /^TypeError: broken\n/);
      assert.equal([error.type, error.text, error.event], ["TypeError", "broken", {}]);
    },
    "8": ({ error, traceback }: { error: string; traceback: string }) => {
      assert.match(traceback, /^TypeError: broken\n/);
      assert.is(error, "broken");
    },
  };
  for (const generation of GENERATIONS) {
    const { session } = sessionOf(generation);
    const error = new TypeError("broken");
    error.stack = "TypeError: broken\n    at core";
    session.exception(error);
    session.exception(new Error("a later one"));
    const app = new Hono().route("/events", eventsEndpoint(session, { dialect: generation }));
    await serving(app, async (url) => {
      const frontEnd = FRONT_ENDS[generation]();
      await readBy(frontEnd, `${url}/events`, 2);
      assert.is(frontEnd.handled[1]!.type, "tribler_exception");
      payloads[generation](frontEnd.handled[1]!.payload as never);
    });
  }
});

test("start() publishes tribler_started as its generation does, and nothing from 7.12 on", () => {
  const events: Record<Generation, unknown[]> = {
    "7.1": [{ type: "tribler_started" }],
    "7.4": [{ type: "tribler_started", event: { version: "1.2.3" } }],
    "7.5": [{ type: "tribler_started", event: { version: "1.2.3", public_key: "ab12" } }],
    "7.12": [],
    "8": [],
  };
  for (const generation of GENERATIONS) {
    const { session } = sessionOf(generation);
    session.start();
    session.start();
    const { entries } = session.channel.read(0, 1e6) as Batch;
    const published = entries.map(({ json }) => JSON.parse(json));
    assert.equal(published.map(({ id: _id, time: _time, ...rest }) => rest), events[generation]);
    assert.is(session.started, true);
  }
});

test("createSession() rejects an unknown generation, and a channel whose catalogue lacks events of it", () => {
  assert.throws(
    () => createSession({ version: "9", generation: "9" as "8" }),
    /^generation must be one of .*, not "9"$/,
  );
  const channel = createChannel(triblerEvents);
  assert.throws(
    () => createSession({ version: "8", generation: "8", channel: channel as never }),
    /^the catalogue of the channel lacks events of Tribler 8$/,
  );
  const wider = createChannel(defineEvents({ ...tribler8Events.schemas, of_my_own: null }));
  assert.is(createSession({ version: "8", generation: "8", channel: wider as never }).generation, "8");
});

test("emit() takes infohashes of 40 and 64 digits in every generation, and of no other length", () => {
  for (const generation of GENERATIONS) {
    const { emit, session } = sessionOf(generation);
    const { torrent_finished } = generationPayloads[generation];
    for (const length of [40, 64]) {
      emit("torrent_finished", { ...torrent_finished, infohash: "a".repeat(length) });
    }
    for (const length of [0, 39, 41, 63, 65]) {
      assert.throws(
        () => emit("torrent_finished", { ...torrent_finished, infohash: "a".repeat(length) }),
        (error: unknown) => error instanceof EventsError && error.code === "InvalidEvent",
      );
    }
    assert.is(session.channel.last, 2);
  }
  assert.is(triblerPayloads.torrent_finished.infohash.length, 40);
});

test.run();
