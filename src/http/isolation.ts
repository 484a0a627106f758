/**
 * Servers that isolate requests: a plain Worker of Cloudflare binds I/O to the request that made it.
 *
 * A stream that another request feeds stays silent there until the runtime cuts it off, and a clean error says more. In one
 * Durable Object all requests share their I/O.
 *
 * @module
 */
import type { Context } from "hono";
import { EventsError } from "../events/errors.ts";
import type { Hub } from "../stream/hub.ts";
import { isKnownServer } from "./runtime.ts";

/** A body for each hub, made by the request that was checked last. A request that is isolated from that one cannot clone it. */
const probes = new WeakMap<Hub, Response>();

/**
 * Checks that a request can use what the open streams of these hubs use.
 *
 * @throws {EventsError} `RequestsIsolated` if it cannot
 */
export function checkIsolation(c: Context, hubs: readonly Hub[]): void {
  if (isKnownServer(c)) return;
  for (const hub of hubs) {
    if (hub.size > 0 && isIsolatedFrom(probes.get(hub))) {
      throw new EventsError(
        "RequestsIsolated",
        "the readers of this channel belong to another request, and this server isolates requests from each other, as a " +
          "plain Cloudflare Worker does: make the channel and its endpoint in one Durable Object, and pass all requests to it",
      );
    }
    probes.set(hub, new Response("x")); // A second clone would wrap the body once more.
  }
}

function isIsolatedFrom(probe: Response | undefined): boolean {
  try {
    probe?.clone();
    return false;
  } catch {
    return true; // Later clones throw too, because this one has locked the body.
  }
}
