/**
 * The application that `events-endpoint serve` serves: everything mounted.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { eventsEndpoint } from "../endpoint.ts";
import type { Session } from "../tribler/session.ts";

/** Options of {@linkcode createApp}. */
export interface AppOptions {
  /** Seconds of silence after which a stream carries a heartbeat; `null` for never. */
  readonly heartbeat: number | null;
}

/** The routes of the server: `/events` and `/healthz`. */
export function createApp(session: Session, options: AppOptions): Hono {
  const app = new Hono();
  app.route("/events", eventsEndpoint(session, { ...options, direct: true }));
  app.get("/healthz", (c) => {
    const serving = !session.channel.closed;
    return c.json({ status: serving ? "serving" : "shutting down" }, serving ? 200 : 503);
  });
  app.notFound((c) => failure(c, 404, true, "NotFound", `there is no ${c.req.method} ${c.req.path} here`));
  app.onError((error, c) => {
    console.error(error);
    return failure(c, 500, false, "InternalError", "something went wrong here: see the server's log");
  });
  return app;
}

/** An answer in the shape of Tribler's errors. */
function failure(c: Context, status: 404 | 500, handled: boolean, code: string, message: string): Response {
  return c.json({ error: { handled, code, message } }, status);
}
