import * as fc from "fast-check";
import { Hono } from "hono";
import { connect } from "node:net";
import { setImmediate } from "node:timers";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as v from "valibot";
import {
  createChannel,
  defineEvents,
  type EventsEndpoint,
  eventsEndpoint,
  type MemoryChannel,
} from "../../src/mod.ts";
import { type Dictionary, serving, timersLeftBy, until, within } from "../support/harness.ts";

const test = suite("properties");

// The model: everything that was published, in order, and what of it is still kept.

const order = v.object({ text: v.string() });
const catalogue = defineEvents({
  order_placed: order,
  order_paid: order,
  stock_low: order,
  shop_closed: null,
});
type Schemas = typeof catalogue.schemas;

/** What `?types=` may say, and the types which that means; none: all. */
const FILTERS: readonly { readonly query: string; readonly types?: readonly string[] }[] = [
  { query: "" },
  { query: "order_*", types: ["order_placed", "order_paid"] },
  { query: "order_paid", types: ["order_paid"] },
  { query: "stock_low,shop_closed", types: ["stock_low", "shop_closed"] },
  { query: "shop_*", types: ["shop_closed"] },
  { query: "events_lost", types: [] },
  { query: "order_*,stock_*,shop_*", types: ["order_placed", "order_paid", "stock_low", "shop_closed"] },
];

/** Sixteen bytes of JSON in UTF-8, in which every length of a character occurs and an escape for line readers. */
const UNIT = "é漢😀\u2028-";

/** How one life of the channel is set up. */
interface Setting {
  readonly maxEvents: number;
  readonly maxBytes: number;
  readonly heartbeat: number | null;
  /** Whether the application lets nobody see every third event. */
  readonly selects: boolean;
}

/** An event as the model knows it. */
interface Published {
  readonly type: string;
  /** The text of its dictionary up to the time in it. */
  readonly head: string;
  /** The length of the whole text in UTF-8. */
  readonly bytes: number;
  /** The whole text, as it was first seen by anybody. */
  text?: string;
}

/** One life of the channel: its endpoint, and the model of it. */
interface Life extends Setting {
  readonly channel: MemoryChannel<Schemas>;
  readonly endpoint: EventsEndpoint;
  /** Serves the endpoint at `/EPOCH/events`. */
  readonly app: Hono;
  /** All that was ever published; the event at position 1 stands at index 0. */
  readonly published: Published[];
  /** The position of the oldest event kept. */
  first: number;
  bytes: number;
  /** All values that `first` had at the end of a turn of publishing. */
  readonly firsts: Set<number>;
}

function begin(setting: Setting): Life {
  const { maxEvents, maxBytes, heartbeat, selects } = setting;
  const channel = createChannel(catalogue, { history: { events: maxEvents, bytes: maxBytes } });
  const filter = ({ id }: { id: string }) => Number(id.split("-")[1]) % 3 !== 0;
  const endpoint = eventsEndpoint(channel, { heartbeat, ...(selects ? { filter } : {}) });
  const app = new Hono().route(`/${channel.epoch}/events`, endpoint);
  return { ...setting, channel, endpoint, app, published: [], first: 1, bytes: 0, firsts: new Set([1]) };
}

/** An event to publish: which of the types, and how many units long. */
type Wished = { readonly type: number; readonly units: number };

function publish(life: Life, wished: readonly Wished[], apart: boolean): void {
  const { channel, published } = life;
  const drafts = wished.map(({ type, units }) => {
    const text = `${units}${UNIT.repeat(Math.min(units, Math.floor(life.maxBytes / 16) - 40))}`;
    return [
      { type: "order_placed", event: { text } },
      { type: "order_paid", event: { text } },
      { type: "stock_low", event: { text } },
      { type: "shop_closed" },
    ][type] as { type: "order_placed"; event: { text: string } };
  });
  const ids = apart ? drafts.flatMap((draft) => channel.publishBatch([draft])) : channel.publishBatch(drafts);
  drafts.forEach(({ type, event }, index) => {
    const id = `${channel.epoch}-${published.length + 1}`;
    assert.is(ids[index], id);
    const payload = event ? `"event":${JSON.stringify(event).replaceAll("\u2028", "\\u2028")},` : "";
    const head = `{"type":"${type}",${payload}"id":"${id}","time":"`;
    const bytes = new TextEncoder().encode(head).length + '2026-11-22T15:50:52.123Z"}'.length;
    published.push({ type, head, bytes });
    life.bytes += bytes;
    while (published.length - life.first + 1 > life.maxEvents || life.bytes > life.maxBytes) {
      life.bytes -= published[life.first++ - 1]!.bytes;
    }
  });
  life.firsts.add(life.first);
  assert.is(channel.last, published.length);
  assert.is(channel.first, life.first);
  assert.is(channel.stats().bytes, life.bytes);
}

// Parsers that take nothing but what the contract promises, to the byte.

/** What a stream may carry. */
type Item =
  | { readonly is: "event"; readonly event: Dictionary; readonly text: string }
  | { readonly is: "move"; readonly id: string }
  | { readonly is: "heartbeat" };

