/**
 * The account of one open stream: every position is delivered, hidden by its own filter, erased, or reported as lost.
 *
 * @module
 */
import * as assert from "uvu/assert";
import type { Dictionary } from "../support/harness.ts";
import { FILTERS, type Life, selects } from "./model.ts";
import type { Format, Item } from "./parsers.ts";

/** What a consumer requests, apart from its start. */
export interface Wish {
  readonly format: Format;
  /** Which of the filters. */
  readonly filter: number;
  readonly bookmarks: boolean;
  readonly follow: boolean;
}

export interface Account {
  readonly life: Life;
  readonly wish: Wish;
  /** The start that it requested. */
  readonly since: string;
  /** The positions of events that had been erased at the request. */
  readonly erased: ReadonlySet<number>;
  /** The events of the channel at the request. */
  readonly asked: { readonly first: number; readonly last: number };
  /** The events of the channel at the beginning of the response; absent before that. */
  answered?: { readonly last: number };
  /** The position accounted for; unknown until the loss of an unknown epoch is reported. */
  position?: number;
  /** The id to resume after: that of the last item consumed. */
  lastId?: string;
  /** Whether `events_start` was the last item, apart from heartbeats. */
  fresh: boolean;
}

export function openAccount(life: Life, wish: Wish, since: string): Account {
  const { first, published } = life;
  const erased = new Set(published.flatMap(({ isErased }, index) => isErased ? [index + 1] : []));
  return { life, wish, since, erased, asked: { first, last: published.length }, fresh: true };
}

/** Whether this stream may deliver the event at a position. */
function wants({ life, wish, erased }: Account, position: number): boolean {
  if (erased.has(position) || life.selects && position % 3 === 0) return false;
  return selects(FILTERS[wish.filter]!, life.published[position - 1]!);
}

/** The first position after the one accounted for that the stream must deliver. */
function nextWanted(account: Account, upTo = account.life.published.length): number | undefined {
  for (let position = account.position! + 1; position <= upTo; position++) {
    if (wants(account, position) && !account.life.published[position - 1]!.isErased) return position;
  }
  return undefined;
}

/** Whether the stream must deliver an event, or end, if no more is published. */
export function isDue(account: Account): boolean {
  if (account.position === undefined || !account.wish.follow || account.life.channel.closed) return true;
  return nextWanted(account) !== undefined;
}

function positionOf({ channel }: Life, id: string): number {
  const [epoch, position] = id.split("-");
  assert.is(epoch, channel.epoch);
  return Number(position);
}

/** Moves the account to a position. No event before it may be one that the stream must deliver. */
function pass(account: Account, position: number): void {
  assert.ok(position >= account.position!, `positions only increase: ${position} after ${account.position}`);
  assert.ok(position <= account.life.published.length, `${position} was never published`);
  const missed = nextWanted(account, position);
  assert.is(missed, undefined, `${missed} was requested, and skipped before ${position}`);
  account.position = position;
}

export function take(account: Account, item: Item): void {
  const { life, wish } = account;
  const { types, subjects } = FILTERS[wish.filter]!;
  // Readers pass erased events as they pass those that a filter hides.
  const isFiltered = types !== undefined || subjects !== undefined || life.selects ||
    life.published.some(({ isErased }) => isErased);
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
    assert.ok(wish.bookmarks && isFiltered, "bookmarks were requested, and there is a filter");
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
    assert.is(id, since, "the cursor of the request");
    if (since.startsWith(`${life.channel.epoch}-`)) account.position = positionOf(life, id);
  }
}

function takeLoss(account: Account, { event, id, ...rest }: Dictionary, fresh: boolean): void {
  const { life, asked } = account;
  assert.equal(Object.keys(event), ["reason", "count"]);
  assert.equal(Object.keys(rest), ["type", "time"]);
  const position = positionOf(life, id);
  assert.ok(life.firsts.has(position + 1), `${id} is just before what was the oldest kept`);
  assert.ok(position + 1 >= asked.first, `${id} was the oldest kept before the request`);
  if (account.position === undefined) {
    assert.equal(event, { reason: "unknown_epoch", count: null });
    assert.ok(fresh, "the loss of an unknown epoch is reported at once");
  } else {
    assert.ok(Number.isInteger(event.count) && event.count > 0, `${event.count} events are lost`);
    const hasExpired = account.position < asked.first - 1;
    // A reader that is overtaken before its first event may get either reason.
    const reasons = hasExpired
      ? ["history_expired"]
      : ["slow_consumer", ...(fresh ? ["history_expired"] : [])];
    assert.ok(reasons.includes(event.reason), `${event.reason} is not ${reasons.join(" or ")}`);
    // After a cursor the count is known. A reader that is overtaken may have read more than was recorded here.
    if (hasExpired) assert.is(position - event.count, account.position, "the count is exact");
    pass(account, position - event.count);
  }
  account.position = position;
}

function takeMark(account: Account, id: string): void {
  const position = positionOf(account.life, id);
  assert.ok(position > account.position!, "a bookmark moves the cursor");
  pass(account, position);
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"\}$/;

function takeEvent(account: Account, id: string, text: string): void {
  const { life, position, wish, answered } = account;
  const here = positionOf(life, id);
  assert.ok(position !== undefined && here > position, `${here} comes after ${position}`);
  pass(account, here - 1);
  const published = life.published[here - 1]!;
  assert.ok(published !== undefined && wants(account, here), `${here} was requested`);
  assert.ok(wish.follow || here <= answered!.last, "with follow=false no event is later than the request");
  if (published.text === undefined) {
    assert.ok(text.startsWith(published.head) && TIME.test(text.slice(published.head.length)), text);
    published.text = text;
  }
  assert.ok(text === published.text, "an event is the same text at any time and in any format");
  account.position = here;
}

/** Takes the end of the stream: everything it had to deliver must have arrived. */
export function takeEnd(account: Account): void {
  const { life, wish, asked, answered } = account;
  assert.ok(answered !== undefined, "a stream that ends has begun");
  assert.ok(!wish.follow || life.channel.closed, "it was to end");
  if (account.position === undefined) {
    // If a channel is empty, a stream with follow=false leaves the loss to the next one.
    assert.ok(!wish.follow && asked.last === 0, "the loss of an unknown epoch is reported");
    return;
  }
  const missed = nextWanted(account, wish.follow ? life.published.length : asked.last);
  assert.is(missed, undefined, `${missed} was requested, and the stream ended after ${account.position}`);
  const isReported = wish.format === "sse" || wish.bookmarks;
  if (!wish.follow && isReported) {
    assert.ok(account.position >= asked.last, "it reports the position it has reached");
  }
}
