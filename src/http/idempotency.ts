/**
 * Idempotency keys: the answer to a request is kept for a while, for whoever asks the same again.
 *
 * @module
 */
import { EventsError } from "../events/errors.ts";

/** The answers given of late, by the key of the request. */
export interface IdempotencyStore<T> {
  /** How many keys are remembered, those included whose time is over and that nobody has asked for since. */
  readonly size: number;
  /**
   * The answer to a request: the one it got before, or the one that `run` gives. A request that comes while the same
   * one is still being answered waits for that answer. What `run` refuses is not remembered.
   *
   * @param key the request's key
   * @param body the request's body
   * @throws {EventsError} `IdempotencyKeyReused` where the key came with another body; `TooManyIdempotencyKeys`;
   *   and what `run` throws
   */
  run(key: string, body: string, run: () => T | Promise<T>): Promise<T>;
}

/** An answer, and what it was to. */
interface Remembered<T> {
  /** The SHA-256 of the request's body: it is never kept itself. */
  readonly digest: string;
  answer: T | Promise<T>;
  /** When it is forgotten; infinity while it is not there yet. */
  until: number;
}

/**
 * Makes an empty memory. It has no timer: what is over is forgotten when somebody comes with a key.
 *
 * Where it is full a new key is refused, because to forget an older one would let its request be done twice.
 *
 * @param windowMs how long an answer is kept, in milliseconds
 * @param maxKeys how many are kept
 * @param now the clock, in milliseconds
 */
export function createIdempotencyStore<T>(
  windowMs: number,
  maxKeys: number,
  now: () => number = () => performance.now(),
): IdempotencyStore<T> {
  /** Those that have their answer stand in the order in which they are forgotten. */
  const remembered = new Map<string, Remembered<T>>();

  function forget(): void {
    const time = now();
    for (const [key, { until }] of remembered) {
      if (until === Infinity) continue;
      if (until > time) break;
      remembered.delete(key);
    }
  }

  async function run(key: string, body: string, run: () => T | Promise<T>): Promise<T> {
    const digest = await digestOf(body);
    // From here to where the key is remembered nothing is waited for: of two at the same time one is the first.
    forget();
    const known = remembered.get(key);
    if (known !== undefined) {
      if (known.digest === digest) return await known.answer;
      const message = `the idempotency key "${key}" came with another body before: take a new key for it`;
      throw new EventsError("IdempotencyKeyReused", message);
    }
    if (remembered.size >= maxKeys) {
      throw new EventsError(
        "TooManyIdempotencyKeys",
        `${maxKeys} idempotency keys are remembered: try again later, or without one`,
      );
    }
    const entry: Remembered<T> = { digest, answer: (async () => await run())(), until: Infinity };
    remembered.set(key, entry);
    try {
      entry.answer = await entry.answer;
    } catch (error) {
      remembered.delete(key);
      throw error;
    }
    entry.until = now() + windowMs;
    remembered.delete(key); // And at the end again.
    remembered.set(key, entry);
    return entry.answer;
  }

  return {
    get size() {
      return remembered.size;
    },
    run,
  };
}

/** A string in quotes, as the IETF's draft of the header has it (RFC 9651, section 3.3.3). */
const QUOTED = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/;
const KEY = /^[\x21-\x7e]+$/;
/** A UUID has 36 characters. */
const MAX_KEY_LENGTH = 255;

/**
 * The key in an `Idempotency-Key` header; `"abc"` in quotes and `abc` are the same.
 *
 * @returns `undefined` where there is no such header
 * @throws {EventsError} `InvalidParameter` for what is no key: who sends one relies on it
 */
export function readIdempotencyKey(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const quoted = QUOTED.exec(header)?.[1]?.replaceAll(/\\(["\\])/g, "$1");
  const key = quoted ?? (header.startsWith('"') ? "" : header);
  if (KEY.test(key) && key.length <= MAX_KEY_LENGTH) return key;
  throw new EventsError(
    "InvalidParameter",
    `Idempotency-Key must be 1 to ${MAX_KEY_LENGTH} visible ASCII characters, with or without quotes around them`,
  );
}

async function digestOf(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return String.fromCharCode(...new Uint8Array(digest)); // One byte a character.
}