const FORMATS = ["ndjson", "sse"] as const;
type Format = (typeof FORMATS)[number];

interface Parser {
  /** The items that the bytes complete. */
  push(bytes: Uint8Array): Item[];
  /** What was begun and is not complete. */
  rest(): string;
}

function parserOf(format: Format): Parser {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const separator = format === "sse" ? "\n\n" : "\n";
  let rest = "";
  let opened = format === "ndjson";
  return {
    push: (bytes) => {
      const blocks = (rest + decoder.decode(bytes, { stream: true })).split(separator);
      rest = blocks.pop()!;
      if (!opened && blocks.length > 0) {
        assert.is(blocks.shift(), "retry: 2000", "a stream of server-sent events opens with its retry");
        opened = true;
      }
      if (format === "ndjson") return blocks.map(ndjsonItem);
      const isFarewell = (block: string) => /^retry: [2-4]\d{3}$/.test(block); // When the channel is closed.
      return blocks.filter((block) => !isFarewell(block)).map(sseItem);
    },
    rest: () => rest,
  };
}

function ndjsonItem(line: string): Item {
  return line === "" ? { is: "heartbeat" } : { is: "event", event: JSON.parse(line), text: line };
}

function sseItem(block: string): Item {
  if (block === ":") return { is: "heartbeat" };
  const [, id, , type, text] = /^id: (.+)(\nevent: (.+)\ndata: (.+))?$/.exec(block) ?? [];
  if (id === undefined) throw new Error(`no block of server-sent events: ${JSON.stringify(block)}`);
  if (text === undefined) return { is: "move", id };
  const event = JSON.parse(text);
  assert.is(event.id, id, "the id of the block is that of its dictionary");
  assert.is(event.type, type, "the name of the block is the type in its dictionary");
  return { is: "event", event, text };
}

// The account of one open stream: every position is delivered, hidden by its own filter, or told as lost.

/** What a consumer asks for, beside where to start. */
interface Wish {
  readonly format: Format;
  /** Which of the filters. */
  readonly filter: number;
  readonly bookmarks: boolean;
  readonly follow: boolean;
}

interface Account {
  readonly life: Life;
  readonly wish: Wish;
  /** What it asked to start from. */
  readonly since: string;
  /** What the channel had when it was asked. */
  readonly asked: { readonly first: number; readonly last: number };
  /** What it had when the answer began; until then nothing has come. */
  answered?: { readonly last: number };
  /** The position accounted for; unknown until the loss of an unknown epoch is told. */
  position?: number;
  /** The id to resume after: that of the last item consumed. */
  lastId?: string;
  /** Whether `events_start` was the last that came, heartbeats aside. */
  fresh: boolean;
}

function openAccount(life: Life, wish: Wish, since: string): Account {
  return { life, wish, since, asked: { first: life.first, last: life.published.length }, fresh: true };
}

/** Whether the event at a position is one that this stream has to carry. */
function wants({ life, wish }: Account, position: number): boolean {
  const { types } = FILTERS[wish.filter]!;
  if (life.selects && position % 3 === 0) return false;
  return types === undefined || types.includes(life.published[position - 1]!.type);
}

/** The first position after the one accounted for that the stream has to carry. */
function nextWanted(account: Account, upTo = account.life.published.length): number | undefined {
  for (let position = account.position! + 1; position <= upTo; position++) {
    if (wants(account, position)) return position;
  }
  return undefined;
}

/** Whether the stream is to carry something, or to end, without anything more being published. */
function isDue(account: Account): boolean {
  if (account.position === undefined || !account.wish.follow || account.life.channel.closed) return true;
  return nextWanted(account) !== undefined;
}

function positionOf({ channel }: Life, id: string): number {
  const [epoch, position] = id.split("-");
  assert.is(epoch, channel.epoch);
  return Number(position);
}

/** What lies between the position accounted for and another is to be nothing that was asked for. */
function pass(account: Account, position: number): void {
  assert.ok(position >= account.position!, `positions only increase: ${position} after ${account.position}`);
  assert.ok(position <= account.life.published.length, `${position} was never published`);
  const missed = nextWanted(account, position);
  assert.is(missed, undefined, `${missed} was asked for, and passed over for ${position}`);
  account.position = position;
}

function take(account: Account, item: Item): void {
  const { life, wish } = account;
  const isFiltered = FILTERS[wish.filter]!.types !== undefined || life.selects;
  if (item.is === "heartbeat") {
    assert.ok(account.answered && life.heartbeat !== null, "heartbeats are on, and the stream has begun");
    return;
  }
  const { fresh } = account;
  account.fresh = false;
  if (account.answered === undefined) takeStart(account, item);
  else if (item.is === "move") {
    assert.ok(wish.format === "sse" && isFiltered, "only server-sent events move a cursor in silence");
    takeMark(account, item.id);
  } else if (item.event.type === "events_lost") takeLoss(account, item.event, fresh);
  else if (item.event.type === "events_bookmark") {
    assert.ok(wish.bookmarks && isFiltered, "bookmarks were asked for, and there is a filter");
    assert.equal(Object.keys(item.event), ["type", "id", "time"]);
    takeMark(account, item.event.id);
  } else takeEvent(account, item.event.id, item.text);
  account.lastId = item.is === "move" ? item.id : item.event.id;
}

