/**
 * What a server that is about to stop answers to those who still come.
 *
 * @module
 */
import type { MiddlewareHandler } from "hono";
import type { EventLog } from "../channel/channel.ts";
import { EventsError } from "../events/errors.ts";
import { headersOf, negotiate } from "../http/negotiate.ts";

/** Refuses every request once the channel was closed. */
export function refuseWhenClosed(channel: EventLog): MiddlewareHandler {
  return async (c, next) => {
    if (!channel.closed) return await next();
    const isReader = c.req.method === "GET" || c.req.method === "HEAD";
    const farewell = isReader ? farewellTo(c.req.header("Accept"), c.req.query("format")) : "";
    const error = new EventsError("ShuttingDown", "the server is shutting down: try again later");
    if (farewell === "") throw error;
    c.error = error; // As Hono leaves what was thrown, for the log to see.
    // An EventSource never reconnects after a 503 (WHATWG HTML 9.2): over SSE the answer says when to reconnect.
    return new Response(c.req.method === "HEAD" ? null : farewell, {
      headers: headersOf("text/event-stream"),
    });
  };
}

/** What a stream in the format that was asked for would end with. */
function farewellTo(accept: string | undefined, format: string | undefined): string {
  try {
    return negotiate(accept, format).format.closing();
  } catch {
    return ""; // Nothing it accepts is available now.
  }
}
