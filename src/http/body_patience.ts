/**
 * Waiting for the parts of bodies: for as long as they make progress, and the channel is open.
 *
 * @module
 */
import type { OnClose } from "../channel/on_close.ts";
import { EventsError, type EventsErrorCode } from "../events/errors.ts";

/** Waits for parts of bodies. */
export interface BodyPatience {
  /**
   * Waits for a part of a body, or for all of it.
   *
   * @param received returns the number of bytes that have arrived; by default nothing is seen before the part is complete
   * @throws {EventsError} `RequestTimeout`; `ChannelClosed`; `BodyIncomplete` if the promise rejects
   */
  wait<T>(part: Promise<T>, received?: () => number): Promise<T>;
}

/** A part that has not arrived. */
interface Waiting {
  readonly received: (() => number) | undefined;
  readonly reject: (error: EventsError) => void;
  /** Its state when it was last seen to make progress, if it has been looked at. */
  seen: { readonly bytes: number; readonly at: number } | undefined;
  stopListening: () => void;
}

/** Most bodies arrive with their head. One that does not is looked at after this many milliseconds, and then again. */
const LOOK_MS = 100;

/**
 * Makes what waits. It has one timer for all bodies, and a body that is complete at once needs no listener.
 *
 * @param timeoutMs number of milliseconds without progress after which a body is rejected
 * @param late the message of the error then
 * @param onClose reports that the channel was closed, which makes the rest of a body useless
 */
export function createBodyPatience(timeoutMs: number, late: string, onClose: OnClose): BodyPatience {
  const waiting = new Set<Waiting>();
  const lookMs = Math.min(LOOK_MS, timeoutMs / 4);
  let timer: ReturnType<typeof setTimeout> | undefined;

  function lookAtAll(): void {
    for (const part of waiting) look(part);
    timer = waiting.size > 0 ? setTimeout(lookAtAll, lookMs) : undefined;
  }

  function look(part: Waiting): void {
    const [now, bytes] = [performance.now(), part.received?.() ?? 0];
    if (part.seen === undefined) {
      part.stopListening = onClose(() =>
        reject(part, "ChannelClosed", "the channel was closed before the body was complete")
      );
    }
    if (part.seen?.bytes !== bytes) part.seen = { bytes, at: now };
    else if (now - part.seen.at >= timeoutMs) {
      reject(part, "RequestTimeout", late);
    }
  }

  function reject(part: Waiting, code: EventsErrorCode, message: string, cause?: unknown): void {
    leave(part);
    part.reject(new EventsError(code, message, { cause }));
  }

  function leave(part: Waiting): void {
    waiting.delete(part);
    part.stopListening();
  }

  return {
    wait: (promise, received) =>
      new Promise((resolve, rejectPart) => {
        const part: Waiting = { received, reject: rejectPart, seen: undefined, stopListening: IGNORE };
        waiting.add(part);
        timer ??= setTimeout(lookAtAll, lookMs);
        promise.then((value) => {
          leave(part);
          resolve(value);
        }, (cause) => {
          reject(part, "BodyIncomplete", "the body broke off before its end: nothing was published", cause);
        });
      }),
  };
}

const IGNORE = () => {};
