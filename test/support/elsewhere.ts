/**
 * A channel whose events are stored elsewhere: it answers when the test does, and can begin a new epoch.
 *
 * @module
 */
import { Hono } from "hono";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { iterate } from "../../src/channel/iterator.ts";
import {
  type Batch,
  type Catalogue,
  type Channel,
  createChannel,
  defineEvents,
  type EventsEndpoint,
  eventsEndpoint,
  type MemoryChannel,
  type Start,
} from "../../src/mod.ts";
import { type Dictionary, type Lines, linesOf } from "./harness.ts";

type Schemas = { readonly tick: v.ObjectSchema<{ readonly n: v.NumberSchema<undefined> }, undefined> };

const catalogue: Catalogue<Schemas> = defineEvents({ tick: v.object({ n: v.number() }) });

/** A pending request to the store, which the test answers. */
export interface Question {
  answer(): void;
  refuse(error: Error): void;
}

/** A channel elsewhere, and its store. */
export interface Elsewhere {
  readonly channel: Channel<Schemas>;
  /** Its store. */
  store: MemoryChannel<Schemas>;
  /** The pending requests to the store. */
  readonly questions: Question[];
  /** The position of the oldest event that this process knows of. Later expiry shows when it reads. */
  first: number;
  /** The position after which this process has the events itself. */
  held: number;
  /** Locates the start of a reader. */
  locate(since: string): Start | Promise<Start>;
  /** Wakes all waiting readers. */
  wake(): void;
  /** Begins a new epoch without events, and does not wake the readers. */
  replaceStore(): void;
  /** Begins a new epoch without events, and wakes the readers. */
  beginAnew(): void;
}

/** Makes an empty channel elsewhere. */
export function elsewhere(history: number = 1000): Elsewhere {
  const make = () => createChannel(catalogue, { history: { events: history } });
  const readers = new Set<() => void>();

  function ask<T>(answer: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      self.questions.push({ answer: () => resolve(answer()), refuse: reject });
    });
  }

  const channel: Channel<Schemas> = {
    catalogue,
    get epoch() {
      return self.store.epoch;
    },
    get first() {
      return self.first;
    },
    get last() {
      return self.store.last;
    },
    get closed() {
      return self.store.closed;
    },
    read: (position, maxBytes): Batch | Promise<Batch> => {
      const gone = self.first - 1 - position;
      if (gone > 0) return { lost: { reason: "slow_consumer", count: gone }, entries: [] };
      const { store } = self;
      return position >= self.held
        ? store.read(position, maxBytes)
        : ask(() => store.read(position, maxBytes));
    },
    locate: (since) => self.locate(since),
    batches: (since = "latest") =>
      iterate(channel, since, (reader) => readers.add(reader), (reader) => readers.delete(reader)),
    publish: async (type, ...payload) => {
      const id = await ask(() => self.store.publish(type, ...payload));
      self.wake();
      return id;
    },
    publishBatch: async (drafts) => {
      const ids = await ask(() => self.store.publishBatch(drafts));
      self.wake();
      return ids;
    },
    erase: (events) => self.store.erase(events),
    onErase: (listener) => self.store.onErase!(listener),
    parse: (entry) => self.store.parse(entry),
    close: () => {
      self.store.close();
      self.wake();
    },
    stats: () => ({ ...self.store.stats(), readers: readers.size }),
  };
  const self: Elsewhere = {
    channel,
    store: make(),
    questions: [],
    first: 1,
    held: 0,
    locate: (since) => self.store.locate(since),
    wake: () => readers.forEach((reader) => reader()),
    replaceStore: () => {
      self.store = make();
    },
    beginAnew: () => {
      self.replaceStore();
      self.wake();
    },
  };
  return self;
}

/** Publishes ticks with these numbers. */
export function tick(there: Elsewhere, from: number, to: number): void {
  for (let n = from; n <= to; n++) there.store.publish("tick", { n });
  there.wake();
}

/** Opens a stream. */
export async function open(app: Hono, query: string, headers: Record<string, string> = {}): Promise<Lines> {
  const response = await app.request(`/events?${query}`, { headers });
  assert.is(response.status, 200);
  return linesOf(response.body!);
}

/** Serves the channel at `/events`. */
export function serve(
  there: Elsewhere,
  onError?: (error: unknown) => void,
): { readonly app: Hono; readonly endpoint: EventsEndpoint } {
  const endpoint = eventsEndpoint(there.channel, onError && { onError });
  const app = new Hono();
  app.route("/events", endpoint);
  return { app, endpoint };
}

/** Answers every request to the store while `use` runs. */
export async function answering<T>(there: Elsewhere, use: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => there.questions.splice(0).forEach(({ answer }) => answer()), 1);
  try {
    return await use();
  } finally {
    clearInterval(timer);
  }
}

/** Returns the numbers of ticks. */
export function numbers(events: readonly Dictionary[]): number[] {
  return events.map(({ event }) => event.n);
}

/** Returns the numbers from the first to the last. */
export function upTo(last: number, first: number = 1): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
