/**
 * Attempts: one connection after the other, and what follows each of them.
 *
 * @module
 */
import type { Schemas } from "../events/catalogue.ts";
import { EventsError } from "../events/errors.ts";
import { type Arrival, type Frames, type Outcome, request, type Source } from "./attempt.ts";
import { loadSse } from "./decode.ts";
import { reasonOf } from "./failure.ts";
import { type ConnectOptions, headersOf, type Settings, type Status } from "./options.ts";
import type { Received } from "./received.ts";
import { delayAfter, isResumed, isRetried } from "./retry.ts";
import { createTimer } from "./timer.ts";

/**
 * Number of milliseconds after which a connection counts as one that worked: failures are counted from 0 again. It is the
 * default heartbeat, so that clients wait longer each time for a server that answers and dies at once, again and again.
 */
const STABLE_AFTER_MS = 5_000;
const ACCEPT = "application/x-ndjson, text/event-stream;q=0.9";

/** The current connection, and the attempts at the next one. */
export class Attempts {
  readonly #settings: Settings;
  readonly #options: ConnectOptions<Schemas, boolean>;
  readonly #received: Received;
  readonly #onStatus: (status: Status) => void;
  /** The address as it may be shown: a query may hold a key. */
  readonly #place: string;
  readonly #timer = createTimer();
  #request: AbortController | undefined;
  #source: Source | undefined;
  #openedAt = 0;
  /** Attempts that failed in a row. */
  #failures = 0;
  /** Whether the last response was 401. */
  #isUnauthorized = false;
  /** Whether the stream has ended after `until`, and the server is asked at once whether that was the reason: then it answers 204. */
  #isEndAsked = false;
  #isClosed = false;
  readonly #onSilence = (ms: number) => {
    this.#request?.abort(
      new EventsError("Timeout", `nothing arrived from ${this.#place} for ${ms / 1000} s`),
    );
  };

  readonly #onArrival = (arrival: Arrival): boolean | Promise<boolean> => {
    this.#timer.unwatch();
    if (this.#isClosed) return false;
    try {
      // Before the first event everything has been loaded.
      return this.#onFrames(this.#source!.accept(arrival) as Frames);
    } catch (error) {
      return this.#onLoss(error);
    }
  };
  readonly #onFrames = (frames: Frames): boolean | Promise<boolean> => {
    if (this.#isClosed) return false;
    if (frames !== undefined) {
      this.#received.push(frames);
      return true;
    }
    const { backoff, until, untilMs } = this.#settings;
    if (backoff === undefined) return false; // A stream that is not resumed may end.
    if (until !== undefined && until === this.#received.lastId) return false;
    if (!this.#isEndAsked && Date.now() >= untilMs) {
      this.#isEndAsked = true;
      this.#drop();
      return true;
    }
    return this.#onLoss(new EventsError("ConnectionLost", `${this.#place} ended the stream`));
  };
  readonly #onLoss = async (error: unknown): Promise<boolean> => {
    if (this.#isClosed) return false;
    this.#isEndAsked = false;
    const { isOpen } = this.#received;
    const timeoutMs = this.#timeoutMs;
    const retryAfter = this.#source!.retry();
    const cause = this.#causeOf(error);
    if (!isResumed(cause)) throw cause;
    this.#drop();
    // The silence before a time-out does not count: a server that accepts connections and sends nothing fails every time.
    const lived = performance.now() - this.#openedAt - (cause.code === "Timeout" ? timeoutMs : 0);
    this.#failures = lived >= STABLE_AFTER_MS ? 0 : this.#failures + 1;
    if (isOpen) this.#onStatus({ type: "lost", cause });
    return !this.#isClosed && await this.#wait(cause, retryAfter);
  };

  constructor(
    settings: Settings,
    options: ConnectOptions<Schemas, boolean>,
    received: Received,
    onStatus: (status: Status) => void,
  ) {
    this.#settings = settings;
    this.#options = options;
    this.#received = received;
    this.#onStatus = onStatus;
    this.#place = settings.url.origin + settings.url.pathname;
  }

  /**
   * Makes one step: connects, receives what arrives next, or waits for the next attempt.
   *
   * @returns whether there may be more; `false` at the end of a stream that is not to be resumed
   * @throws {EventsError} an error after which there is no retry; and what a callback of the application throws
   */
  step(): Promise<boolean> {
    return this.#source === undefined ? this.#connect() : this.#receive(this.#source);
  }

  /**
   * Ends the current connection, which then counts as lost, or the current request, which then counts as failed.
   *
   * @param reason why, for the error
   */
  disconnect(reason: string): void {
    this.#request?.abort(new Error(reason));
  }

  /** Ends the current connection, and every wait. */
  close(): void {
    this.#isClosed = true;
    this.#drop();
  }

  /** Cancels the current request, and its response if there is one. Stops the timer. */
  #drop(): void {
    this.#timer.clear();
    this.#source = undefined;
    this.#request?.abort();
    this.#request = undefined;
  }

  /** Makes one attempt, and waits if it failed. */
  async #connect(): Promise<boolean> {
    const attempt = this.#failures + 1;
    this.#onStatus({ type: "connecting", attempt });
    if (this.#isClosed) return false;
    const outcome = await this.#send(attempt);
    if (this.#isClosed) return false;
    const wasUnauthorized = this.#isUnauthorized;
    this.#isUnauthorized = outcome.type === "failed" && outcome.cause.code === "Unauthorized";
    if (outcome.type === "open") return true;
    this.#drop();
    if (outcome.type === "end") return false;
    const { cause, retryAfter } = outcome;
    if (this.#isUnauthorized && !wasUnauthorized && typeof this.#options.headers === "function") return true;
    if (!isRetried(cause)) throw cause;
    this.#failures++;
    return await this.#wait(cause, retryAfter);
  }

  /** Sends a request, and waits for its response. */
  async #send(attempt: number): Promise<Outcome> {
    const { signal } = this.#request = new AbortController();
    try {
      const { responseTimeoutMs } = this.#settings;
      const response = this.#fetch(attempt, signal);
      const outcome = await this.#timer.limit(response, responseTimeoutMs, `no response from ${this.#place}`);
      if (outcome.type === "open") this.#open(outcome.source);
      return outcome;
    } catch (error) {
      // Anything else was thrown by the function under `headers`.
      if (!this.#isClosed && !(error instanceof EventsError && isRetried(error))) throw error;
      return { type: "failed", cause: error as EventsError, retryAfter: 0 };
    }
  }

  #open(source: Source): void {
    this.#source = source;
    this.#openedAt = performance.now();
    this.#received.isOpen = false;
  }

  async #fetch(attempt: number, signal: AbortSignal): Promise<Outcome> {
    const { apiKey, since, last, bigint, fetch = globalThis.fetch } = this.#options;
    if (bigint) this.#received.parse = (await loadSse()).parseExactly;
    const { headers: own, url, maxLineBytes } = this.#settings;
    const given = typeof own === "function"
      ? await own({ attempt, unauthorized: this.#isUnauthorized })
      : own;
    const headers = headersOf("headers", given);
    if (!headers.has("Accept")) headers.set("Accept", ACCEPT);
    if (apiKey !== undefined) headers.set("X-Api-Key", apiKey);
    const from = new URL(url);
    const { lastId } = this.#received;
    const start = lastId ?? since;
    if (start) from.searchParams.set("since", start instanceof Date ? start.toISOString() : start);
    else if (last) from.searchParams.set("last", `${last}`);
    this.#received.resumedAfter = lastId || undefined;
    const init: RequestInit = { headers, signal, redirect: "manual" };
    // Cloudflare Workers before the compatibility date 2024-11-11 have no such option, and reject it.
    if ("cache" in Request.prototype) init.cache = "no-store";
    return await request(() => fetch(from.href, init), signal, this.#place, maxLineBytes);
  }

  /** The number of milliseconds to wait for what arrives next. Until its first event the stream counts as a response. */
  get #timeoutMs(): number {
    const { idleTimeoutMs, responseTimeoutMs } = this.#settings;
    const { isOpen, heartbeatTimeoutMs } = this.#received;
    return isOpen ? idleTimeoutMs ?? heartbeatTimeoutMs : responseTimeoutMs;
  }

  /** Receives what arrives next. Waits for the next attempt if the connection is lost. */
  #receive(source: Source): Promise<boolean> {
    const timeoutMs = this.#timeoutMs;
    const reading = source.read();
    if (this.#received.isOpen) {
      // A busy stream comes here for each chunk: there is one promise, and nothing else is made.
      this.#timer.watch(timeoutMs, this.#onSilence);
      return reading.then(this.#onArrival, this.#onLoss);
    }
    const frames = reading.then(source.accept);
    return this.#timer.limit(frames, timeoutMs, `nothing arrived from ${this.#place}`)
      .then(this.#onFrames, this.#onLoss);
  }

  /** Returns why the connection was lost. Not every runtime rejects with the reason of the signal. */
  #causeOf(cause: unknown): EventsError {
    for (const error of [cause, this.#request?.signal.reason]) if (error instanceof EventsError) return error;
    const message = `the stream of ${this.#place} was cut off: ${reasonOf(cause)}`;
    return new EventsError("ConnectionLost", message, { cause });
  }

  /** Waits before the next attempt. Throws if there is to be none. */
  async #wait(cause: EventsError, retryAfter: number): Promise<boolean> {
    const { backoff } = this.#settings;
    if (backoff === undefined) throw cause;
    if (this.#failures >= backoff.maxAttempts) {
      const message = `reconnect.maxAttempts (${backoff.maxAttempts}) is reached: ${cause.message}`;
      throw new EventsError("RetriesExhausted", message, { cause });
    }
    const delay = delayAfter(this.#failures, backoff, retryAfter, Math.random);
    this.#onStatus({ type: "waiting", delay, attempt: this.#failures + 1, cause });
    if (this.#isClosed) return false;
    await this.#timer.sleep(delay * 1000);
    return true;
  }
}
