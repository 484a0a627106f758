/**
 * What the tests of the client share: a catalogue, and reading a connection with a limit on each wait.
 *
 * @module
 */
import * as assert from "uvu/assert";
import * as v from "valibot";
import { type Connection, EventsError } from "../../src/client/mod.ts";
import { type Catalogue, defineEvents } from "../../src/mod.ts";
import { within } from "../support/harness.ts";

export const shop: Catalogue<{ readonly placed: v.GenericSchema<{ n: number }>; readonly closed: null }> =
  defineEvents({ placed: v.object({ n: v.number() }), closed: null });

/** A back-off of next to nothing, for tests that are not about it. */
export const SOON = { min: 0.001, max: 0.01 };

/** Returns the next events of a connection, as many as `count`. */
export async function take<E>(connection: Connection<E>, count: number): Promise<E[]> {
  const events: E[] = [];
  while (events.length < count) {
    const { done, value } = await within(connection.next(), "an event");
    if (done) throw new Error(`the connection ended after ${events.length} events`);
    events.push(value);
  }
  return events;
}

/** Returns the error of a promise that must reject with an {@linkcode EventsError}. */
export async function errorOf(promise: Promise<unknown>): Promise<EventsError> {
  const error = await within(promise, "an error").then(() => undefined, (error: unknown) => error);
  assert.instance(error, EventsError);
  return error as EventsError;
}

export function typesOf(events: readonly { readonly type: string }[]): string[] {
  return events.map(({ type }) => type);
}
