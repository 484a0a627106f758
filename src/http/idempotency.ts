/**
 * Idempotency keys: the response to a request is kept for some time, and repeated if the same request comes again.
 *
 * @module
 */
import { EventsError } from "../events/errors.ts";

/** The recent responses, by the key of the request. */
export interface IdempotencyStore<T> {
  /** The number of keys kept; expired ones count until the next request with a key. */
  readonly size: number;
  /**
   * Returns the response to a request: the earlier one, or the result of `run`. A repeat that arrives while `run` is
   * pending waits for its result. If `run` throws, the key is not kept.
   *
   * @param key the request's key
   * @param body the request's body
   * @throws {EventsError} `IdempotencyKeyReused` if the key came with another body before; `TooManyIdempotencyKeys`;
   *   and what `run` throws
   */
  run(key: string, body: string, run: () => T | Promise<T>): Promise<T>;
}

/** A response, and the request it belongs to. */
interface Remembered<T> {
  /** The SHA-256 of the body, which is not kept itself. */
  readonly digest: string;
  answer: T | Promise<T>;
  /** When it expires; infinity while it is pending. */
  until: number;
}

/**
 * Makes an empty store. It has no timer: expired keys are removed at the next request with a key.
 *
 * When it is full, new keys are rejected: dropping an older key would allow its request to run twice.
 *
 * @param windowMs number of milliseconds for which a response is kept
 * @param maxKeys maximum number of keys kept
 * @param now the clock, in milliseconds
 */
export function createIdempotencyStore<T>(
  windowMs: number,
  maxKeys: number,
  now: () => number = () => performance.now(),
): IdempotencyStore<T> {
  /** The responses by key; those that are complete are in the order in which they expire. */
  const remembered = new Map<string, Remembered<T>>();

  function removeExpired(): void {
    const time = now();
    for (const [key, { until }] of remembered) {
      if (until === Infinity) continue;
      if (until > time) break;
      remembered.delete(key);
    }
  }

  async function run(key: string, body: string, run: () => T | Promise<T>): Promise<T> {
    const digest = await digestOf(body);
    // No await from here until the key is stored, so that of two requests at the same time one is the first.
    removeExpired();
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
    remembered.delete(key); // Moves it to the end.
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
 * Reads the key in an `Idempotency-Key` header; `"abc"` in quotes and `abc` are the same.
 *
 * @returns `undefined` if there is no such header
 * @throws {EventsError} `InvalidParameter` for an invalid key: its sender relies on it, so it is not ignored
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
  return String.fromCharCode(...new Uint8Array(digest)); // One character per byte.
}
