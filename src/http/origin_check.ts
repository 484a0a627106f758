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
 * @param isSilent whether the stream has no heartbeats
 * @returns to be called when the stream ends; `undefined` if there is nothing to report
 */
export type OriginCheck = (
  c: Context,
  address: string | undefined,
  isSilent: boolean,
) => (() => void) | undefined;

/** What it has to know of the settings. */
interface OriginSettings {
  readonly maxConnectionsPerAddress: number | null;
  readonly onError: (error: unknown) => void;
}

/** How long it takes at most, on a busy machine, until a request knows that its client has disconnected. */
const DISCONNECT_MS = 500;

const ONE_ADDRESS = "all clients count as one address";
const CLOSED_STREAMS =
  "the server closes streams that are silent for its idleTimeout, and they have no heartbeat";

/** Makes the check of an endpoint, which reports once. */
export function createOriginCheck({ maxConnectionsPerAddress, onError }: OriginSettings): OriginCheck {
  let isReported = false;
  return (c, address, isSilent) => {
    if (isReported) return undefined;
    const isLimitShared = address === UNKNOWN_ADDRESS && maxConnectionsPerAddress !== null;
    if (!(isLimitShared || isSilent) || !isCopied(c)) return undefined;
    // Of a client that has disconnected nothing is known either, and its signal may abort a little later.
    const timer = setTimeout(() => {
      if (isReported || !isCopied(c)) return;
      isReported = true;
      const effects = [...(isLimitShared ? [ONE_ADDRESS] : []), ...(isSilent ? [CLOSED_STREAMS] : [])];
      onError(
        new Error(
          "eventsEndpoint: requests are copies of those that Bun's server received, as app.mount() makes them: " +
            `${effects.join(", and ")}. Use app.route(), or ` +
            "app.mount(path, endpoint.fetch, (c) => ({ server: c.env, request: c.req.raw }))",
        ),
      );
    }, DISCONNECT_MS);
    return () => clearTimeout(timer);
  };
}
