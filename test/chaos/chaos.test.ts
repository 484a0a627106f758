import { Hono } from "hono";
import { connect } from "node:net";
import process from "node:process";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { createChannel, defineEvents, eventsEndpoint } from "../../src/mod.ts";
import { type Dictionary, openWire, serving, timersLeftBy, until, within } from "../support/harness.ts";
import { type Proxy, type Random, randomOf, sleep, startProxy } from "../support/hostile_proxy.ts";
import { responseReader } from "../support/http_wire.ts";

const test = suite("chaos");

const job = v.object({ from: v.number(), n: v.number(), pad: v.string() });
const catalogue = defineEvents({ job_started: job, job_done: job, note: job });
const TYPES = ["job_started", "job_done", "note"] as const;
type Type = (typeof TYPES)[number];

const PUBLISHERS = 5;
const BATCHES = 80;
const CONSUMERS = 30;
/** For hundreds of requests one after the other, each of which has the usual limit of its own. */
const LIMIT_MS = 60_000;

// The connection of a consumer, which may be cut anywhere.

/** What a consumer receives: an event, or a cursor without one. */
interface Note {
  readonly id: string;
  readonly event?: Dictionary;
  readonly text?: string;
}

interface Connection {
  /** Returns the next note; `undefined` once the connection is closed and all of its notes were read. */
  next(): Promise<Note | undefined>;
  drop(): void;
}

function openConnection(port: number, path: string, isSse: boolean, lastEventId?: string): Connection {
  const socket = connect(port, "127.0.0.1");
  const head = [`GET ${path} HTTP/1.1`, "Host: localhost"];
  if (isSse) head.push("Accept: text/event-stream");
  if (lastEventId !== undefined) head.push(`Last-Event-ID: ${lastEventId}`);
  socket.write(head.join("\r\n") + "\r\n\r\n");
  const notes: Note[] = [];
  const onNote = (note: Note) => void notes.push(note);
  const push = responseReader(isSse ? sseReader(onNote) : ndjsonReader(onNote));
  let failure: unknown;
  let isOver = false;
  let wake = () => {};
  socket.on("data", (bytes: Uint8Array) => {
    try {
      push(bytes);
    } catch (error) {
      failure ??= error;
      socket.destroy();
    }
    if (notes.length > 20) socket.pause();
    wake();
  });
  socket.on("error", () => {}); // The close event follows.
  socket.once("close", () => {
    isOver = true;
    wake();
  });
  return {
    next: async () => {
      while (notes.length === 0 && !isOver) {
        await new Promise<void>((resolve) => {
          wake = resolve;
          socket.resume();
        });
      }
      if (failure !== undefined) throw failure;
      return notes.shift();
    },
    drop: () => void socket.destroy(),
  };
}

function ndjsonReader(onNote: (note: Note) => void): (line: string) => void {
  return (line) => {
    if (line === "") return;
    const event = JSON.parse(line);
    onNote({ id: event.id, event, text: line });
  };
}

/** As an `EventSource` reads it (WHATWG HTML 9.2.6). */
function sseReader(onNote: (note: Note) => void): (line: string) => void {
  let fields: Record<string, string> = {};
  return (line) => {
    if (line !== "") {
      const [, name, value] = /^(.*?): ?(.*)$/.exec(line)!;
      if (name !== "") fields[name!] = value!;
      return;
    }
    const { id, data, event: type } = fields;
    fields = {};
    if (id === undefined) return;
    if (data === undefined) return onNote({ id });
    const event = JSON.parse(data);
    assert.equal([event.id, event.type], [id, type], "a block repeats the id and type of its dictionary");
    onNote({ id, event, text: data });
  };
}

// Publishers and consumers.

interface Truth {
  readonly type: Type;
  readonly event: { readonly from: number; readonly n: number; readonly pad: string };
}

/** Sends a batch, and returns the number of accepted events and the last id. */
async function post(port: number, drafts: readonly Truth[], asLines: boolean): Promise<[number, string]> {
  const body = asLines
    ? drafts.map((draft) => JSON.stringify(draft) + "\n").join("")
    : JSON.stringify(drafts);
  const bytes = new TextEncoder().encode(body);
  const wire = await openWire(port);
  wire.write(
    `POST /events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${bytes.length}\r\n` +
      `Content-Type: application/${asLines ? "x-ndjson" : "json"}\r\n\r\n`,
  );
  wire.write(bytes);
  await within(wire.closed, "the response to a batch");
  const answer = wire.received();
  assert.match(answer, /^HTTP\/1\.1 202 /);
  const { accepted, last_id } = JSON.parse(/\{.*\}/.exec(answer)![0]);
  return [accepted, last_id];
}

