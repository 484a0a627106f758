/**
 * The live page, from memory.
 *
 * @module
 */
import { type Context, type Handler, Hono, type MiddlewareHandler } from "hono";
import { etag } from "hono/etag";
import { routePath } from "hono/route";
import { checkOptions, STRING } from "../events/arguments.ts";
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

/** What says in the page where the events are, where their description is, and where its own files are. */
const EVENTS_META = '<meta name="events" content="events">';
const OPENAPI_META = '<meta name="openapi" content="openapi.json">';
const OWN_FILE = /(?<= (?:href|src)=")(?=page\.\w+")/g;

/** Options of {@linkcode eventsPage}. */
export interface PageOptions {
  /** The address of the events, as a browser resolves it on the page; default `/events`. */
  readonly endpoint?: string;
  /**
   * The address of the document of `openApiHandler`, from which the page makes forms for publishing. Without it, events are
   * published as JSON.
   */
  readonly openApi?: string;
}

/**
 * Makes the live page of an endpoint, to be mounted with `app.route(path, eventsPage({ endpoint }))` at any path: it shows
 * events as they arrive, a chart of their rates and what was lost, and it publishes. If the endpoint answers 401, the page
 * asks for an API key, which it sends as `X-Api-Key`. It loads nothing from elsewhere, and its policy forbids that.
 *
 * @throws {TypeError} if there is no such option, or its value is of another kind
 *
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import { createChannel, defineEvents, eventsEndpoint } from "events-endpoint";
 * import { eventsPage } from "events-endpoint/server";
 *
 * const app = new Hono();
 * app.route("/events", eventsEndpoint(createChannel(defineEvents({ tick: null }))));
 * app.route("/live", eventsPage({ endpoint: "/events" }));
 * console.log((await app.request("/live")).status); // 200
 * ```
 */
export function eventsPage(options: PageOptions = {}): Hono {
  checkOptions("eventsPage", options, { endpoint: STRING, openApi: STRING });
  const { endpoint = "/events", openApi = "" } = options;
  const app = pageRoutes({ endpoint, openApi });
  // The path that it is mounted at, with a slash behind it.
  app.get("/*", (c, next) => {
    const { path } = c.req;
    const isIndex = path.endsWith("/") && path.split("/").length === routePath(c).split("/").length;
    return isIndex ? Promise.resolve(c.redirect(`../${folderOf(path.slice(0, -1))}`)) : next();
  });
  return app;
}

/**
 * The routes of the page. They hold no data, so they are for everybody who may know that the server is there.
 *
 * @param middleware what looks at a request before it is answered
 */
export function pageRoutes(addresses: Required<PageOptions>, ...middleware: MiddlewareHandler[]): Hono {
  const app = new Hono();
  for (const { path, type, tag, text } of PAGE_ASSETS) {
    const answer = fileAnswer(type, policyFor(addresses.endpoint));
    const get = (path: string, last: Handler) => app.on("GET", [path], ...[...middleware, etag(), last]);
    if (path !== "/") {
      get(path, (c) => answer(c, text, tag));
      continue;
    }
    const html = htmlWith(text, addresses);
    const index = (c: Context) => {
      const folder = folderOf(c.req.path);
      const version = [tag, addresses.endpoint, addresses.openApi, folder].map(encodeURIComponent).join();
      return answer(c, folder === "" ? html : html.replaceAll(OWN_FILE, `${folder}/`), version);
    };
    get("/", index);
  }
  return app;
}

/** Writes the addresses into the page. */
function htmlWith(html: string, { endpoint, openApi }: Required<PageOptions>): string {
  return html.replace(EVENTS_META, () => EVENTS_META.replace('"events">', () => `"${escaped(endpoint)}">`))
    .replace(OPENAPI_META, () => `<meta name="openapi" content="${escaped(openApi)}">`);
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
}

/** The last part of a path, below which a browser does not look by itself; empty if the path ends with a slash. */
function folderOf(path: string): string {
  return encodeURIComponent(path.slice(path.lastIndexOf("/") + 1));
}

/** The policy of the page, with the origin of its events. */
function policyFor(endpoint: string): string {
  const here = "http://here.invalid";
  const origin = URL.canParse(endpoint, here) ? new URL(endpoint, here).origin : here;
  return origin === here ? POLICY : POLICY.replace("connect-src 'self'", `connect-src 'self' ${origin}`);
}

/** Makes what answers with a file. It keeps the last text packed: that of a page depends on where it is mounted. */
function fileAnswer(
  type: string,
  policy: string,
): (c: Context, text: string, tag: string) => Response | Promise<Response> {
  let kept: { readonly text: string; readonly packed: Promise<Uint8Array<ArrayBuffer>> } | undefined;
  return async (c, text, tag) => {
    const headers = {
      "Content-Type": type,
      "Cache-Control": "no-cache",
      "ETag": `W/"${tag}"`,
      "Vary": "Accept-Encoding",
      "Content-Security-Policy": policy,
      "X-Content-Type-Options": "nosniff",
      "Referrer-Policy": "no-referrer",
    };
    // Bun has had it since 1.3.
    if (typeof CompressionStream === "undefined" || !takesGzip(c.req.header("Accept-Encoding"))) {
      return c.body(text, 200, headers);
    }
    if (kept?.text !== text) kept = { text, packed: gzip(text) };
    return c.body(await kept.packed, 200, { ...headers, "Content-Encoding": "gzip" });
  };
}

async function gzip(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const packed = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}

/** Whether a client takes gzip (RFC 9110, section 12.5.3); one that says nothing of it is spared it. */
function takesGzip(accept = ""): boolean {
  return accept.split(",").some((coding) =>
    /^\s*(?:x-)?gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*$).*)?$/i.test(coding)
  );
}
