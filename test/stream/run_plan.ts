/**
 * Runs a plan, whose consumers keep their accounts.
 *
 * @module
 */
import * as assert from "uvu/assert";
import { until } from "../support/harness.ts";
import { flush } from "../support/virtual_time.ts";
import { type Account, isDue, openAccount, take, takeEnd, type Wish } from "./account.ts";
import type { Ground, Stream, Way } from "./grounds.ts";
import { begin, erase, FILTERS, type Life, publish, type Setting, type Wished } from "./model.ts";
import { type Item, type Parser, parserOf } from "./parsers.ts";

/** The requested start of a stream. */
export interface Since {
  readonly from: "nothing" | "latest" | "earliest" | "its last" | "the past" | "another life";
  /** Chooses among the positions and the lives. */
  readonly at: number;
  readonly byHeader: boolean;
}

export type Step =
  | { readonly do: "publish"; readonly events: readonly Wished[]; readonly apart: boolean }
  | { readonly do: "erase"; readonly subject: string }
  | { readonly do: "microtasks"; readonly count: number }
  | { readonly do: "elapse"; readonly ms: number }
  | { readonly do: "open"; readonly consumer: number; readonly since: Since; readonly wish: Wish }
  | { readonly do: "read"; readonly consumer: number; readonly count: number }
  | { readonly do: "catch up"; readonly consumer: number }
  | { readonly do: "drop"; readonly consumer: number; readonly way: Way }
  | { readonly do: "resume"; readonly consumer: number; readonly byHeader: boolean }
  | { readonly do: "restart"; readonly setting: Setting }
  | { readonly do: "ask ahead"; readonly by: number };

export interface Plan {
  readonly consumers: number;
  readonly setting: Setting;
  readonly steps: readonly Step[];
  /** In the end the channel is closed, or all consumers disconnect. */
  readonly ending: "close" | Way;
}

interface Reading {
  readonly promise: Promise<unknown>;
  /** Milliseconds since the last read of the consumer when it began to read. */
  readonly idle: number;
  /** When it received the bytes. */
  tookAt: number;
  outcome?: { readonly bytes: Uint8Array | undefined } | { readonly error: Error };
}

interface Consumer {
  wish: Wish;
  account?: Account;
  stream?: Stream | undefined;
  parser?: Parser;
  /** Items that were read and not yet consumed. */
  items: Item[];
  /** The pending read, if there is one. */
  reading?: Reading | undefined;
  /** When it last received bytes. */
  lastRead: number;
  lastId?: string | undefined;
}

/** The default stall timeout in milliseconds. */
const STALL_MS = 60_000;

/** Counts of what happened in the runs of a property, to verify that each case occurred. */
export class Tally extends Map<string, number> {
  add(what: string): void {
    this.set(what, (this.get(what) ?? 0) + 1);
  }

  /** Asserts that each of these happened. */
  includes(...names: string[]): void {
    for (const name of names) assert.ok(this.has(name), `no run had ${name}: ${[...this].join(" ")}`);
  }
}

export async function run(ground: Ground, plan: Plan, lives: Map<string, Life>, tally: Tally): Promise<void> {
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
    const { query, types, subjects = [] } = FILTERS[wish.filter]!;
    const parameters = new URLSearchParams();
    const headers: Record<string, string> = {};
    if (wish.format === "sse" && byHeader) headers["Accept"] = "text/event-stream";
    else if (wish.format === "sse") parameters.set("format", "sse");
    if (types !== undefined) parameters.set("types", query);
    for (const subject of subjects) parameters.append("subject", subject);
    if (wish.bookmarks) parameters.set("bookmarks", "true");
    if (!wish.follow) parameters.set("follow", "false");
    if (since?.includes("-") && byHeader) {
      headers["Last-Event-ID"] = since;
      parameters.set("since", "earliest"); // The header takes precedence.
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
    consumer.items = []; // Items that were read and not consumed are dropped.
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

  /** Reads if something is due, and returns whether there is something to consume. */
  async function fetchItems(consumer: Consumer): Promise<boolean> {
    const { account, stream, parser } = consumer;
    if (account === undefined || stream === undefined || parser === undefined) return false;
    const reading = consumer.reading ??= read(consumer, stream);
    if (isDue(account)) await ground.settled(reading.promise);
    else await flush();
    const { outcome } = reading;
    if (outcome === undefined) return false; // It still waits.
    consumer.reading = undefined;
    consumer.lastRead = reading.tookAt;
    if ("error" in outcome) {
      consumer.stream = undefined;
      if (reading.idle < STALL_MS - 1) throw outcome.error;
      tally.add("a stalled reader");
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

  /** Consumes the next item, if there is one, and returns whether it was more than a heartbeat. */
  async function consume(consumer: Consumer): Promise<boolean> {
    while (consumer.items.length === 0) if (!(await fetchItems(consumer))) return false;
    const item = consumer.items.shift()!;
    const account = consumer.account!;
    tally.add(item.is !== "event" ? item.is : item.event.event?.reason ?? item.event.type);
    take(account, item);
    consumer.lastId = account.lastId;
    return item.is !== "heartbeat";
  }

  /** Consumes everything that has arrived, and everything that is due. */
  async function catchUp(consumer: Consumer): Promise<void> {
    const isBehind = () => consumer.items.length > 0 || (consumer.stream && isDue(consumer.account!));
    for (let quiet = 0; isBehind(); quiet++) {
      assert.ok(quiet < 500, "what is due arrives, and not only heartbeats");
      if (await consume(consumer)) quiet = 0;
    }
  }

  async function perform(step: Step): Promise<void> {
    const consumer = consumers["consumer" in step ? step.consumer : 0]!;
    switch (step.do) {
      case "publish":
        return publish(life, step.events, step.apart);
      case "erase":
        return erase(life, step.subject);
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
    else await until(isIdle, "no reader is left");
    assert.ok(
      isIdle(),
      `${endpoint.stats().subscribers} subscribers, ${channel.stats().readers} readers left`,
    );
  }
}
