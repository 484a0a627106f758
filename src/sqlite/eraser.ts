/**
 * The eraser: removes the events of a subject from a file, some at a time.
 *
 * @module
 */
import { EventsError } from "../events/errors.ts";
import type { EventsFile } from "./file.ts";
import type { Writer } from "./writer.ts";

/** Number of events that are erased in one commit. */
const STEP_EVENTS = 200;

/** What is erased. */
export interface Erasure {
  readonly subject: string;
  /** The position of the oldest event that is kept: older ones that the file still has are erased too, and not counted. */
  readonly first: number;
  /**
   * Called when events were erased from the file, whatever happens to their traces. Removes them from memory.
   *
   * @param until the position of the last event that was published before
   */
  onErased(until: number): Promise<void>;
}

/** Erases events from a file. */
export class Eraser {
  readonly #file: EventsFile;
  readonly #writer: Writer;
  /** The scrubbing that has not begun, which all share whose events are erased by then: it reads the whole file. */
  #scrubbing: Promise<void> | undefined;

  constructor(file: EventsFile, writer: Writer) {
    this.#file = file;
    this.#writer = writer;
  }

  /**
   * Erases the events of a subject that were published before the call. Resolves once neither the file nor its log holds
   * anything of them.
   *
   * @returns how many events were erased
   * @throws {EventsError} `ChannelUnavailable` if something of them may be left
   */
  async erase({ subject, first, onErased }: Erasure): Promise<number> {
    try {
      const until = await this.#writer.publish([], undefined, (next) => next - 1);
      const positions = await this.#eraseUntil(until, subject, onErased);
      await (this.#scrubbing ??= this.#scrub());
      return positions.filter((position) => position >= first).length;
    } catch (cause) {
      const { message } = cause as Error;
      const place = cause instanceof EventsError ? "" : `${this.#file.path}: `;
      throw new EventsError(
        "ChannelUnavailable",
        `not everything was erased: ${place}${message}: try again later`,
        {
          cause,
        },
      );
    }
  }

  /** Erases events up to a position, and returns their positions. */
  async #eraseUntil(until: number, subject: string, onErased: Erasure["onErased"]): Promise<number[]> {
    const erased: number[] = [];
    try {
      for (let isLast = false; !isLast;) {
        await this.#between(async () => {
          this.#file.check();
          if (this.#file.isMergeDue) await this.#file.merge();
          const positions = this.#file.erase(subject, until, STEP_EVENTS);
          erased.push(...positions);
          isLast = positions.length < STEP_EVENTS;
        });
      }
    } finally {
      if (erased.length > 0) await onErased(until);
    }
    return erased;
  }

  /** Removes the traces of erased events from the log, and from the pages of the file. */
  #scrub(): Promise<void> {
    return this.#between(() => {
      this.#scrubbing = undefined;
      this.#file.check();
      return this.#file.scrub();
    });
  }

  /** Runs a step while nothing is being stored. If it fails, the writer reports that too, and tries the disk from then on. */
  #between(step: () => unknown): Promise<void> {
    return new Promise((resolve, reject) =>
      this.#writer.between(async () => {
        try {
          await step();
          resolve();
        } catch (error) {
          reject(error);
          throw error;
        }
      })
    );
  }
}
