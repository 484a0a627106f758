/**
 * What `forward` reads of its target: where it is, and whether events have arrived there already.
 *
 * @module
 */
import { failureOf } from "../client/failure.ts";
import { classifyResponse, readRetryAfter } from "../client/retry.ts";
import { isControlType } from "../events/event.ts";
import { linesOf } from "./lines.ts";
import { type Accepted, type Posted, PublishError } from "./post.ts";
import { reasonOf, type Remote } from "./remote.ts";

/** Number of milliseconds for an answer. */
const ANSWER_TIMEOUT_MS = 30_000;
/** Number of milliseconds to read everything in which events are looked for. */
const SEARCH_TIMEOUT_MS = 600_000;

/** What a search has found: the events, that they are not there, or that this cannot be known. */
export type Found = Accepted | "absent" | "unknown";

/** The reading side of a server that events are published to. */
export class Target {
  readonly #remote: Remote;
  readonly #signal: AbortSignal;
  /** Whether the server lets its events be read, as far as is known. */
  isReadable = true;

  /** @param signal ends every request */
  constructor(remote: Remote, signal: AbortSignal) {
    this.#remote = remote;
    this.#signal = signal;
  }

  /**
   * Returns the cursor of the last event; `undefined` if the server cannot be read.
   *
   * @throws {PublishError} if it may be read later
   */
  async position(): Promise<string | undefined> {
    const response = await this.#get({ since: "latest", follow: "false" }, ANSWER_TIMEOUT_MS);
    for await (const { type, id } of this.#eventsIn(response)) {
      if (type === "events_start" && typeof id === "string") return id;
    }
    this.isReadable = false;
    return undefined;
  }

  /**
   * Looks for events that may have been published after a cursor. Equal events of another publisher count as these.
   *
   * @throws {PublishError} if that may be possible later
   */
  async search(events: readonly Posted[], after: string): Promise<Found> {
    const end = this.isReadable ? await this.position() : undefined;
    if (end === undefined) return "unknown";
    if (end === after) return "absent";
    const wanted = events.map(({ text }) => contentOf(JSON.parse(text)));
    const response = await this.#get({ since: after, until: end, bookmarks: "true" }, SEARCH_TIMEOUT_MS);
    // After a loss of power a target may be behind a cursor that it has given.
    if (await isAhead(response)) return "absent";
    let [next, isWhole, isAtEnd] = [0, true, false];
    for await (const event of this.#eventsIn(response)) {
      const { type, id } = event;
      // Of an epoch that is over, none of the events are there any more.
      if (type === "events_lost") isWhole &&= reasonIn(event) === "unknown_epoch";
      else if (!isControlType(String(type)) && isSame(wanted[next]!, contentOf(event))) next++;
      if (next === wanted.length) return { accepted: next, lastId: String(id) };
      isAtEnd = id === end;
    }
    // Also the response of a server that stops ends on a whole line.
    if (!isAtEnd) throw this.#temporary("the response ended before its last event");
    return isWhole ? "absent" : "unknown";
  }

  /** Returns the response: a stream, or a refusal that another attempt would not change. */
  async #get(query: Readonly<Record<string, string>>, ms: number): Promise<Response> {
    const { url, place, apiKey, fetch = globalThis.fetch } = this.#remote;
    const address = new URL(url);
    for (const [key, value] of Object.entries({ ...query, format: "ndjson" })) {
      address.searchParams.set(key, value);
    }
    const headers: Record<string, string> = apiKey === undefined ? {} : { "X-Api-Key": apiKey };
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(ms)]);
    let response: Response;
    try {
      response = await fetch(address.href, { headers, redirect: "manual", signal });
    } catch (error) {
      const { code, message } = failureOf(place, error);
      if (code !== "ConnectionFailed") throw new PublishError([message], true, undefined, error);
      throw this.#temporary(reasonOf(error), error);
    }
    if (kindOf(response) !== "Unavailable") return response;
    await response.body?.cancel();
    const retryAfter = readRetryAfter(response.headers, Date.now());
    throw new PublishError([`${place} answers ${response.status}`], true, retryAfter);
  }

  async *#eventsIn(response: Response): AsyncGenerator<Readonly<Record<string, unknown>>> {
    if (response.body === null) return;
    if (kindOf(response) !== "open") return await response.body.cancel();
    try {
      for await (const lines of linesOf(response.body as unknown as AsyncIterable<Uint8Array>)) {
        for (const { text } of lines) yield JSON.parse(text);
      }
    } catch (error) {
      throw this.#temporary(reasonOf(error), error);
    }
  }

  #temporary(reason: string, cause?: unknown): PublishError {
    return new PublishError([`cannot read ${this.#remote.place}: ${reason}`], true, 0, cause);
  }
}

function kindOf({ status, headers }: Response): ReturnType<typeof classifyResponse> {
  return classifyResponse(status, headers.get("Content-Type"));
}

/** Whether a server answers that it has not come as far as the cursor to read from. */
async function isAhead(response: Response): Promise<boolean> {
  if (response.status !== 400) return false;
  const { error } = await response.clone().json().catch(() => ({})) as {
    error?: { code?: unknown; message?: unknown };
  };
  // That to read until is of another channel if the server was started again meanwhile.
  return error?.code === "InvalidCursor" && !String(error.message).startsWith("until");
}

/** The parts of an event that its publisher gave. */
type Content = readonly [type: unknown, payload: string, subject: unknown];

function contentOf({ type, event, subject }: Readonly<Record<string, unknown>>): Content {
  // A type without a payload may have been published with null.
  return [type, JSON.stringify(event ?? null), subject];
}

/** Whether an event is the one that was published. The target may have derived a subject that it had not. */
function isSame(
  [type, payload, subject]: Content,
  [otherType, otherPayload, otherSubject]: Content,
): boolean {
  return type === otherType && payload === otherPayload &&
    (subject === undefined || subject === otherSubject);
}

function reasonIn({ event }: Readonly<Record<string, unknown>>): unknown {
  return (event as { reason?: unknown } | undefined)?.reason;
}
