/**
 * The eraser: removes the events of a subject from a file, some at a time.
 *
 * @module
 */
import { EventsError } from "../events/errors.ts";
import type { EventsFile } from "./file.ts";
import type { Writer } from "./writer.ts";

/** Number of events that are erased in one commit: some 10 ms. */
const STEP_EVENTS = 500;

/** Options of {@linkcode eraseSubject}. */
export interface EraseOptions {
  readonly subject: string;
  /** The position of the oldest event that is kept: older ones that the file still has are erased too, and not counted. */
  readonly first: number;
  /**
   * Called when events were erased from the file, also if the log could not be merged after that.
   *
   * @param until the position of the last event that was published before
   */
  onErased(until: number): void;
}

/**
 * Erases the events of a subject that were published before the call. Resolves once neither the file nor its log holds anything
 * of them.
 *
 * @returns how many events were erased
 * @throws {EventsError} `ChannelUnavailable` if something of them may be left
 */
export async function eraseSubject(
  file: EventsFile,
  writer: Writer,
  options: EraseOptions,
): Promise<number> {
  try {
    const { first: next } = await writer.publish([], undefined);
    return await eraseUntil(file, writer, next - 1, options);
  } catch (cause) {
    const { message } = cause as Error;
    const place = cause instanceof EventsError ? "" : `${file.path}: `;
    throw new EventsError(
      "ChannelUnavailable",
      `not everything was erased: ${place}${message}: try again later`,
      {
        cause,
      },
    );
  }
}

function eraseUntil(
  file: EventsFile,
  writer: Writer,
  until: number,
  { subject, first, onErased }: EraseOptions,
): Promise<number> {
  return new Promise((resolve, reject) => {
    let count = 0;
    let hasErased = false;

    /** Returns whether these were the last. */
    function eraseSome(): boolean {
      file.check();
      const positions = file.erase(subject, until, STEP_EVENTS);
      count += positions.filter((position) => position >= first).length;
      hasErased ||= positions.length > 0;
      return positions.length < STEP_EVENTS;
    }

    async function step(): Promise<void> {
      let isLast = true;
      try {
        isLast = eraseSome();
        if (isLast) await file.merge(); // Also if there was none: the last call may have failed here.
      } catch (error) {
        reject(error);
        throw error; // The writer reports it, and tries the disk from then on.
      } finally {
        if (isLast && hasErased) onErased(until);
      }
      if (isLast) resolve(count);
      else writer.between(step);
    }

    writer.between(step);
  });
}
