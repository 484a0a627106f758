/**
 * A channel whose events are kept elsewhere: it answers later, when the test says so, and can begin anew.
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

/** A question that is answered when the test says so. */
export interface Question {
  answer(): void;
  refuse(error: Error): void;
}

/** A channel elsewhere, and what stands behind it. */
export interface Elsewhere {
  readonly channel: Channel<Schemas>;
  /** What keeps its events. */
  store: MemoryChannel<Schemas>;
  /** What was asked for and not answered yet. */
  readonly questions: Question[];
  /** The oldest event that is kept, as far as this process knows; what has expired since it learns by reading. */
  first: number;
  /** The position from which on this process has the events itself. */
  held: number;
  /** Finds where a reader starts. */
  locate(since: string): Start | Promise<Start>;
  /** Wakes all waiting readers. */
  wake(): void;
  /** Loses all it had and counts anew, before any reader notices. */
  replaceStore(): void;
  /** The same, and wakes the readers. */
  beginAnew(): void;
}

/** Makes such a channel, which is empty. */
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

/** Answers every question while `use` runs. */
export async function answering<T>(there: Elsewhere, use: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => there.questions.splice(0).forEach(({ answer }) => answer()), 1);
  try {
    return await use();
  } finally {
    clearInterval(timer);
  }
}

/** The numbers of ticks. */
export function numbers(events: readonly Dictionary[]): number[] {
  return events.map(({ event }) => event.n);
}

/** The numbers from the first to the last. */
export function upTo(last: number, first: number = 1): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
