/**
 * The model of the properties: all published events in order, and which of them are kept, or were erased.
 *
 * @module
 */
import { Hono } from "hono";
import * as assert from "uvu/assert";
import * as v from "valibot";
import {
  type Catalogue,
  createChannel,
  defineEvents,
  type EventsEndpoint,
  eventsEndpoint,
  type MemoryChannel,
} from "../../src/mod.ts";

const order: Order = v.object({ text: v.string() });

type Order = v.ObjectSchema<{ readonly text: v.StringSchema<undefined> }, undefined>;
type Schemas = {
  readonly order_placed: Order;
  readonly order_paid: Order;
  readonly stock_low: Order;
  readonly shop_closed: null;
};

const catalogue: Catalogue<Schemas> = defineEvents({
  order_placed: order,
  order_paid: order,
  stock_low: order,
  shop_closed: null,
});

/** What a stream asks for: values of `?types=`, and the types that they select, absent: all; and values of `?subject=`. */
export interface StreamFilter {
  readonly query: string;
  readonly types?: readonly string[];
  readonly subjects?: readonly string[];
}

export const FILTERS: readonly StreamFilter[] = [
  { query: "" },
  { query: "order_*", types: ["order_placed", "order_paid"] },
  { query: "order_paid", types: ["order_paid"] },
  { query: "stock_low,shop_closed", types: ["stock_low", "shop_closed"] },
  { query: "shop_*", types: ["shop_closed"] },
  { query: "events_lost", types: [] },
  { query: "order_*,stock_*,shop_*", types: ["order_placed", "order_paid", "stock_low", "shop_closed"] },
  { query: "", subjects: ["order/1"] },
  { query: "", subjects: ["order/*"] },
  { query: "order_paid", types: ["order_paid"], subjects: ["order/2", "shop*"] },
  { query: "", subjects: ["nothing", "order"] },
];

/** The subjects that events have and that are erased. */
export const SUBJECTS: readonly string[] = ["order/0", "order/1", "order/2", "shop"];

/** Whether a stream that asks for this receives an event, as far as that is concerned. */
export function selects({ types, subjects }: StreamFilter, { type, subject }: Published): boolean {
  const isWanted = (pattern: string) =>
    pattern.endsWith("*") ? subject?.startsWith(pattern.slice(0, -1)) === true : subject === pattern;
  return (types === undefined || types.includes(type)) && (subjects === undefined || subjects.some(isWanted));
}

/** Sixteen bytes of JSON in UTF-8, with characters of every length and one that is escaped. */
const UNIT = "é漢😀\u2028-";

/** The settings of one life of the channel. */
export interface Setting {
  readonly maxEvents: number;
  readonly maxBytes: number;
  readonly heartbeat: number | null;
  /** Whether the application hides every third event. */
  readonly selects: boolean;
  /** Whether streams are written directly to their sockets, on a server that has any. */
  readonly writeToSocket: boolean;
}

/** An event as the model knows it. */
export interface Published {
  readonly type: string;
  readonly subject: string | undefined;
  /** Whether it was erased. Streams that were open then may have received it before. */
  isErased?: boolean;
  /** The text of its dictionary up to the time in it. */
  readonly head: string;
  /** The length of the whole text in UTF-8; 0 once it was erased. */
  bytes: number;
  /** The whole text, as the first consumer received it. */
  text?: string;
}

/** One life of the channel: its endpoint, and the model of it. */
export interface Life extends Setting {
  readonly channel: MemoryChannel<Schemas>;
  readonly endpoint: EventsEndpoint;
  /** Serves the endpoint at `/EPOCH/events`. */
  readonly app: Hono;
  /** All published events; that at position 1 has index 0. */
  readonly published: Published[];
  /** The position of the oldest event kept. */
  first: number;
  bytes: number;
  /** All values that `first` had at the end of a turn of publishing. */
  readonly firsts: Set<number>;
}

export function begin(setting: Setting): Life {
  const { maxEvents, maxBytes, heartbeat, selects, writeToSocket } = setting;
  const channel = createChannel(catalogue, { history: { events: maxEvents, bytes: maxBytes } });
  const filter = ({ id }: { id: string }) => Number(id.split("-")[1]) % 3 !== 0;
  const endpoint = eventsEndpoint(channel, { heartbeat, writeToSocket, ...(selects ? { filter } : {}) });
  const app = new Hono().route(`/${channel.epoch}/events`, endpoint);
  return { ...setting, channel, endpoint, app, published: [], first: 1, bytes: 0, firsts: new Set([1]) };
}

/** An event to publish: the index of its type, and its length in units. */
export type Wished = { readonly type: number; readonly units: number };

export function publish(life: Life, wished: readonly Wished[], apart: boolean): void {
  const { channel, published } = life;
  const drafts = wished.map(({ type, units }) => {
    const subject = SUBJECTS[units % 3];
    const text = `${units}${UNIT.repeat(Math.min(units, Math.floor(life.maxBytes / 16) - 40))}`;
    return [
      { type: "order_placed", subject, event: { text } },
      { type: "order_paid", subject, event: { text } },
      { type: "stock_low", event: { text } },
      { type: "shop_closed", subject: "shop" },
    ][type] as { type: "order_placed"; subject?: string; event: { text: string } };
  });
  const ids = apart ? drafts.flatMap((draft) => channel.publishBatch([draft])) : channel.publishBatch(drafts);
  drafts.forEach(({ type, subject, event }, index) => {
    const id = `${channel.epoch}-${published.length + 1}`;
    assert.is(ids[index], id);
    const payload = event ? `"event":${JSON.stringify(event).replaceAll("\u2028", "\\u2028")},` : "";
    const about = subject === undefined ? "" : `"subject":"${subject}",`;
    const head = `{"type":"${type}",${about}${payload}"id":"${id}","time":"`;
    const bytes = new TextEncoder().encode(head).length + '2026-11-22T15:50:52.123Z"}'.length;
    published.push({ type, subject, head, bytes });
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

/** Erases the events of a subject that are kept. */
export function erase(life: Life, subject: string): void {
  const erased = life.published.filter((event, index) =>
    index + 1 >= life.first && event.subject === subject && !event.isErased
  );
  assert.is(life.channel.erase({ subject }), erased.length);
  for (const event of erased) {
    life.bytes -= event.bytes;
    event.bytes = 0;
    event.isErased = true;
  }
  assert.is(life.channel.stats().bytes, life.bytes);
}
