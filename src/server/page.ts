/**
 * `GET /`: the live page, from memory.
 *
 * @module
 */
import { Hono, type MiddlewareHandler } from "hono";
import { etag } from "hono/etag";
import { gzipSync } from "node:zlib";
import { PAGE_ASSETS } from "./page_assets.ts";

/**
 * The page loads what is its own and nothing else, and no text becomes code in it (W3C CSP 3, Trusted Types): an event
 * may hold anything.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

/** What says in the page where the events are. */
const EVENTS_META = '<meta name="events" content="events">';

/**
 * The routes of the page. They hold no data, so they are for everybody who may know that the server is there.
 *
 * @param first what looks at a request before it is answered
 * @param eventsPath the path of the events that the page shows
 */
export function pageRoutes(first: MiddlewareHandler, eventsPath: string): Hono {
  const app = new Hono();
  for (const { path, type, tag, text: built } of PAGE_ASSETS) {
    const text = built.replace(EVENTS_META, `<meta name="events" content="${eventsPath.slice(1)}">`);
    let packed: Uint8Array<ArrayBuffer> | undefined;
    app.get(path, first, etag(), (c) => {
      const headers = {
        "Content-Type": type,
        "Cache-Control": "no-cache",
        "ETag": `W/"${tag}"`,
        "Vary": "Accept-Encoding",
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
      };
      if (!takesGzip(c.req.header("Accept-Encoding"))) return c.body(text, 200, headers);
      packed ??= new Uint8Array(gzipSync(text, { level: 9 }));
      return c.body(packed, 200, { ...headers, "Content-Encoding": "gzip" });
    });
  }
  return app;
}

/** Whether a client takes gzip (RFC 9110, section 12.5.3); one that says nothing of it is spared it. */
function takesGzip(accept = ""): boolean {
  return accept.split(",").some((coding) =>
    /^\s*(?:x-)?gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*$).*)?$/i.test(coding)
  );
}
