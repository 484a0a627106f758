/**
 * Assertions that several tests of NATS share.
 *
 * @module
 */
import * as assert from "uvu/assert";
import { EventsError, type EventsErrorCode } from "../../src/mod.ts";
import { type Dictionary, within } from "../support/harness.ts";

/** Asserts that a promise rejects with an `EventsError` of this code. */
export async function rejects(
  promise: Promise<unknown>,
  code: EventsErrorCode,
  message: RegExp = /./,
): Promise<void> {
  const error = await within(promise, "a rejection").then(() => undefined, (error: unknown) => error);
  assert.ok(error !== undefined, `nothing was rejected, but ${code} was expected`);
  assert.instance(error, EventsError);
  const failure = error as EventsError;
  assert.is(failure.code, code, failure.message);
  assert.match(failure.message, message);
}

/** Returns `"stored"`, or the code of the error with which a publication was rejected. */
export function codeOf(publishing: Promise<unknown>): Promise<string> {
  return publishing.then(() => "stored", ({ code }) => code);
}

/** Returns the position in the id of an event. */
export function sequenceOf({ id }: { readonly id: string }): number {
  return Number(id.split("-")[1]);
}

/** Returns the type, the reason and the count of an `events_lost`. */
export function lossOf(event: Dictionary | undefined): unknown {
  return event && [event.type, event.event?.reason, event.event?.count];
}

/** Joins adjacent losses: how they are divided depends on when they were seen. */
export function withLossesJoined(events: readonly Dictionary[]): Dictionary[] {
  const joined: Dictionary[] = [];
  for (const event of events) {
    const before = joined.at(-1);
    if (event.type !== "events_lost" || before?.type !== "events_lost") joined.push(event);
    else joined.splice(-1, 1, { ...event, event: { count: before.event.count + event.event.count } });
  }
  return joined;
}
