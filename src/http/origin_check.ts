/**
 * Requests that are copies of the server's own: what Bun knows of a request is lost on the way to an app that is mounted.
 *
 * @module
 */
import type { Context } from "hono";
import { isCopied, UNKNOWN_ADDRESS } from "./runtime.ts";

/**
 * Reports the first stream for which it matters that its request is a copy.
 *
 * @param address the address of the client, as `clientAddress` returned it
 * @param silence maximum number of seconds for which the stream is silent
 * @returns to be called when the stream ends; `undefined` if there is nothing to report
 */
export type OriginCheck = (
  c: Context,
  address: string | undefined,
  silence: number,
) => (() => void) | undefined;

/** What it has to know of the settings. */
interface OriginSettings {
  readonly maxConnectionsPerAddress: number | null;
  readonly onError: (error: unknown) => void;
}

/** A shorter silence never closes a stream: Bun's server closes by default what is idle for ten seconds. */
const SHORT_SECONDS = 8;

/** How long it takes at most, on a busy machine, until a request knows that its client has disconnected. */
const DISCONNECT_MS = 500;

const MESSAGE =
  "eventsEndpoint: requests are copies of those that Bun's server received, as app.mount() makes them: " +
  "all clients count as one address, and the server closes streams that are silent for its idleTimeout. " +
  "Use app.route(), or app.mount(path, endpoint.fetch, (c) => ({ server: c.env, request: c.req.raw }))";

/** Makes the check of an endpoint, which reports once. */
export function createOriginCheck({ maxConnectionsPerAddress, onError }: OriginSettings): OriginCheck {
  let isReported = false;
  return (c, address, silence) => {
    if (isReported) return undefined;
    const isLimitShared = address === UNKNOWN_ADDRESS && maxConnectionsPerAddress !== null;
    if (!(isLimitShared || silence > SHORT_SECONDS) || !isCopied(c)) return undefined;
    // Of a client that has disconnected nothing is known either, and its signal may abort a little later.
    const timer = setTimeout(() => {
      if (isReported || !isCopied(c)) return;
      isReported = true;
      onError(new Error(MESSAGE));
    }, DISCONNECT_MS);
    return () => clearTimeout(timer);
  };
}
