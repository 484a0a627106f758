/**
 * Attempts: connections one after the other, with what follows each of them.
 *
 * @module
 */
import type { Schemas } from "../events/catalogue.ts";
import { EventsError } from "../events/errors.ts";
import { type Outcome, reasonOf, request, type Source } from "./attempt.ts";
import type { ConnectOptions, Settings, Status } from "./options.ts";
import type { Received } from "./received.ts";
import { delayAfter, isRetried } from "./retry.ts";
import { createTimer } from "./timer.ts";

/**
 * A connection that has lived for this many milliseconds has worked: failures count from 0 again. It is as long as the
 * default heartbeat, so a server that answers and dies at once, again and again, does not count as healthy, and clients wait
 * longer each time.
 */
const STABLE_AFTER_MS = 5_000;
const ACCEPT = "application/x-ndjson, text/event-stream;q=0.9";

/** The connection of the moment, and the way to the next one. */
export class Attempts {
  readonly #settings: Settings;
  readonly #options: ConnectOptions<Schemas>;
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
  #isClosed = false;

  constructor(
    settings: Settings,
    options: ConnectOptions<Schemas>,
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
   * Makes one step: connects, or receives what arrives next, or waits for the next attempt.
   *
   * @returns whether there may be more; `false` at the end of a stream that is not to be resumed
   * @throws {EventsError} the error that cannot be retried; and what a callback of the application throws
   */
  step(): Promise<boolean> {
    return this.#source === undefined ? this.#connect() : this.#receive(this.#source);
  }

  /** Ends the present connection: what waits for it reconnects. */
  disconnect(): void {
    this.#request?.abort();
  }

  /** Ends the present connection, and every wait. */
  close(): void {
    this.#isClosed = true;
    this.#timer.clear();
    this.#drop();
  }

  #drop(): void {
    this.#source?.cancel();
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

  /**
   * Sends a request. A stream that is not wanted any more is cancelled, however late it opens: `fetch` may ignore its signal.
   */
  async #send(attempt: number): Promise<Outcome> {
    const { signal } = this.#request = new AbortController();
    let isWanted = true;
    const response = this.#fetch(attempt, signal).then((outcome) => {
      if (outcome.type === "open" && (!isWanted || this.#isClosed)) outcome.source.cancel();
      return outcome;
    });
    try {
      const { responseTimeoutMs } = this.#settings;
      const outcome = await this.#timer.limit(response, responseTimeoutMs, `no response from ${this.#place}`);
      if (outcome.type === "open") this.#open(outcome.source);
      return outcome;
    } catch (error) {
      isWanted = false;
      // Anything else was thrown by the function under `headers`.
      if (!this.#isClosed && !(error instanceof EventsError && isRetried(error))) throw error;
      return { type: "failed", cause: error as EventsError, retryAfter: 0 };
    }
  }

  #open(source: Source): void {
    if (this.#isClosed) return source.cancel(); // Closed in the moment it opened.
    this.#source = source;
    this.#openedAt = performance.now();
    this.#received.isOpen = false;
  }

  async #fetch(attempt: number, signal: AbortSignal): Promise<Outcome> {
    const { headers: own, apiKey, since, fetch = globalThis.fetch } = this.#options;
    const { url, maxLineBytes } = this.#settings;
    const given = typeof own === "function"
      ? await own({ attempt, unauthorized: this.#isUnauthorized })
      : own;
    // Closed, or left with the page, which reconnects when it is shown again.
    if (signal.aborted) {
      throw new EventsError("ConnectionFailed", `the request to ${this.#place} was cancelled`);
    }
    const headers = new Headers(given);
    if (!headers.has("Accept")) headers.set("Accept", ACCEPT);
    if (apiKey !== undefined) headers.set("X-Api-Key", apiKey);
    const from = new URL(url);
    const { lastId } = this.#received;
    const start = lastId ?? since;
    if (start) from.searchParams.set("since", start);
    this.#received.resumedAfter = lastId || undefined;
    const init: RequestInit = { headers, signal, redirect: "manual", cache: "no-store" };
    return await request(() => fetch(from.href, init), signal, this.#place, maxLineBytes);
  }

  /** Receives what arrives next; if the connection is lost, waits. */
  async #receive(source: Source): Promise<boolean> {
    const { idleTimeoutMs, responseTimeoutMs, backoff } = this.#settings;
    const { isOpen, heartbeatTimeoutMs } = this.#received;
    // Until its first event the stream counts as a response that has not arrived.
    const timeoutMs = isOpen ? idleTimeoutMs ?? heartbeatTimeoutMs : responseTimeoutMs;
    let cause: EventsError;
    try {
      const frames = await this.#timer.limit(source.read(), timeoutMs, `nothing arrived from ${this.#place}`);
      if (this.#isClosed) return false;
      if (frames !== undefined) {
        this.#received.push(frames);
        return true;
      }
      if (backoff === undefined) return false; // A stream that is not resumed may end.
      cause = new EventsError("ConnectionLost", `${this.#place} ended the stream`);
    } catch (error) {
      if (this.#isClosed) return false;
      cause = error instanceof EventsError ? error : this.#lost(error);
    }
    this.#drop();
    // The silence at its end was not life: a server that accepts connections and sends nothing fails every time.
    const lived = performance.now() - this.#openedAt - (cause.code === "Timeout" ? timeoutMs : 0);
    this.#failures = lived >= STABLE_AFTER_MS ? 0 : this.#failures + 1;
    if (isOpen) this.#onStatus({ type: "lost", cause });
    return !this.#isClosed && await this.#wait(cause, source.retry());
  }

  #lost(cause: unknown): EventsError {
    const message = `the stream of ${this.#place} was cut off: ${reasonOf(cause)}`;
    return new EventsError("ConnectionLost", message, { cause });
  }

  /** Waits before the next attempt, if there is one. */
  async #wait(cause: EventsError, retryAfter: number): Promise<boolean> {
    const { backoff } = this.#settings;
    if (backoff === undefined) throw cause;
    if (this.#failures >= backoff.maxAttempts) {
      const message = `gave up after ${this.#failures} attempts in a row: ${cause.message}`;
      throw new EventsError("RetriesExhausted", message, { cause });
    }
    const delay = delayAfter(this.#failures, backoff, retryAfter, Math.random);
    this.#onStatus({ type: "waiting", delay, attempt: this.#failures + 1, cause });
    if (this.#isClosed) return false;
    await this.#timer.sleep(delay * 1000);
    return true;
  }
}