/** Publishes one batch after the other, and records the position of each event. */
async function publishAll(
  port: number,
  from: number,
  random: Random,
  truth: Map<number, Truth>,
): Promise<void> {
  let n = 0;
  for (let batch = 0; batch < BATCHES; batch++) {
    const drafts = Array.from({ length: 1 + Math.floor(random() * 6) }, (): Truth => {
      const size = random() < 0.03 ? 3000 : random() * 30;
      const type = TYPES[Math.floor(random() * TYPES.length)]!;
      return { type, event: { from, n: n++, pad: "é漢😀\n".repeat(size) } };
    });
    await publishOne(port, drafts, random, truth);
    await sleep(random() * 30);
  }
}

async function publishOne(
  port: number,
  drafts: readonly Truth[],
  random: Random,
  truth: Map<number, Truth>,
): Promise<void> {
  const [accepted, lastId] = await post(port, drafts, random() < 0.5);
  assert.is(accepted, drafts.length);
  const first = Number(lastId.split("-")[1]) - accepted + 1;
  drafts.forEach((draft, index) => {
    assert.not.ok(truth.has(first + index), "no position is given twice");
    truth.set(first + index, draft);
  });
}

/** What a consumer requested, and everything it consumed. */
interface Diary {
  readonly path: string;
  readonly types: readonly Type[];
  readonly notes: Note[];
  /** The cursor it sent for each `events_start` among them. */
  readonly resumed: string[];
}

/** The number of the last event of each type, after which consumers stop. */
const LAST = -1;

/** The filter in the URL, and the types that it selects. */
const EVERYTHING: [string, readonly Type[]] = ["", TYPES];
const JOBS: [string, readonly Type[]] = ["types=job_*&", ["job_started", "job_done"]];
const NOTES: [string, readonly Type[]] = ["types=note&", ["note"]];

/** Reads to the last event. It disconnects at random, and resumes after the last id that was consumed. */
async function consumeAll(
  port: number,
  index: number,
  since: string,
  random: Random,
  isOver: () => boolean,
): Promise<Diary> {
  const isSse = index % 2 === 0;
  const [filter, types] = index % 3 > 0 ? EVERYTHING : index % 12 < 6 ? JOBS : NOTES;
  const path = `/events?${filter}${index % 5 === 0 ? "bookmarks=true&" : ""}since=`;
  const diary: Diary = { path, types, notes: [], resumed: [] };
  let lastId = since;
  while (!isOver()) {
    const connection = random() < 0.5
      ? openConnection(port, path + lastId, isSse)
      : openConnection(port, path + "latest", isSse, lastId); // The header takes precedence.
    const resumed = lastId;
    const most = random() < 0.3 ? Infinity : 1 + random() ** 2 * 100;
    for (let taken = 0, note; taken < most && (note = await connection.next()) !== undefined; taken++) {
      if (note.event?.type === "events_start") diary.resumed.push(resumed);
      diary.notes.push(note);
      lastId = note.id;
      if (note.event?.type === types.at(-1) && note.event?.event.n === LAST) {
        connection.drop();
        return diary;
      }
      if (random() < 0.02) await sleep(random() * 10);
    }
    connection.drop();
    await sleep(random() * 10);
  }
  return diary;
}