function takeStart(account: Account, item: Item): void {
  const { life, since, asked } = account;
  if (item.is !== "event") throw new Error("events_start comes first");
  const { type, event, id } = item.event;
  assert.is(type, "events_start");
  assert.equal(Object.keys(item.event), ["type", "event", "id", "time"]);
  assert.equal(event, { heartbeat: life.heartbeat });
  account.answered = { last: life.published.length };
  account.fresh = true;
  if (since === "latest") {
    account.position = positionOf(life, id);
    assert.ok(account.position >= asked.last && account.position <= account.answered.last, id);
  } else if (since === "earliest") {
    account.position = positionOf(life, id);
    assert.ok(life.firsts.has(account.position + 1) && account.position + 1 >= asked.first, id);
  } else {
    assert.is(id, since, "the cursor that was handed in");
    if (since.startsWith(`${life.channel.epoch}-`)) account.position = positionOf(life, id);
  }
}

function takeLoss(account: Account, { event, id, ...rest }: Dictionary, fresh: boolean): void {
  const { life, asked } = account;
  assert.equal(Object.keys(event), ["reason", "count"]);
  assert.equal(Object.keys(rest), ["type", "time"]);
  const position = positionOf(life, id);
  assert.ok(life.firsts.has(position + 1), `${id} is just before what was the oldest kept`);
  assert.ok(position + 1 >= asked.first, `${id} was the oldest kept before it was asked for`);
  if (account.position === undefined) {
    assert.equal(event, { reason: "unknown_epoch", count: null });
    assert.ok(fresh, "the loss of a channel that is gone is told at once");
  } else {
    assert.ok(Number.isInteger(event.count) && event.count > 0, `${event.count} events are lost`);
    const hasExpired = account.position < asked.first - 1;
    // Whoever has read nothing yet when it is overtaken may be told either.
    const reasons = hasExpired
      ? ["history_expired"]
      : ["slow_consumer", ...(fresh ? ["history_expired"] : [])];
    assert.ok(reasons.includes(event.reason), `${event.reason} is not ${reasons.join(" or ")}`);
    // A cursor says what is missing after it. Whoever is overtaken may have been further on than it knows.
    if (hasExpired) assert.is(position - event.count, account.position, "so many are lost");
    pass(account, position - event.count);
  }
  account.position = position;
}

