/**
 * Publishes events by `POST`, and repeats a request until the server has answered it.
 *
 * Each request has an idempotency key. A repeat has the same key and the same body, so a server that accepted the first one
 * and whose answer was lost accepts nothing twice.
 *
 * @module
 */
import { failureOf } from "../client/failure.ts";
import { delayAfter, readRetryAfter } from "../client/retry.ts";
import { printable } from "../text/printable.ts";
import { describeFailure } from "./connection_notes.ts";
import { reasonOf, type Remote } from "./remote.ts";

/** An event to publish. */
export interface Posted {
  /** Where it comes from, for messages: `line 3`; may be empty. */
  readonly place: string;
  /** Its JSON, in one line. */
  readonly text: string;
}

/** How requests are repeated. */
export interface Patience {
  /** Maximum number of attempts in a row that may fail. */
  readonly maxAttempts: number;
  /** Ends the wait for another attempt. */
  readonly signal?: AbortSignal;
  /** Shows a message: why there is a wait, and that it is over. */
  note(text: string): void;
  /**
   * Called before each attempt, and can fail as one does.
   *
   * @param isUncertain whether an attempt before this one may have been accepted
   * @returns what the server has accepted, so that nothing is sent; `undefined` to send the request
   */
  beforeAttempt?(isUncertain: boolean): Promise<Accepted | undefined>;
}

/** What a server has accepted. */
export interface Accepted {
  /** The number of events. */
  readonly accepted: number;
  /** The cursor of the last one, if the server has cursors. */
  readonly lastId: string | undefined;
}

/** Number of milliseconds to wait for the response to a request. */
const RESPONSE_TIMEOUT_MS = 30_000;
/** Maximum number of issues that are printed. */
const MAX_ISSUES = 20;
/** The statuses after which another attempt may succeed, beside those from 500 on: what `connect()` repeats too. */
const TEMPORARY: readonly number[] = [408, 425, 429];
/** What will not change: not implemented, and another version of HTTP. */
const FINAL: readonly number[] = [501, 505];
const BACKOFF = { min: 0.5, max: 30, jitter: true, maxRetryAfter: 3600 };

/** Reports that a request was not accepted. */
export class PublishError extends Error {
  /** The reasons, one line each. */
  readonly reasons: readonly string[];
  /** Whether nothing was published for certain. Without a response from the server, the events may have been. */
  readonly isCertain: boolean;
  /** Number of seconds before another attempt; `undefined` if another one would not help. */
  readonly retryAfter: number | undefined;

  constructor(reasons: readonly string[], isCertain: boolean, retryAfter?: number, cause?: unknown) {
    super(reasons[0], { cause });
    this.reasons = reasons;
    this.isCertain = isCertain;
    this.retryAfter = retryAfter;
  }
}

/**
 * Publishes events as one request, all or nothing. Repeats it, with longer and longer waits, until the server answers.
 *
 * @param key the idempotency key: the same events with the same key are published once
 * @param isFirst whether nothing was sent to this server before
 * @throws {PublishError}
 */
export async function post(
  remote: Remote,
  events: readonly Posted[],
  key: string,
  { maxAttempts, signal, note, beforeAttempt }: Patience,
  isFirst: boolean,
): Promise<Accepted> {
  let trouble: string | undefined;
  let isCertain = true;
  for (let failures = 0;;) {
    try {
      const accepted = await beforeAttempt?.(!isCertain) ?? await send(remote, events, key, isFirst);
      if (trouble !== undefined) note("connected");
      return accepted;
    } catch (error) {
      if (!(error instanceof PublishError)) throw error;
      isCertain &&= error.isCertain;
      if (error.retryAfter === undefined) throw new PublishError(error.reasons, isCertain, undefined, error);
      if (++failures >= maxAttempts) {
        throw new PublishError([`gave up: ${error.message}`], isCertain, undefined, error);
      }
      if (trouble !== error.message) note(`${error.message}; trying again`);
      trouble = error.message;
      await pause(delayAfter(failures, BACKOFF, error.retryAfter, Math.random) * 1000, signal);
      if (signal?.aborted) throw new PublishError([error.message], isCertain, undefined, error);
    }
  }
}

/** Waits, at most until the signal is aborted. */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done);
    if (signal?.aborted) done();
  });
}

