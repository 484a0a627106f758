/**
 * Channels of the tests in a file.
 *
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import * as v from "valibot";
import {
  type Catalogue,
  type Channel,
  defineEvents,
  EventsError,
  type EventsErrorCode,
} from "../../src/mod.ts";
import { type SqliteChannel, sqliteChannel, type SqliteChannelOptions } from "../../src/sqlite/mod.ts";
import { within } from "../support/harness.ts";

/** The longest time for anything that waits for the disk, which others use too, in milliseconds. */
export const LIMIT_MS = 20_000;

/** The events of these tests. */
export const catalogue: Catalogue<{
  readonly tick: v.ObjectSchema<
    {
      readonly n: v.NumberSchema<undefined>;
      readonly text: v.OptionalSchema<v.StringSchema<undefined>, undefined>;
    },
    undefined
  >;
  readonly silence: null;
}> = defineEvents({ tick: v.object({ n: v.number(), text: v.optional(v.string()) }), silence: null });
export type TestSchemas = typeof catalogue.schemas;
export type TestChannel = SqliteChannel<TestSchemas>;

/** A draft of a tick. */
export interface Tick {
  readonly type: "tick";
  readonly event: { readonly n: number; readonly text?: string };
}

/** Runs `use` with the path of a file in a new folder, and removes the folder. */
export async function withFile(use: (file: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "events-endpoint-"));
  try {
    await use(join(folder, "events.db"));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Opens a channel, runs `use`, and closes the channel. Problems are expected in most tests. */
export async function withChannel<T>(
  file: string,
  use: (channel: TestChannel) => Promise<T>,
  options: SqliteChannelOptions = {},
): Promise<T> {
  const channel = await within(
    sqliteChannel(file, catalogue, { onProblem: () => {}, ...options }),
    "a channel",
    LIMIT_MS,
  );
  try {
    return await use(channel);
  } finally {
    await within(channel.close(), "the end of the channel", LIMIT_MS);
  }
}

/** Returns ticks from one number up to another. */
export function ticks(from: number, to: number, text?: string): Tick[] {
  return Array.from({ length: to - from + 1 }, (_, index) => {
    return { type: "tick", event: { n: from + index, ...(text !== undefined && { text }) } };
  });
}

/** Reads everything after a cursor up to the newest event. Returns the numbers of the ticks, and each loss. */
export async function readAll(channel: Channel<TestSchemas>, since: string): Promise<unknown[]> {
  const { last } = channel;
  let { position } = await channel.locate(since);
  const read: unknown[] = [];
  while (position < last) {
    const { lost, entries } = await within(
      Promise.resolve(channel.read(position, 64 * 1024)),
      "a batch",
      LIMIT_MS,
    );
    if (lost !== undefined) {
      read.push(lost);
      position += lost.count!;
    }
    for (const entry of entries) {
      assert.is(entry.position, ++position);
      assert.is(entry.id, `${channel.epoch}-${position}`);
      const event = channel.parse(entry);
      assert.is(event.id, entry.id);
      read.push(event.type === "tick" ? event.event.n : event.type);
    }
  }
  return read;
}

/** Returns the numbers from one up to another. */
export function upTo(last: number, first: number = 1): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

/** Checks that a promise is rejected with this code and message. */
export async function rejects(
  promise: Promise<unknown>,
  code: EventsErrorCode,
  message: RegExp,
): Promise<void> {
  const error = await within(promise, "a rejection", LIMIT_MS).then(
    () => undefined,
    (error: unknown) => error,
  );
  assert.instance(error, EventsError);
  assert.is((error as EventsError).code, code, String(error));
  assert.match((error as EventsError).message, message, String(error));
}