function takeMark(account: Account, id: string): void {
  const position = positionOf(account.life, id);
  assert.ok(position > account.position!, "the cursor is moved only where it moves on");
  pass(account, position);
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"\}$/;

function takeEvent(account: Account, id: string, text: string): void {
  const { life, position, wish, answered } = account;
  const here = positionOf(life, id);
  assert.ok(position !== undefined && here > position, `${here} comes after ${position}`);
  pass(account, here - 1);
  const published = life.published[here - 1]!;
  assert.ok(published !== undefined && wants(account, here), `${here} was asked for`);
  assert.ok(wish.follow || here <= answered!.last, "a stream that is not held open carries what was there");
  if (published.text === undefined) {
    assert.ok(text.startsWith(published.head) && TIME.test(text.slice(published.head.length)), text);
    published.text = text;
  }
  assert.ok(text === published.text, "an event is the same text, whenever and in whatever format it comes");
  account.position = here;
}

/** The stream is over: what it had to carry has come. */
function takeEnd(account: Account): void {
  const { life, wish, asked, answered } = account;
  assert.ok(answered !== undefined, "a stream that ends has begun");
  assert.ok(!wish.follow || life.channel.closed, "it was to end");
  if (account.position === undefined) {
    // Where a channel keeps nothing yet, a stream that is not held open leaves the loss to the next one.
    assert.ok(!wish.follow && asked.last === 0, "the loss of a channel that is gone is told");
    return;
  }
  const missed = nextWanted(account, wish.follow ? life.published.length : asked.last);
  assert.is(missed, undefined, `${missed} was asked for, and the stream ends after ${account.position}`);
  const isTold = wish.format === "sse" || wish.bookmarks;
  if (!wish.follow && isTold) assert.ok(account.position >= asked.last, "it tells how far it has come");
}

// What carries the streams, and the time in which it does.

const WAYS = ["cancel", "abort", "both"] as const;
type Way = (typeof WAYS)[number];

/** One open stream. */
interface Stream {
  /** The next bytes; `undefined` after the end; an error where it was cut off. */
  read(): Promise<Uint8Array | undefined>;
  leave(way: Way): Promise<void> | void;
}

interface Ground {
  open(life: Life, path: string, headers: Record<string, string>): Stream;
  /** Whether bytes come as they were sent, so that each time they end where an event does. */
  readonly keepsChunks: boolean;
  now(): number;
  /** Lets so many milliseconds go by, and what falls due in them happen. */
  elapse(ms: number): Promise<void>;
  /** What comes of the promise; an error where nothing does. */
  settled<T>(promise: Promise<T>): Promise<T>;
}

/** All microtasks there are, and those that they make, run before this is over. */
function flush(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/** Where a process stands still for longer, in milliseconds, it gives its readers as much time again. */
const LEAP = 25_000;

/**
 * In this process, in a time that goes by only when it is told to. Then it leaps, and what has fallen due meanwhile
 * happens late and in its order, as behind a busy event loop.
 */
async function inVirtualTime(use: (ground: Ground) => Promise<void>): Promise<void> {
  const { setTimeout, clearTimeout } = globalThis;
  const { now } = performance;
  const setNow = (value: () => number) =>
    Object.defineProperty(performance, "now", { value, configurable: true, writable: true });
  const timers = new Map<number, { readonly due: number; readonly run: () => void }>();
  let made = 0;
  let time = 0;
  Object.assign(globalThis, {
    setTimeout: (callback: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) => {
      timers.set(++made, { due: time + ms, run: () => callback(...args) });
      return made;
    },
    clearTimeout: (timer: number) => void timers.delete(timer),
  });
  setNow(() => time);

  async function elapse(ms: number): Promise<void> {
    for (let left = ms; left >= LEAP; left -= LEAP) await leap(LEAP);
    await leap(ms % LEAP);
  }

  async function leap(ms: number): Promise<void> {
    await flush();
    time += ms;
    const due = [...timers].filter(([, timer]) => timer.due <= time).sort(([, a], [, b]) => a.due - b.due);
    for (const [id, { run }] of due) {
      if (!timers.delete(id)) continue; // One that came before has cleared it.
      run();
      await flush();
    }
  }

  async function settled<T>(promise: Promise<T>): Promise<T> {
    let isOpen = true;
    const close = () => isOpen = false;
    promise.then(close, close);
    for (let waited = 0; isOpen; waited++) {
      if (waited === 100) throw new Error("nothing comes, whatever time goes by");
      await elapse(waited === 0 ? 0 : 1);
    }
    return await promise;
  }

  try {
    await use({ open: openHere, keepsChunks: true, now: () => time, elapse, settled });
  } finally {
    Object.assign(globalThis, { setTimeout, clearTimeout });
    setNow(now);
  }
}

function openHere({ app }: Life, path: string, headers: Record<string, string>): Stream {
  const abort = new AbortController();
  const opening = (async () => {
    const response = await app.request(path, { headers, signal: abort.signal });
    assert.is(response.status, 200);
    return response.body!.getReader();
  })();
  opening.catch(() => {}); // Whoever reads is told.
  return {
    read: async () => (await (await opening).read()).value,
    leave: async (way) => {
      if (way !== "cancel") abort.abort();
      if (way !== "abort") await (await opening).cancel().catch(() => {}); // It may have been cut off.
    },
  };
}

/** Over a socket that is read only when it is told to, from what a server sends that uses the real time. */
function onSockets(port: number): Ground {
  return {
    open: (_, path, headers) => openSocket(port, path, headers),
    keepsChunks: false,
    now: () => performance.now(),
    elapse: (ms) => new Promise((resolve) => void setTimeout(resolve, Math.min(ms, 15))),
    settled: (promise) => within(promise, "what is due", 5000),
  };
}

function openSocket(port: number, path: string, headers: Record<string, string>): Stream {
  const socket = connect(port, "127.0.0.1");
  const lines = [`GET ${path} HTTP/1.1`, "Host: localhost"];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  socket.write(lines.join("\r\n") + "\r\n\r\n");
  const body = httpBody();
  let failure: Error | undefined;
  let wake = () => {};
  socket.on("data", (bytes: Uint8Array) => {
    socket.pause();
    try {
      body.push(bytes);
    } catch (error) {
      failure = error as Error;
    }
    wake();
  });
  socket.on("error", () => {}); // What follows it is the end of the connection.
  socket.once("close", () => {
    failure ??= new Error("the connection was cut");
    wake();
  });
  return {
    read: async () => {
      while (true) {
        const bytes = body.shift();
        if (bytes !== undefined) return bytes;
        if (body.isOver()) {
          socket.destroy();
          return undefined;
        }
        if (failure !== undefined) throw failure;
        await new Promise<void>((resolve) => {
          wake = resolve;
          socket.resume();
        });
      }
    },
    leave: (way) => {
      if (way === "cancel") socket.end();
      if (way === "abort") socket.resetAndDestroy();
      else socket.destroy();
    },
  };
}

/** Reads a response and its body (RFC 9112, sections 6 and 7), as far as they have come. */
function httpBody() {
  const parts: Uint8Array[] = [];
  let rest: Uint8Array = new Uint8Array(0);
  /** How long the chunk is that has begun, with the line end after it; or the whole body. */
  let length: number | undefined;
  let stage: "head" | "chunks" | "whole" | "over" = "head";

  function takeLine(end: string): string | undefined {
    const at = Buffer.from(rest).indexOf(end);
    if (at < 0) return undefined;
    const line = new TextDecoder().decode(rest.subarray(0, at));
    rest = rest.subarray(at + end.length);
    return line;
  }

  function takeHead(): boolean {
    const head = takeLine("\r\n\r\n")?.toLowerCase();
    if (head === undefined) return false;
    const [, whole] = /\r\ncontent-length: (\d+)/.exec(head) ?? [];
    assert.ok(head.startsWith("http/1.1 200"), head);
    assert.ok(whole !== undefined || head.includes("\r\ntransfer-encoding: chunked"), head);
    stage = whole === undefined ? "chunks" : "whole";
    length = whole === undefined ? undefined : Number(whole);
    return true;
  }

  function takeChunk(): boolean {
    if (length === undefined) {
      const size = takeLine("\r\n");
      if (size === undefined) return false;
      assert.match(size, /^[0-9a-f]+$/i);
      length = Number.parseInt(size, 16) + 2;
    }
    if (rest.length < length) return false;
    assert.equal([...rest.subarray(length - 2, length)], [13, 10], "a chunk is as long as it says");
    if (length > 2) parts.push(rest.subarray(0, length - 2));
    else stage = "over";
    rest = rest.subarray(length);
    length = undefined;
    return true;
  }

  function takeWhole(): boolean {
    if (rest.length < length!) return false;
    parts.push(rest.subarray(0, length));
    rest = rest.subarray(length!);
    stage = "over";
    return true;
  }

  const takeNext = { head: takeHead, chunks: takeChunk, whole: takeWhole, over: () => false };
  return {
    push: (bytes: Uint8Array) => {
      rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
      while (takeNext[stage]()) { /* goes on */ }
      assert.ok(stage !== "over" || rest.length === 0, "nothing comes after the end");
    },
    shift: () => parts.shift(),
    isOver: () => stage === "over",
  };
}

// A run: consumers that do what they are told, in any order, and keep their accounts.

/** Where a stream is asked to start. */
interface Since {
  readonly from: "nothing" | "latest" | "earliest" | "its last" | "the past" | "another life";
  /** Chooses among the positions and the lives. */
  readonly at: number;
  readonly byHeader: boolean;
}

type Step =
  | { readonly do: "publish"; readonly events: readonly Wished[]; readonly apart: boolean }
  | { readonly do: "microtasks"; readonly count: number }
  | { readonly do: "elapse"; readonly ms: number }
  | { readonly do: "open"; readonly consumer: number; readonly since: Since; readonly wish: Wish }
  | { readonly do: "read"; readonly consumer: number; readonly count: number }
  | { readonly do: "catch up"; readonly consumer: number }
  | { readonly do: "drop"; readonly consumer: number; readonly way: Way }
  | { readonly do: "resume"; readonly consumer: number; readonly byHeader: boolean }
  | { readonly do: "restart"; readonly setting: Setting }
  | { readonly do: "ask ahead"; readonly by: number };

interface Plan {
  readonly consumers: number;
  readonly setting: Setting;
  readonly steps: readonly Step[];
  /** In the end the channel is closed, or everybody leaves. */
  readonly ending: "close" | Way;
}

interface Reading {
  readonly promise: Promise<unknown>;
  /** For how long the consumer had taken nothing when it began to read. */
  readonly idle: number;
  /** When it got what it waits for. */
  tookAt: number;
  outcome?: { readonly bytes: Uint8Array | undefined } | { readonly error: Error };
}

interface Consumer {
  wish: Wish;
  account?: Account;
  stream?: Stream | undefined;
  parser?: Parser;
  /** What was read and is not yet consumed. */
  items: Item[];
  /** What it waits for, if it does. */
  reading?: Reading | undefined;
  /** When it last took something. */
  lastRead: number;
  lastId?: string | undefined;
}

/** Milliseconds after which an endpoint gives up a reader that takes nothing: the default. */
const STALL_MS = 60_000;

/** How often what happened in the runs of a property, to see that all of it did. */
class Tally extends Map<string, number> {
  add(what: string): void {
    this.set(what, (this.get(what) ?? 0) + 1);
  }

  /** Each of these happened. */
  includes(...names: string[]): void {
    for (const name of names) assert.ok(this.has(name), `no run had ${name}: ${[...this].join(" ")}`);
  }
}

async function run(ground: Ground, plan: Plan, lives: Map<string, Life>, tally: Tally): Promise<void> {
  let life = start(plan.setting);
  const consumers = Array.from({ length: plan.consumers }, (): Consumer => {
    return { wish: { format: "ndjson", filter: 0, bookmarks: false, follow: true }, items: [], lastRead: 0 };
  });

  function start(setting: Setting): Life {
    const life = begin(setting);
    lives.set(life.channel.epoch, life);
    return life;
  }

  function open(consumer: Consumer, since: string | undefined, byHeader: boolean): void {
    const { wish } = consumer;
    const { query, types } = FILTERS[wish.filter]!;
    const parameters = new URLSearchParams();
    const headers: Record<string, string> = {};
    if (wish.format === "sse" && byHeader) headers["Accept"] = "text/event-stream";
    else if (wish.format === "sse") parameters.set("format", "sse");
    if (types !== undefined) parameters.set("types", query);
    if (wish.bookmarks) parameters.set("bookmarks", "true");
    if (!wish.follow) parameters.set("follow", "false");
    if (since?.includes("-") && byHeader) {
      headers["Last-Event-ID"] = since;
      parameters.set("since", "earliest"); // What it saw last counts more.
    } else if (since !== undefined) parameters.set("since", since);
    consumer.account = openAccount(life, wish, since ?? "latest");
    consumer.stream = ground.open(life, `/${life.channel.epoch}/events?${parameters}`, headers);
    consumer.parser = parserOf(wish.format);
    consumer.items = [];
    consumer.reading = undefined;
    consumer.lastRead = ground.now();
  }

  async function leave(consumer: Consumer, way: Way): Promise<void> {
    const { stream } = consumer;
    consumer.stream = undefined;
    consumer.items = []; // What was read and not consumed is as if it had never come.
    await stream?.leave(way);
  }

  function sinceOf({ from, at }: Since, { lastId }: Consumer): string | undefined {
    const { epoch } = life.channel;
    if (from === "nothing") return undefined;
    if (from === "its last") return lastId ?? "earliest";
    if (from === "the past") return `${epoch}-${at % (life.published.length + 1)}`;
    const others = [...lives.keys()].filter((other) => other !== epoch);
    return from === "another life" ? `${others[at % others.length] ?? "gone"}-${at}` : from;
  }

  /** Reads on as far as something is due, and tells whether there is something to consume. */
  async function fetchItems(consumer: Consumer): Promise<boolean> {
    const { account, stream, parser } = consumer;
    if (account === undefined || stream === undefined || parser === undefined) return false;
    const reading = consumer.reading ??= read(consumer, stream);
    if (isDue(account)) await ground.settled(reading.promise);
    else await flush();
    const { outcome } = reading;
    if (outcome === undefined) return false; // It goes on waiting.
    consumer.reading = undefined;
    consumer.lastRead = reading.tookAt;
    if ("error" in outcome) {
      consumer.stream = undefined;
      if (reading.idle < STALL_MS - 1) throw outcome.error;
      tally.add("a reader given up");
      return false;
    }
    if (outcome.bytes === undefined) {
      consumer.stream = undefined;
      assert.is(parser.rest(), "", "a stream ends at the end of a line");
      takeEnd(account);
      tally.add("an end");
      return false;
    }
    consumer.items.push(...parser.push(outcome.bytes));
    if (ground.keepsChunks) {
      assert.is(parser.rest(), "", "a chunk ends at the end of a line");
      assert.ok(outcome.bytes.length < 300_000 || consumer.items.length === 1, "a chunk is bounded");
    }
    return true;
  }

  function read({ lastRead }: Consumer, stream: Stream): Reading {
    const settle = (outcome: Reading["outcome"] & object) => {
      reading.outcome = outcome;
      reading.tookAt = ground.now();
    };
    const promise = stream.read().then((bytes) => settle({ bytes }), (error) => settle({ error }));
    const reading: Reading = { promise, idle: ground.now() - lastRead, tookAt: Infinity };
    return reading;
  }

  /** Consumes the next item, if there is one; tells whether it was more than a heartbeat. */
  async function consume(consumer: Consumer): Promise<boolean> {
    while (consumer.items.length === 0) if (!(await fetchItems(consumer))) return false;
    const item = consumer.items.shift()!;
    const account = consumer.account!;
    tally.add(item.is !== "event" ? item.is : item.event.event?.reason ?? item.event.type);
    take(account, item);
    consumer.lastId = account.lastId;
    return item.is !== "heartbeat";
  }

  /** Consumes all that has come, and all that is due. */
  async function catchUp(consumer: Consumer): Promise<void> {
    const isBehind = () => consumer.items.length > 0 || (consumer.stream && isDue(consumer.account!));
    for (let quiet = 0; isBehind(); quiet++) {
      assert.ok(quiet < 500, "what is due comes, and not one heartbeat after the other");
      if (await consume(consumer)) quiet = 0;
    }
  }

  async function perform(step: Step): Promise<void> {
    const consumer = consumers["consumer" in step ? step.consumer : 0]!;
    switch (step.do) {
      case "publish":
        return publish(life, step.events, step.apart);
      case "microtasks":
        for (let i = 0; i < step.count; i++) await undefined;
        return;
      case "elapse":
        return await ground.elapse(step.ms);
      case "open":
        await leave(consumer, "cancel");
        consumer.wish = step.wish;
        return open(consumer, sinceOf(step.since, consumer), step.since.byHeader);
      case "read":
        for (let i = 0; i < step.count; i++) await consume(consumer);
        return;
      case "catch up":
        await catchUp(consumer);
        return void await fetchItems(consumer); // Waits for what comes next.
      case "drop":
        return await leave(consumer, step.way);
      case "resume":
        await leave(consumer, "both");
        return open(consumer, consumer.lastId ?? "earliest", step.byHeader);
      case "restart":
        life.channel.close();
        life = start(step.setting);
        return;
      case "ask ahead": {
        const since = `${life.channel.epoch}-${life.published.length + step.by}`;
        const response = await life.app.request(`/${life.channel.epoch}/events?since=${since}`);
        assert.is((await response.json()).error.code, "InvalidCursor");
      }
    }
  }

  for (const step of plan.steps) await perform(step);
  const { ending } = plan;
  if (ending === "close") life.channel.close();
  for (const consumer of consumers) {
    await catchUp(consumer);
    if (ending !== "close") await leave(consumer, ending);
  }
  for (const { endpoint, channel } of lives.values()) {
    const isIdle = () => endpoint.stats().subscribers + channel.stats().readers === 0;
    if (ground.keepsChunks) await flush();
    else await until(isIdle, "nobody is left");
    assert.ok(
      isIdle(),
      `${endpoint.stats().subscribers} subscribers, ${channel.stats().readers} readers left`,
    );
  }
}

// Which runs there are.

const byHeader = fc.boolean();
const way = fc.constantFrom(...WAYS);

const since: fc.Arbitrary<Since> = fc.record({
  from: fc.constantFrom("nothing", "latest", "earliest", "its last", "the past", "another life"),
  at: fc.nat({ max: 100 }),
  byHeader,
});

const wish: fc.Arbitrary<Wish> = fc.record({
  format: fc.constantFrom(...FORMATS),
  filter: fc.oneof(fc.constant(0), fc.nat({ max: FILTERS.length - 1 })),
  bookmarks: fc.boolean(),
  follow: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
});

interface Shape {
  /** The length of an event in units of 16 bytes. */
  readonly units: fc.Arbitrary<number>;
  readonly maxBytes: fc.Arbitrary<number>;
  readonly heartbeat: fc.Arbitrary<number | null>;
  /** Milliseconds that go by at once. */
  readonly ms: fc.Arbitrary<number>;
  /** How often it does. */
  readonly pauses: number;
  readonly consumers: number;
  readonly maxLength: number;
}

function plans({ units, maxBytes, heartbeat, ms, pauses, consumers, maxLength }: Shape): fc.Arbitrary<Plan> {
  const consumer = fc.nat({ max: consumers - 1 });
  const setting: fc.Arbitrary<Setting> = fc.record({
    maxEvents: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 13, max: 60 }), fc.constant(1000)),
    maxBytes,
    heartbeat,
    selects: fc.oneof(
      { weight: 3, arbitrary: fc.constant(false) },
      { weight: 1, arbitrary: fc.constant(true) },
    ),
  });
  const event = fc.record({ type: fc.nat({ max: 3 }), units });
  const events = fc.array(event, { minLength: 1, maxLength: 8 });
  const kinds: [number, { [K in Step["do"]]: fc.Arbitrary<Step & { do: K }> }[Step["do"]]][] = [
    [6, fc.record({ do: fc.constant("publish"), events, apart: fc.boolean() })],
    [3, fc.record({ do: fc.constant("microtasks"), count: fc.integer({ min: 1, max: 30 }) })],
    [pauses, fc.record({ do: fc.constant("elapse"), ms })],
    [4, fc.record({ do: fc.constant("open"), consumer, since, wish })],
    [8, fc.record({ do: fc.constant("read"), consumer, count: fc.integer({ min: 1, max: 6 }) })],
    [4, fc.record({ do: fc.constant("catch up"), consumer })],
    [1, fc.record({ do: fc.constant("drop"), consumer, way })],
    [2, fc.record({ do: fc.constant("resume"), consumer, byHeader })],
  ];
  const step: fc.Arbitrary<Step> = fc.oneof(
    ...kinds.map(([weight, arbitrary]) => ({ weight: 4 * weight, arbitrary })),
    { weight: 2, arbitrary: fc.record({ do: fc.constant("restart" as const), setting }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant("ask ahead" as const), by: fc.integer({ min: 1 }) }),
    },
  );
  return fc.record({
    consumers: fc.constant(consumers),
    setting,
    steps: fc.array(step, { maxLength, size: "max" }),
    ending: fc.oneof(fc.constant("close" as const), way),
  });
}

