/**
 * `events-endpoint forward`: publishes the events of one server to another one, each once and in order.
 *
 * The rule that makes it so: before a batch is sent, it is in the state file, whole: its key, its events and the cursor after
 * it. What is in the state file is sent first at the next start, with the same key and the same body. It is removed, and
 * the cursor moved, once the target has accepted it. So a `kill -9` between the request and the write repeats a request that the
 * target knows by its key; one before the request repeats nothing that was sent. The key is made of the cursors of the
 * first and the last event and of the body, so that a second forwarder with other events has other keys.
 *
 * The limit is the memory of the target: a batch that was sent, not confirmed, and repeated after the target has forgotten its key is
 * published twice. A batch that is found in the state file after that long is reported.
 *
 * @module
 */
import process from "node:process";
import { connect, EventsError, type Status } from "../client/mod.ts";
import { type Arrived, batchesOf } from "./batches.ts";
import { createNotes, describeFailure } from "./connection_notes.ts";
import { draftOf, lossIn, lossText } from "./drafts.ts";
import { type Patience, post, type Posted, PublishError } from "./post.ts";
import { readRemote, type Remote } from "./remote.ts";
import { onStopSignal } from "./signals.ts";
import { openStateFile, type StateFile } from "./state_file.ts";
import { TRANSPORT_FLAGS, TRANSPORT_HELP, withTransport } from "./transport.ts";
import { ExitError, parseFlags, readCount, readPath, readPlace, readTypes, UsageError } from "./usage.ts";

/** What `forward --help` shows. */
export const FORWARD_HELP: string =
  `events-endpoint forward FROM TO: publish the events of one server to another one, until Ctrl-C

  events-endpoint forward http://shop:8085/events http://localhost:8085/events --state shop.state
  events-endpoint forward http://shop:8085/events http://hub:8085/events --types 'order_*' --since latest

  --state FILE            keep the position in this file: each event is published once and in order, over cuts and
                          restarts of both servers and of this command, also by kill -9
  --types TYPES           only these types, with commas between; * at the end matches a prefix
  --since PLACE           where the first run begins, as for tail (earliest with --state, latest without)
  --max-attempts N        exit after this many failed attempts in a row (never)
  --from-api-key KEY      the key that FROM wants (EVENTS_FROM_API_KEY, which other users of the machine do not see)
  --to-api-key KEY        the key that TO wants (EVENTS_TO_API_KEY)
${TRANSPORT_HELP}
  --help                  show this and exit

Types, payloads and subjects stay as they are; id and time are those of TO. A loss that FROM reports is printed and counted.
The exit code is 0 at Ctrl-C and at the end of FROM, 3 if events are missing, 1 if a server refuses, 2 for a mistake in
the command line. TO remembers the key of a request for two minutes or longer (serve --idempotency-window): a batch
that it accepted without an answer, and that is repeated later than that, is there twice.`;

/** A batch that is in the state file until the target has confirmed it. */
interface Batch {
  readonly key: string;
  readonly events: readonly Posted[];
  /** The cursor after it. */
  readonly cursor: string | undefined;
  /** The time of its first request, in milliseconds since 1970. */
  readonly sentAt: number;
}

/** What is in the state file. */
interface State {
  /** The cursor after the last event that the target has confirmed. */
  readonly cursor?: string | undefined;
  /** The number of events that the target has confirmed. */
  readonly forwarded: number;
  /** The number of events that the source has reported as lost. */
  readonly lost: number;
  /** The number of losses of unknown size. */
  readonly gaps: number;
  /** The batch under way. */
  readonly batch?: Batch | undefined;
}

/** Number of milliseconds for which every target remembers a key by default. */
const KEY_MEMORY_MS = 120_000;
/** Number of milliseconds between two looks at whether the cursor has moved without an event. */
const BOOKMARK_MS = 1_000;
/** The exit code when events are missing. */
const LOST = 3;

/** Forwards events until SIGINT or SIGTERM. */
export async function forward(args: string[]): Promise<void> {
  const { values, positionals } = parseFlags(args, {
    state: { type: "string" },
    types: { type: "string", multiple: true },
    since: { type: "string" },
    "max-attempts": { type: "string" },
    "from-api-key": { type: "string" },
    "to-api-key": { type: "string" },
    ...TRANSPORT_FLAGS,
    help: { type: "boolean", short: "h" },
  }, true);
  if (values["help"]) return console.log(FORWARD_HELP);
  const [source, target, ...more] = positionals;
  if (target === undefined) throw new UsageError("forward takes two URLs, FROM and TO: try --help");
  if (more.length > 0) throw new UsageError(`forward takes two URLs, and not also "${more[0]}"`);
  const from = readRemote(source, values["from-api-key"], process.env, keyOf("from"));
  const to = readRemote(target, values["to-api-key"], process.env, keyOf("to"));
  if (from.url.href === to.url.href) throw new UsageError("FROM and TO are the same address");
  const path = readPath("state", values["state"]);
  const stop = new AbortController();
  const forwarder = new Forwarder({
    from: await withTransport(from, values),
    to: await withTransport(to, values),
    file: path === undefined
      ? undefined
      : await openStateFile<State>(path, `forward ${from.place} ${to.place}`),
    types: readTypes(values["types"]),
    since: readPlace(values["since"]) ?? (path === undefined ? "latest" : "earliest"),
    maxAttempts: readCount("max-attempts", values["max-attempts"]) ?? Infinity,
    signal: stop.signal,
  });
  onStopSignal(() => stop.abort());
  await forwarder.run();
}

