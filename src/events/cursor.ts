/**
 * The cursor: where a client has come in a channel, as the text that it hands back.
 *
 * @module
 */
import { checkArgument, STRING } from "./arguments.ts";
import { EventsError } from "./errors.ts";

/** A position in a channel: the channel's epoch, and how many events it had published by then. */
export interface Cursor {
  /** Names one life of a channel; a channel that forgot its past has another. */
  readonly epoch: string;
  /** The sequence number of the last event before the cursor; 0 before the first. */
  readonly position: number;
}

const CURSOR = /^([0-9a-z]{1,32})-(0|[1-9]\d{0,15})$/;

/** The cursor as clients see it, `k3f9-17`. */
export function formatCursor(epoch: string, position: number): string {
  return `${epoch}-${position}`;
}

/** Whether the text is a cursor. */
export function isCursor(text: string): boolean {
  return readCursor(text) !== undefined;
}

/**
 * Reads a cursor that a client handed back.
 *
 * @throws {TypeError} if it is no string
 * @throws {EventsError} `InvalidCursor` where the text is not one
 */
export function parseCursor(text: string): Cursor {
  checkArgument("the cursor", text, STRING);
  const cursor = readCursor(text);
  if (cursor !== undefined) return cursor;
  const given = JSON.stringify(text.slice(0, 80));
  throw new EventsError(
    "InvalidCursor",
    `${given} is not a cursor: hand back the "id" of an event as it was received`,
  );
}

function readCursor(text: string): Cursor | undefined {
  const [, epoch, digits] = CURSOR.exec(text) ?? [];
  const position = Number(digits);
  return epoch === undefined || !Number.isSafeInteger(position) ? undefined : { epoch, position };
}
