/**
 * Channels of the tests on a NATS server: each on a connection of its own, as if it were in a process of its own.
 *
 * @module
 */
import { type EventsEndpoint, eventsEndpoint } from "../../src/mod.ts";
import { type NatsChannel, natsChannel, type NatsChannelOptions } from "../../src/nats/mod.ts";
import type { NatsConnection, NodeConnectionOptions } from "@nats-io/transport-node";
import * as v from "valibot";
import { type Catalogue, defineEvents } from "../../src/mod.ts";
import { type Dictionary, type Lines, linesOf, within } from "../support/harness.ts";
import { connectTo, type NatsOptions, type NatsServer, withNats } from "./server.ts";

/** The events of these tests; one name has every character that names may have. */
export const catalogue: Catalogue<{
  readonly tick: v.ObjectSchema<{ readonly n: v.NumberSchema<undefined> }, undefined>;
  readonly note: v.ObjectSchema<{ readonly text: v.StringSchema<undefined> }, undefined>;
  readonly silence: null;
  readonly "a.b:c/d-e_F9": null;
}> = defineEvents({
  tick: v.object({ n: v.number() }),
  note: v.object({ text: v.string() }),
  silence: null,
  "a.b:c/d-e_F9": null,
});
export type TestSchemas = typeof catalogue.schemas;

/** A channel with its connection and an endpoint. */
export interface Party {
  readonly channel: NatsChannel<TestSchemas>;
  readonly connection: NatsConnection;
  readonly endpoint: EventsEndpoint;
  /** Opens a stream at its endpoint. */
  open(query?: string, headers?: Record<string, string>): Promise<Lines>;
  /** Reads all events after a cursor, without `events_start`. */
  read(since: string): Promise<Dictionary[]>;
  /** Posts to its endpoint. */
  post(body: unknown, key?: string): Promise<Answer>;
}

/** The response to a POST. */
export interface Answer {
  readonly status: number;
  readonly text: string;
  // deno-lint-ignore no-explicit-any
  readonly body: any;
}

/** Makes a channel at a server. */
export type Join = (
  options?: NatsChannelOptions,
  at?: { readonly url: string },
  connectionOptions?: NodeConnectionOptions,
) => Promise<Party>;

/** Runs `use` with a server, and closes all channels and connections afterwards. */
export function onNats(
  use: (server: NatsServer, join: Join) => Promise<void>,
  options?: NatsOptions,
): Promise<void> {
  return withNats((server) => joining(server, (join) => use(server, join)), options);
}

/** Runs `use`, and closes all channels and connections afterwards. */
export async function joining(
  server: { readonly url: string },
  use: (join: Join) => Promise<void>,
): Promise<void> {
  const parties: Party[] = [];
  const connections: NatsConnection[] = [];
  try {
    await use(async (options = {}, at = server, connectionOptions = {}) => {
      const connection = await connectTo(at, connectionOptions);
      connections.push(connection);
      const quiet = { onProblem: () => {}, ...options }; // Problems are expected in most tests.
      const channel = await within(natsChannel(connection, catalogue, quiet), "a channel");
      const party = partyOf(channel, connection);
      parties.push(party);
      return party;
    });
  } finally {
    for (const { channel } of parties) channel.close();
    await Promise.all(connections.map((connection) => connection.close()));
  }
}

function partyOf(channel: NatsChannel<TestSchemas>, connection: NatsConnection): Party {
  const endpoint = eventsEndpoint(channel);

  async function open(query = "", headers: Record<string, string> = {}): Promise<Lines> {
    const response = await within(
      Promise.resolve(endpoint.request(`/?${query}`, { headers })),
      "the head of the response",
    );
    if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
    return linesOf(response.body!);
  }

  return {
    channel,
    connection,
    endpoint,
    open,
    read: async (since) => {
      const lines = await open(`since=${since}&follow=false`);
      const [start, ...rest] = await lines.rest();
      if (start?.type !== "events_start") throw new Error(`a stream begins with ${start?.type}`);
      return rest;
    },
    post: async (body, key) => {
      const headers = { "Content-Type": "application/json", ...(key && { "Idempotency-Key": key }) };
      const response = await within(
        Promise.resolve(endpoint.request("/", { method: "POST", headers, body: JSON.stringify(body) })),
        "the response to a POST",
      );
      const text = await response.text();
      return { status: response.status, text, body: JSON.parse(text) };
    },
  };
}

export function tick(n: number): { readonly type: "tick"; readonly event: { readonly n: number } } {
  return { type: "tick", event: { n } };
}

/** Publishes ticks from one number up to another. */
export async function tickAll({ channel }: Party, from: number, to: number): Promise<void> {
  for (let first = from; first <= to; first += 500) {
    const last = Math.min(to, first + 499);
    await channel.publishBatch(Array.from({ length: last - first + 1 }, (_, index) => tick(first + index)));
  }
}

/** Returns the numbers of ticks; other events stay as they are. */
export function numbersOf(events: readonly Dictionary[]): unknown[] {
  return events.map((event) => event.type === "tick" ? event.event.n : event);
}

/** Returns the numbers up to the last one. */
export function upTo(last: number, first: number = 1): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
