/**
 * Requests to the server, rejected as soon as the connection breaks, because no answer can come then.
 *
 * @module
 */

/** Whether the connection is there, and what was asked over it. */
export interface Requests {
  /** Whether it is there, as far as is known. */
  readonly isConnected: boolean;
  /**
   * The answer to a request. Rejects as soon as the connection breaks, and while it is away at once: the client would
   * keep the request back, and wait out its time.
   */
  ask<T>(request: () => Promise<T>): Promise<T>;
  /** The connection is gone. */
  disconnected(): void;
  /** It is there again. */
  reconnected(): void;
}

/** Asks over a connection that is there. */
export function createRequests(): Requests {
  const waiting = new Set<(error: Error) => void>();
  let isConnected = true;

  return {
    get isConnected() {
      return isConnected;
    },
    ask: (request) =>
      new Promise((resolve, reject) => {
        if (!isConnected) return reject(new Error("the connection to NATS is down"));
        waiting.add(reject);
        request().then(resolve, reject).finally(() => waiting.delete(reject));
      }),
    disconnected: () => {
      isConnected = false;
      for (const giveUp of waiting) giveUp(new Error("the connection to NATS broke"));
      waiting.clear();
    },
    reconnected: () => {
      isConnected = true;
    },
  };
}
