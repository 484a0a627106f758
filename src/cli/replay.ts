/**
 * `events-endpoint replay`: publishes recorded events in the rhythm of their times.
 *
 * @module
 */
import { createReadStream } from "node:fs";
import process from "node:process";
import { draftOf, lossIn, lossText } from "./drafts.ts";
import { helpText } from "./help_text.ts";
import { type Line, linesOf } from "./lines.ts";
import { type Patience, pause, post, type Posted, PublishError } from "./post.ts";
import { readRemote, type Remote } from "./remote.ts";
import { onStopSignal } from "./signals.ts";
import { TRANSPORT_FLAGS, TRANSPORT_HELP, withTransport } from "./transport.ts";
import { parseFlags, readCount, UsageError } from "./usage.ts";

/** What `replay --help` shows. */
export const REPLAY_HELP: string = helpText(
  `events-endpoint replay FILE TO: publish recorded events in the rhythm of their times

  events-endpoint tail http://shop:8085/events --output events.ndjson
  events-endpoint replay events.ndjson http://localhost:8085/events
  events-endpoint replay events.ndjson http://localhost:8085/events --speed 10

  --speed N               how many times as fast as the events were published, or max: as fast as TO accepts them (1)
  --max-attempts N        exit after this many failed attempts in a row (never)
  --api-key KEY           the key that TO wants (EVENTS_API_KEY, which other users of the machine do not see)
${TRANSPORT_HELP}
  --help                  show this and exit

FILE is what tail wrote: a dictionary a line; - is standard input. The difference between the times of two events is the
wait between them. An event without a time follows the one before it at once, as one with an earlier time does. Control
events, id and time are left out: TO has its own. On success replay prints "N accepted".`,
);

/** Publishes the events of a file. */
export async function replay(args: string[]): Promise<void> {
  const { values, positionals: [file, address, ...more] } = parseFlags(args, {
    speed: { type: "string" },
    "max-attempts": { type: "string" },
    "api-key": { type: "string" },
    ...TRANSPORT_FLAGS,
    help: { type: "boolean", short: "h" },
  }, true);
  if (values["help"]) return console.log(REPLAY_HELP);
  if (address === undefined) throw new UsageError("replay takes a file and a URL, FILE and TO: try --help");
  if (more.length > 0) throw new UsageError(`replay takes FILE and TO, and not also "${more[0]}"`);
  const remote = await withTransport(readRemote(address, values["api-key"], process.env), values);
  const speed = readSpeed(values["speed"]);
  const maxAttempts = readCount("max-attempts", values["max-attempts"]) ?? Infinity;
  const stop = new AbortController();
  onStopSignal(() => stop.abort());
  const replayer = new Replayer(remote, speed, { maxAttempts, signal: stop.signal, note });
  try {
    await replayer.run(linesOf(file === "-" ? process.stdin : createReadStream(file!)));
  } catch (error) {
    const reasons = error instanceof PublishError ? error.reasons : [(error as Error).message];
    throw new Error([...reasons, replayer.account()].join("\nevents-endpoint: "));
  }
  console.log(stop.signal.aborted ? replayer.account() : `${replayer.accepted} accepted`);
}

function readSpeed(text: unknown): number {
  if (text === undefined) return 1;
  if (text === "max") return Infinity;
  const speed = /^\d+(?:\.\d+)?$/.test(text as string) ? Number(text) : 0;
  if (speed > 0) return speed;
  throw new UsageError(`--speed takes a number above 0, or max, not "${text}"`);
}

/** Maximum number of characters of a request with more than one event, as for `emit`. */
const MAX_REQUEST_CHARACTERS = 100_000;

/** Publishes lines when they are due. */
class Replayer {
  readonly #remote: Remote;
  readonly #speed: number;
  readonly #patience: Patience & { readonly signal: AbortSignal };
  /** The number of events that were accepted. */
  accepted = 0;
  /** The number of the last line whose event was accepted. */
  #lastLine = 0;
  /** The events that are due. */
  #due: Posted[] = [];
  #length = 0;
  /** The time of the first event, and when it was due, in milliseconds; the clock is one that is never set. */
  #start: { readonly time: number; readonly at: number } | undefined;

  constructor(remote: Remote, speed: number, patience: Patience & { readonly signal: AbortSignal }) {
    this.#remote = remote;
    this.#speed = speed;
    this.#patience = patience;
  }

  /** Publishes all lines, until the signal is aborted. */
  async run(portions: AsyncIterable<readonly Line[]>): Promise<void> {
    const { signal } = this.#patience;
    for await (const lines of portions) {
      for (const line of lines) {
        await this.#take(line);
        if (signal.aborted) return;
      }
      await this.#flush(lines.at(-1)!.number);
    }
  }

  /** Returns how far it has come. */
  account(): string {
    return `${this.accepted} accepted${this.#lastLine === 0 ? "" : `, up to line ${this.#lastLine}`}`;
  }

  async #take({ number, text }: Line): Promise<void> {
    const { draft, control } = draftOf(text);
    const loss = control === undefined ? undefined : lossIn(control);
    if (loss !== undefined) note(`line ${number}: events_lost: ${lossText(loss.count)} before the next line`);
    if (draft === undefined) return;
    const ms = this.#waitFor(text);
    if (ms > 0 || this.#length + draft.length > MAX_REQUEST_CHARACTERS) await this.#flush(number - 1);
    if (ms > 0) await pause(ms, this.#patience.signal);
    this.#due.push({ place: `line ${number}`, text: draft });
    this.#length += draft.length + 1;
  }

  /** Returns the number of milliseconds until an event is due. */
  #waitFor(text: string): number {
    if (this.#speed === Infinity) return 0;
    const time = timeOf(text);
    if (Number.isNaN(time)) return 0;
    const now = performance.now();
    this.#start ??= { time, at: now };
    return this.#start.at + (time - this.#start.time) / this.#speed - now;
  }

  async #flush(line: number): Promise<void> {
    if (this.#due.length === 0) return;
    const key = crypto.randomUUID();
    const { accepted } = await post(this.#remote, this.#due, key, this.#patience, this.#lastLine === 0);
    this.accepted += accepted;
    this.#lastLine = line;
    this.#due = [];
    this.#length = 0;
  }
}

/** Returns when an event was published, in milliseconds since 1970; NaN if that is not known. */
function timeOf(text: string): number {
  try {
    return Date.parse((JSON.parse(text) as { time?: string } | null)?.time ?? "");
  } catch {
    return NaN; // The server reports what is wrong with the line.
  }
}

function note(text: string): void {
  console.error(`events-endpoint: ${text}`);
}