/** Verifies the account of a consumer, and returns the number of events it lost. */
function verify(diary: Diary, epoch: string, truth: Map<number, Truth>, texts: Map<number, string>): number {
  const { types, notes, resumed } = diary;
  let position = 0;
  let starts = 0;
  let losses = 0;
  let isFresh = false;

  /** Moves to a position. No requested event may be before it. */
  function pass(to: number): void {
    assert.ok(to >= position, `positions only increase: ${to} after ${position}`);
    while (position < to) {
      assert.not.ok(
        types.includes(truth.get(++position)!.type),
        `${position} was requested, and never delivered`,
      );
    }
  }

  for (const { id, event, text } of notes) {
    const [ofEpoch, digits] = id.split("-");
    assert.is(ofEpoch, epoch);
    const here = Number(digits);
    const wasFresh = isFresh;
    isFresh = event?.type === "events_start";
    if (isFresh) {
      assert.is(id, resumed[starts++], "it begins after the cursor that was sent");
    } else if (event?.type === "events_lost") {
      const { reason, count } = event.event;
      assert.is(reason, wasFresh && reason !== "slow_consumer" ? "history_expired" : "slow_consumer");
      pass(here - count);
      position = here;
      losses += count;
    } else if (event === undefined || event.type === "events_bookmark") {
      pass(here);
    } else {
      pass(here - 1);
      assert.is(here, ++position, "an event is delivered once");
      const { type, event: payload } = truth.get(here)!;
      assert.equal([event.type, event.event], [type, payload]);
      assert.ok(types.includes(type), `${type} was requested`);
      assert.is(text, texts.get(here) ?? text, "an event is the same text for every consumer");
      texts.set(here, text!);
    }
  }
  pass(truth.size);
  return losses;
}

/** Runs publishers and consumers, and returns the number of events that all consumers lost. */
async function chaos(events: number): Promise<number> {
  const seed = Number(process.env["CHAOS_SEED"] ?? Math.floor(Math.random() * 2 ** 32));
  let lost = 0;
  try {
    const left = await timersLeftBy(async () => void (lost = await chaosOf(seed, events)));
    assert.is(left, 0, "no timer is left");
    return lost;
  } catch (error) {
    console.error(`to repeat this: CHAOS_SEED=${seed}`);
    throw error;
  }
}

async function chaosOf(seed: number, events: number): Promise<number> {
  const channel = createChannel(catalogue, { history: { events } });
  const endpoint = eventsEndpoint(channel, { heartbeat: 0.05 });
  const app = new Hono().route("/events", endpoint);
  const truth = new Map<number, Truth>();
  let diaries: readonly Diary[] = [];

  /** Publishes and reads until everything was read or the time is over. */
  async function publishAndConsume(port: number, proxy: Proxy): Promise<readonly Diary[]> {
    let isOver = false;
    const publishing = Array.from({ length: PUBLISHERS }, (_, from) => {
      return publishAll(port, from, randomOf(seed + 1000 + from), truth);
    });
    const consuming = Promise.all(Array.from({ length: CONSUMERS }, (_, index) => {
      const random = randomOf(seed + 2000 + index);
      return consumeAll(proxy.port, index, `${channel.epoch}-0`, random, () => isOver);
    }));
    consuming.catch(() => {}); // It is awaited below.
    try {
      await within(Promise.all(publishing), "the publishers", LIMIT_MS);
      const last = TYPES.map((type) => ({ type, event: { from: LAST, n: LAST, pad: "" } }));
      await publishOne(port, last, randomOf(seed), truth);
      return await within(consuming, "the consumers", LIMIT_MS);
    } finally {
      isOver = true;
    }
  }

  await serving(app, async (_, port) => {
    const proxy = await startProxy(port, randomOf(seed));
    try {
      diaries = await publishAndConsume(port, proxy);
      assert.ok(proxy.cuts() > CONSUMERS, `${proxy.cuts()} connections were cut`);
    } finally {
      await proxy.close();
    }
    await until(() => endpoint.stats().subscribers === 0, "no subscriber is left");
    await until(() => channel.stats().readers === 0, "no reader is left");
  });
  assert.is(truth.size, channel.last);
  const texts = new Map<number, string>();
  let lost = 0;
  for (const diary of diaries) {
    lost += verify(diary, channel.epoch, truth, texts);
    const response = await app.request(`${diary.path}${diary.notes.at(-1)!.id}&follow=false&format=ndjson`);
    const lines = (await response.text()).split("\n").filter((line) => line !== ""); // Blank ones are heartbeats.
    const types = lines.map((line) => JSON.parse(line).type).filter((type) => type !== "events_bookmark");
    assert.equal(types, ["events_start"], "it has consumed every event");
  }
  return lost;
}

test("eventsEndpoint() delivers each event once and in order through cuts, splits, delays and stalls", async () => {
  assert.is(await chaos(100_000), 0, "nothing is lost if the history holds everything");
});

test("eventsEndpoint() reports each loss with its exact count when the history is short", async () => {
  assert.ok(await chaos(30) > 0, "some consumers were too slow");
});

test.run();
