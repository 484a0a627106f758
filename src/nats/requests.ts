/**
 * Requests to the server: they are rejected as soon as the connection breaks, because no response can arrive.
 *
 * @module
 */

/** The connection and the requests that are pending on it. */
export interface Requests {
  /** Whether the connection is up, as far as this process knows. */
  readonly isConnected: boolean;
  /**
   * Sends a request. Rejects as soon as the connection breaks, and at once while it is down: the client would hold the request
   * until it times out.
   */
  request<T>(send: () => Promise<T>): Promise<T>;
  /** Notes that the connection broke, and rejects all pending requests. */
  disconnected(): void;
  /** Notes that the connection is up again. */
  reconnected(): void;
}

/** Makes an empty list of requests on a connection that is up. */
export function createRequests(): Requests {
  const pending = new Set<(error: Error) => void>();
  let isConnected = true;

  return {
    get isConnected() {
      return isConnected;
    },
    request: (send) =>
      new Promise((resolve, reject) => {
        if (!isConnected) return reject(new Error("the connection to NATS is down"));
        pending.add(reject);
        send().then(resolve, reject).finally(() => pending.delete(reject));
      }),
    disconnected: () => {
      isConnected = false;
      for (const reject of pending) reject(new Error("the connection to NATS broke"));
      pending.clear();
    },
    reconnected: () => {
      isConnected = true;
    },
  };
}