const small = fc.nat({ max: 12 });
const historyBytes = fc.oneof(fc.constant(32 * 1024 * 1024), fc.integer({ min: 1500, max: 10_000 }));

/** Tries so many values, or on a slow machine those for which there is time. A run that has begun is not given up. */
async function always<T>(
  values: fc.Arbitrary<T>,
  numRuns: number,
  holds: (value: T) => Promise<void> | void,
): Promise<void> {
  const end = Date.now() + 6000;
  const property = fc.asyncProperty(values, async (value) => {
    if (Date.now() < end) await holds(value);
  });
  await fc.assert(property, { numRuns, includeErrorInReport: true });
}

async function holdsHere(shape: Shape, numRuns: number): Promise<Tally> {
  const tally = new Tally();
  await always(plans(shape), numRuns, (plan) =>
    inVirtualTime(async (ground) => {
      const left = await timersLeftBy(() => run(ground, plan, new Map(), tally));
      assert.is(left, 0, `${left} timers are left`);
    }));
  return tally;
}

test("any interleaving of publishing, reading, leaving, resuming and forgetting: nothing is missed untold", async () => {
  const tally = await holdsHere({
    units: small,
    maxBytes: historyBytes,
    heartbeat: fc.constant(null),
    ms: fc.constantFrom(0, 0, 1, 3, 7),
    pauses: 3,
    consumers: 4,
    maxLength: 60,
  }, 2500);
  tally.includes("an end", "history_expired", "slow_consumer", "unknown_epoch");
});