/** Sends one request. */
async function send(remote: Remote, events: readonly Posted[], key: string, isFirst: boolean) {
  const { url, place, apiKey, fetch = globalThis.fetch } = remote;
  const headers = new Headers({
    "Content-Type": "application/x-ndjson",
    "Accept": "application/json",
    // Deno repeats a request by itself if a reused connection breaks.
    "Idempotency-Key": key,
  });
  if (apiKey !== undefined) headers.set("X-Api-Key", apiKey);
  const body = events.map(({ text }) => `${text}\n`).join("");
  let response: Response;
  let text: string;
  try {
    const signal = AbortSignal.timeout(RESPONSE_TIMEOUT_MS);
    // Does not follow a redirect: the API key is for this server alone.
    response = await fetch(url.href, { method: "POST", headers, body, redirect: "manual", signal });
    text = await response.text();
  } catch (error) {
    const failure = failureOf(place, error);
    if (failure.code !== "ConnectionFailed") {
      throw new PublishError([describeFailure(failure, remote)], true, undefined, error);
    }
    const reason = reasonOf(error);
    // A refused connection means that nothing was sent. On a later request it may follow a repeat of Deno's.
    const isCertain = isFirst && reason === "connection refused";
    throw new PublishError([`cannot reach ${place}: ${reason}`], isCertain, 0, error);
  }
  return acceptedIn(remote, response, text, events);
}

/** Returns what a response confirms. */
function acceptedIn(
  remote: Remote,
  response: Response,
  text: string,
  events: readonly Posted[],
): Accepted {
  const { place } = remote;
  const { status } = response;
  const answer = parse(text);
  if (response.ok && typeof answer?.accepted === "number") {
    const { accepted, last_id: lastId } = answer;
    return { accepted, lastId: typeof lastId === "string" ? lastId : undefined };
  }
  if (response.ok) {
    throw new PublishError([
      `${place} answers ${status} without the number of accepted events: is it an events endpoint?`,
    ], false);
  }
  const reasons = reasonsOf(answer, events) ?? [`${place} answers ${status}`];
  const hint = status === 401 ? `: ${remote.keyHint}` : "";
  const isTemporary = status >= 500 && !FINAL.includes(status) || TEMPORARY.includes(status);
  throw new PublishError(
    [...reasons.slice(0, -1), reasons.at(-1)! + hint],
    status < 500,
    isTemporary ? readRetryAfter(response.headers, Date.now()) : undefined,
  );
}

/** The parts of a response that are read here. */
interface Answer {
  readonly accepted?: unknown;
  readonly last_id?: unknown;
  readonly error?: string | {
    readonly code?: unknown;
    readonly message?: unknown;
    readonly details?: readonly {
      readonly index?: unknown;
      readonly path?: unknown;
      readonly message?: unknown;
    }[];
  };
}

function parse(text: string): Answer | undefined {
  try {
    return JSON.parse(text) as Answer | undefined;
  } catch {
    return undefined;
  }
}

/** Formats the errors in a response, each with its place and type; `undefined` if the response has none. */
function reasonsOf(answer: Answer | undefined, events: readonly Posted[]): readonly string[] | undefined {
  const error = answer?.error ?? {};
  // Some releases of Tribler send no code, and Tribler 8 sends the message alone.
  const { code, message, details } = typeof error === "object" ? error : { message: error };
  if (typeof message !== "string") return undefined;
  if (!Array.isArray(details) || details.length === 0) {
    return [printable(typeof code === "string" ? `${code}: ${message}` : message).slice(0, 1000)];
  }
  const reasons = details.slice(0, MAX_ISSUES).map(({ index, path, message }) => {
    const event = events[Number(index)];
    return [event?.place, typeOf(event?.text), path, message].filter(Boolean)
      .map((part) => printable(String(part))).join(": ");
  });
  const more = details.length - reasons.length;
  return more > 0 ? [...reasons, `and ${more} more`] : reasons;
}

/** Returns the type in a line, cut to 128 characters; `undefined` if it has none. */
function typeOf(text: string | undefined): string | undefined {
  const { type } = (parse(text ?? "") ?? {}) as { type?: unknown };
  return typeof type === "string" ? type.slice(0, 128) : undefined;
}