function keyOf(side: "from" | "to") {
  return { flag: `--${side}-api-key`, variable: `EVENTS_${side.toUpperCase()}_API_KEY` };
}

interface ForwardOptions {
  readonly from: Remote;
  readonly to: Remote;
  readonly file: StateFile<State> | undefined;
  readonly types: readonly string[];
  readonly since: string;
  readonly maxAttempts: number;
  readonly signal: AbortSignal;
}

/** Moves events from one server to another. */
class Forwarder {
  readonly #options: ForwardOptions;
  readonly #patience: Patience;
  #state: State;
  /** Whether nothing was sent yet. */
  #isFirst = true;
  /** What was lost before this run. */
  readonly #before: State;

  constructor(options: ForwardOptions) {
    this.#options = options;
    const { maxAttempts, signal } = options;
    this.#patience = { maxAttempts, signal, note };
    this.#state = this.#before = options.file?.state ?? { forwarded: 0, lost: 0, gaps: 0 };
  }

  /** Forwards until the signal is aborted, or the source ends. */
  async run(): Promise<void> {
    try {
      await this.#resume();
      await this.#follow();
    } catch (error) {
      throw this.#failureOf(error);
    }
    const { lost, gaps } = this.#state;
    const isWhole = lost === this.#before.lost && gaps === this.#before.gaps;
    if (!isWhole) throw new ExitError(this.#account(), LOST);
    console.log(this.#account());
  }

  /** Sends what was under way when the command ended. */
  async #resume(): Promise<void> {
    const { batch } = this.#state;
    if (batch === undefined) return;
    const seconds = Math.round((Date.now() - batch.sentAt) / 1000);
    if (seconds * 1000 > KEY_MEMORY_MS) {
      note(
        `${batch.events.length} events of ${seconds} s ago were not confirmed and are sent again: ` +
          "they are there twice if TO accepted them then and has forgotten their key",
      );
    }
    await this.#deliver(batch);
  }

  async #follow(): Promise<void> {
    const { from, types, since, maxAttempts, signal } = this.#options;
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
      types,
      since: this.#state.cursor ?? since,
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
    await this.#deliver({ key, events, cursor, sentAt: Date.now() });
  }

  /** Sends a batch that is in the state file first. */
  async #deliver(batch: Batch): Promise<void> {
    await this.#save({ batch });
    const { key, events, cursor } = batch;
    const accepted = await post(this.#options.to, events, key, this.#patience, this.#isFirst);
    this.#isFirst = false;
    await this.#save({ batch: undefined, cursor, forwarded: this.#state.forwarded + accepted });
  }

  #count(count: number | null): void {
    note(`${this.#options.from.place}: events_lost: ${lossText(count)}`);
    const { lost, gaps } = this.#state;
    this.#state = { ...this.#state, lost: lost + (count ?? 0), gaps: gaps + (count === null ? 1 : 0) };
  }

  async #save(change: Partial<State>): Promise<void> {
    this.#state = { ...this.#state, ...change };
    await this.#options.file?.write(this.#state, true);
  }

  /** Returns what was forwarded and lost in all runs with this state. */
  #account(): string {
    const { forwarded, lost, gaps } = this.#state;
    const unknown = gaps === 0 ? "" : `, and an unknown number ${gaps === 1 ? "once" : `${gaps} times`}`;
    return `${forwarded} forwarded, ${lost} lost${unknown}`;
  }

  /** Returns the error with the account after it. */
  #failureOf(error: unknown): Error {
    const { from, to, file, signal } = this.#options;
    const { batch } = this.#state;
    const lines = error instanceof PublishError
      ? error.reasons.map((reason) => reason.startsWith("event ") ? `${to.place}: ${reason}` : reason)
      : [error instanceof EventsError ? describeFailure(error, from) : (error as Error).message];
    const where = file === undefined ? "" : ": --state has kept what is sent first at the next start";
    const count = batch?.events.length ?? 0;
    if (count > 0) lines.push(`${count} ${count === 1 ? "event is" : "events are"} not confirmed${where}`);
    const text = [...lines, this.#account()].join("\nevents-endpoint: ");
    // What waits in the state file is not lost by Ctrl-C.
    return signal.aborted && file !== undefined ? new ExitError(text, 0) : new Error(text);
  }
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
