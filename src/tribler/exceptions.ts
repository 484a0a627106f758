/**
 * The errors of a core: each becomes a `tribler_exception`, and one waits for a client where none is connected.
 *
 * @module
 */
import type { Channel } from "../channel/channel.ts";
import type { Draft, Schemas } from "../events/catalogue.ts";
import { EventsError } from "../events/errors.ts";
import type { CoreError } from "./generations.ts";

/** Publishes the errors of a core. */
export interface Exceptions {
  /**
   * Publishes an error, or keeps the first one for the next client.
   *
   * @param isConnected whether any client is connected
   */
  raise(error: unknown, isConnected: boolean): void | Promise<void>;
  /** Publishes the error that was kept, if there is one: a client has connected. */
  deliver(): void;
}

/**
 * Makes it, with nothing kept.
 *
 * @param payloadOf makes the payload of the event
 */
export function createExceptions(
  channel: Channel<Schemas>,
  payloadOf: (error: CoreError) => unknown,
): Exceptions {
  let undelivered: CoreError | undefined;

  /** Publishes as much of the texts as the history can hold. */
  function publish(error: CoreError): void | Promise<void> {
    const publishLess = (cause: unknown) => {
      const isTooLong = cause instanceof EventsError && cause.code === "InvalidEvent" && error.stack !== "";
      if (!isTooLong) throw cause;
      return publish({ ...error, message: half(error.message), stack: half(error.stack) });
    };
    try {
      const draft = { type: "tribler_exception", event: payloadOf(error) } as Draft<Schemas>;
      const ids = channel.publishBatch([draft]);
      if (ids instanceof Promise) {
        return ids.then(() => {}, publishLess).catch(() => void (undelivered ??= error));
      }
    } catch (cause) {
      return publishLess(cause);
    }
  }

  return {
    raise: (raised, isConnected) => {
      const error = coreErrorOf(raised);
      if (!isConnected && undelivered === undefined) undelivered = error;
      else return publish(error);
    },
    deliver: () => {
      const error = undelivered;
      undelivered = undefined;
      if (error !== undefined && !channel.closed) publish(error);
    },
  };
}

function half(text: string): string {
  return text.slice(0, text.length / 2);
}

function coreErrorOf(raised: unknown): CoreError {
  try {
    if (raised instanceof Error) {
      const { name, message, stack = String(raised) } = raised;
      return { name: String(name), message: String(message), stack: String(stack) };
    }
    return { name: "Error", message: String(raised), stack: String(raised) };
  } catch {
    const text = Object.prototype.toString.call(raised); // An object without a text of its own.
    return { name: "Error", message: text, stack: text };
  }
}