test("the same with long silences: heartbeats, cursors that are moved on, and readers that are given up", async () => {
  const tally = await holdsHere({
    units: small,
    maxBytes: historyBytes,
    heartbeat: fc.constantFrom(5, 0.002),
    ms: fc.constantFrom(0, 3, 2500, 5001, 5001, 61_000),
    pauses: 12,
    consumers: 2,
    maxLength: 50,
  }, 1200);
  tally.includes("heartbeat", "events_bookmark", "move", "a reader given up");
});

test("the same with events larger than the chunks of a replay, and more of them hidden than one turn reads", async () => {
  await holdsHere({
    units: fc.oneof(small, fc.integer({ min: 3000, max: 6000 }), fc.integer({ min: 12_000, max: 25_000 })),
    maxBytes: fc.oneof(fc.constant(32 * 1024 * 1024), fc.integer({ min: 100_000, max: 2_000_000 })),
    heartbeat: fc.constantFrom(null, 5),
    ms: fc.constantFrom(0, 1, 7, 5001),
    pauses: 3,
    consumers: 2,
    maxLength: 40,
  }, 120);
});

test("a channel that has forgotten thousands reads from every position what it kept after it", async () => {
  const burst = fc.record({
    count: fc.integer({ min: 1, max: 800 }),
    type: fc.nat({ max: 3 }),
    reads: fc.array(
      fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), maxBytes: fc.nat({ max: 3000 }) }),
    ),
  });
  const values = fc.record({
    maxEvents: fc.integer({ min: 1, max: 1500 }),
    maxBytes: fc.constantFrom(2000, 40_000, 1_000_000),
    bursts: fc.array(burst, { minLength: 3, maxLength: 8 }),
  });
  await always(values, 60, ({ maxEvents, maxBytes, bursts }) => {
    const life = begin({ maxEvents, maxBytes, heartbeat: null, selects: false });
    const { published, channel } = life;
    for (const { count, type, reads } of bursts) {
      for (let i = 0; i < count; i++) publish(life, [{ type, units: i % 4 }], true);
      for (const { at, maxBytes } of reads) {
        const position = Math.round(at * published.length);
        const after = Math.max(position, life.first - 1);
        const { lost, entries } = channel.read(position, maxBytes);
        assert.is(lost?.count, after > position ? after - position : undefined);
        let size = 0;
        entries.forEach((entry, index) => {
          assert.is(entry.position, after + index + 1);
          assert.ok(entry.json.startsWith(published[entry.position - 1]!.head), "the very event");
          size += entry.bytes;
        });
        assert.ok(size <= maxBytes || entries.length === 1, "no more bytes than asked for");
        const next = published[after + entries.length];
        const isFull = entries.length > 0 && next !== undefined && size + next.bytes > maxBytes;
        assert.ok(next === undefined || isFull, "and no less");
      }
    }
  });
});

test("the same over sockets", async () => {
  const tally = new Tally();
  const lives = new Map<string, Life>();
  const app = {
    fetch: (request: Request, ...host: never[]) => {
      const life = lives.get(new URL(request.url).pathname.split("/")[1]!);
      return life?.app.fetch(request, ...host) ?? new Response(null, { status: 404 });
    },
  };
  const shape = {
    units: fc.oneof({ weight: 9, arbitrary: small }, { weight: 1, arbitrary: fc.nat({ max: 12_000 }) }),
    maxBytes: fc.oneof(historyBytes, fc.integer({ min: 100_000, max: 2_000_000 })),
    heartbeat: fc.constantFrom(null, 0.01),
    ms: fc.constantFrom(0, 1, 5, 15),
    pauses: 3,
    consumers: 4,
    maxLength: 40,
  };
  await serving(app, async (_, port) => {
    await always(plans(shape), 120, async (plan) => {
      lives.clear();
      const left = await timersLeftBy(() => run(onSockets(port), plan, lives, tally));
      assert.is(left, 0, `${left} timers are left`);
    });
  });
  tally.includes("an end", "history_expired", "unknown_epoch", "heartbeat");
});

test.run();
