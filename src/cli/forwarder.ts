/**
 * Moves events from one server to another, each once and in order.
 *
 * The rule that makes it so: before a batch is sent, it is in the state file, whole: its key, its events and the cursor after
 * it. What is in the state file is sent first at the next start, with the same key and the same body. It is removed, and
 * the cursor moved, once the target has accepted it. So a `kill -9` between the request and the write repeats a request that the
 * target knows by its key; one before the request repeats nothing that was sent. The key is made of the cursors of the
 * first and the last event and of the body, so that a second forwarder with other events has other keys.
 *
 * A target forgets keys. A batch whose first request is too long ago is looked for in what the target has published since
 * then, and is only sent again if it is not there. If the target cannot be read, the batch is counted as perhaps there twice.
 *
 * @module
 */
import { connect, EventsError, type Status } from "../client/mod.ts";
import { type Arrived, batchesOf } from "./batches.ts";
import { createNotes, describeFailure } from "./connection_notes.ts";
import { draftOf, lossIn, lossText } from "./drafts.ts";
import { Target } from "./forward_target.ts";
import { type Accepted, type Patience, post, type Posted, PublishError } from "./post.ts";
import { type Range, rangeFrom } from "./range.ts";
import type { Remote } from "./remote.ts";
import type { StateFile } from "./state_file.ts";
import { ExitError } from "./usage.ts";

/** A batch that is in the state file until the target has confirmed it. */
interface Batch {
  readonly key: string;
  readonly events: readonly Posted[];
  /** The cursor after it. */
  readonly cursor: string | undefined;
  /** The time of its first request, in milliseconds since 1970. */
  readonly sentAt: number;
  /** Whether its events are counted as perhaps there twice. */
  readonly isDoubtful?: boolean;
}

/** What is in the state file. */
export interface ForwardState {
  /** The cursor after the last event that the target has confirmed. */
  readonly cursor?: string | undefined;
  /** The number of events that the target has confirmed. */
  readonly forwarded: number;
  /** The number of events that the source has reported as lost. */
  readonly lost: number;
  /** The number of losses of unknown size. */
  readonly gaps: number;
  /** The number of events that may be there twice. */
  readonly doubtful?: number;
  /** The batch under way. */
  readonly batch?: Batch | undefined;
  /** The cursor of the target before the batch. */
  readonly mark?: string | undefined;
}

/**
 * Number of milliseconds for which a target remembers a key: two minutes by default, less the time in which a request
 * arrives.
 */
const KEY_MEMORY_MS = 110_000;
/** Number of milliseconds between two looks at whether the cursor has moved without an event. */
const BOOKMARK_MS = 1_000;
/** The exit code when events are missing, or may be there twice. */
const INEXACT = 3;

/** What to forward. */
export interface ForwardOptions {
  readonly from: Remote;
  readonly to: Remote;
  readonly file: StateFile<ForwardState> | undefined;
  readonly range: Range;
  readonly maxAttempts: number;
  readonly signal: AbortSignal;
}

/** Moves events from one server to another. */
export class Forwarder {
  readonly #options: ForwardOptions;
  readonly #target: Target;
  #state: ForwardState;
  /** Whether nothing was sent yet. */
  #isFirst = true;
  /** What was lost before this run. */
  readonly #before: ForwardState;

  constructor(options: ForwardOptions) {
    this.#options = options;
    this.#target = new Target(options.to, options.signal);
    this.#state = this.#before = options.file?.state ?? { forwarded: 0, lost: 0, gaps: 0 };
  }

  /** Forwards until the signal is aborted, or the source ends. */
  async run(): Promise<void> {
    try {
      const { batch } = this.#state;
      if (batch !== undefined) await this.#deliver(batch, true);
      await this.#follow();
    } catch (error) {
      throw this.#failureOf(error);
    }
    const { lost, gaps, doubtful } = this.#state;
    const isExact = lost === this.#before.lost && gaps === this.#before.gaps &&
      doubtful === this.#before.doubtful;
    if (!isExact) throw new ExitError(this.#account(), INEXACT);
    console.log(this.#account());
  }

  async #follow(): Promise<void> {
    const { from, range, maxAttempts, signal } = this.#options;
    if (signal.aborted) return;
    const noteOf = createNotes(from);
    let isFollowed = false;
    const onStatus = (status: Status) => {
      const text = noteOf(status);
      if (text !== undefined) note(text);
      if (status.type !== "open") return;
      // A server without cursors reports no losses.
      if (isFollowed && !status.resumed && connection.lastId === undefined) this.#count(null);
      isFollowed = true;
    };
    const connection = connect(from.url, {
      ...rangeFrom(range, this.#state.cursor),
      ...(from.apiKey !== undefined && { apiKey: from.apiKey }),
      ...(from.fetch !== undefined && { fetch: from.fetch }),
      reconnect: { maxAttempts },
      signal,
      onStatus,
    });
    const batches = batchesOf(connection);
    // Events that the filter hides move the cursor too; a cursor that stays behind would report them as lost one day.
    const timer = setInterval(() => {
      const { lastId } = connection;
      if (batches.isIdle && lastId !== this.#state.cursor) {
        void this.#save({ cursor: lastId }).catch(() => {});
      }
    }, BOOKMARK_MS);
    try {
      for await (const batch of batches) await this.#forward(batch);
    } finally {
      clearInterval(timer);
    }
  }

  /** Sends the events of a batch, and counts the losses in it. */
  async #forward(batch: readonly Arrived[]): Promise<void> {
    const events: Posted[] = [];
    for (const { text, cursor } of batch) {
      const { draft, control } = draftOf(text);
      const loss = control === undefined ? undefined : lossIn(control);
      if (loss !== undefined) this.#count(loss.count);
      if (draft !== undefined) {
        events.push({ place: cursor === undefined ? "" : `event ${cursor}`, text: draft });
      }
    }
    const cursor = batch.at(-1)!.cursor;
    if (events.length === 0) return await this.#save({ cursor });
    const key = await keyFor(batch, events);
    await this.#deliver({ key, events, cursor, sentAt: Date.now() }, false);
  }

  /**
   * Sends a batch that is in the state file first.
   *
   * @param wasSent whether an earlier run may have sent it
   */
  async #deliver(batch: Batch, wasSent: boolean): Promise<void> {
    await this.#save({ batch });
    const { key, events, cursor, sentAt } = batch;
    const start = performance.now();
    // Either clock may stand still or be set: that of a machine that sleeps, and that of the day.
    const age = () => {
      const ofDay = Date.now() - sentAt;
      return wasSent && ofDay < 0 ? Infinity : Math.max(ofDay, performance.now() - start);
    };
    const { to, maxAttempts, signal } = this.#options;
    const patience: Patience = {
      maxAttempts,
      signal,
      note,
      beforeAttempt: async (isUncertain) => {
        if (isUncertain || wasSent) return age() < KEY_MEMORY_MS ? undefined : await this.#recall(age());
        // What is published from here on may be the batch.
        if (this.#state.mark === undefined && this.#target.isReadable) {
          await this.#save({ mark: await this.#target.position() });
        }
        return undefined;
      },
    };
    const { accepted, lastId } = await post(to, events, key, patience, this.#isFirst);
    this.#isFirst = false;
    const forwarded = this.#state.forwarded + accepted;
    await this.#save({ batch: undefined, mark: lastId, cursor, forwarded });
  }

  /** Looks whether the target has the batch under way, whose key it may have forgotten. */
  async #recall(ageMs: number): Promise<Accepted | undefined> {
    const { batch, mark, doubtful = 0 } = this.#state;
    const { events, isDoubtful = false } = batch!;
    const what = `${countOf(events)} of ${Math.round(ageMs / 1000)} s ago`;
    const found = mark === undefined ? "unknown" : await this.#target.search(events, mark);
    if (typeof found === "object") {
      note(`${what} had no answer, and ${this.#options.to.place} has them: they are not sent again`);
      return found;
    }
    if (found === "absent" || isDoubtful) return undefined;
    note(
      `${what} had no answer, and cannot be looked for there: they are sent again, and may be there twice`,
    );
    await this.#save({ batch: { ...batch!, isDoubtful: true }, doubtful: doubtful + events.length });
    return undefined;
  }

  #count(count: number | null): void {
    note(`${this.#options.from.place}: events_lost: ${lossText(count)}`);
    const { lost, gaps } = this.#state;
    this.#state = { ...this.#state, lost: lost + (count ?? 0), gaps: gaps + (count === null ? 1 : 0) };
  }

  async #save(change: Partial<ForwardState>): Promise<void> {
    this.#state = { ...this.#state, ...change };
    await this.#options.file?.write(this.#state, true);
  }

  /** Returns what was forwarded and lost in all runs with this state. */
  #account(): string {
    const { forwarded, lost, gaps, doubtful = 0 } = this.#state;
    const unknown = gaps === 0 ? "" : `, and an unknown number ${gaps === 1 ? "once" : `${gaps} times`}`;
    const twice = doubtful === 0 ? "" : `, ${doubtful} perhaps twice`;
    return `${forwarded} forwarded, ${lost} lost${unknown}${twice}`;
  }

  /** Returns the error with the account after it. */
  #failureOf(error: unknown): Error {
    const { from, to, file, signal } = this.#options;
    const { batch } = this.#state;
    const lines = error instanceof PublishError
      ? error.reasons.map((reason) => reason.startsWith("event ") ? `${to.place}: ${reason}` : reason)
      : [error instanceof EventsError ? describeFailure(error, from) : (error as Error).message];
    const where = file === undefined ? "" : ": --state has kept what is sent first at the next start";
    if (batch !== undefined) {
      lines.push(
        `${countOf(batch.events)} ${batch.events.length === 1 ? "is" : "are"} not confirmed${where}`,
      );
    }
    const text = [...lines, this.#account()].join("\nevents-endpoint: ");
    // What waits in the state file is not lost by Ctrl-C.
    return signal.aborted && file !== undefined ? new ExitError(text, 0) : new Error(text);
  }
}

function countOf({ length }: readonly unknown[]): string {
  return length === 1 ? "1 event" : `${length} events`;
}

/** Returns the idempotency key of a batch: the same for the same events of the same source. */
async function keyFor(batch: readonly Arrived[], events: readonly Posted[]): Promise<string> {
  const body = new TextEncoder().encode(events.map(({ text }) => text).join("\n"));
  const digest = [...new Uint8Array(await crypto.subtle.digest("SHA-256", body))]
    .map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const [first, last] = [batch[0]!.event.id, batch.at(-1)!.event.id];
  // Without cursors two batches may be equal and both be meant.
  if (first === undefined || last === undefined) return crypto.randomUUID();
  const key = `${first}..${last}.${digest.slice(0, 16)}`;
  return /^[\x21-\x7e]{1,255}$/.test(key) ? key : digest;
}

function note(text: string): void {
  console.error(`events-endpoint: ${text}`);
}
