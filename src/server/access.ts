/**
 * Access to the server: without a key only from this machine and by no page of another site, with a key for those who have
 * it.
 *
 * @module
 */
import type { Context, MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import { EventsError } from "../events/errors.ts";
import { permissionOf, requireRight, type TokenPermission } from "../http/authorize_by_token.ts";
import {
  createCredentials,
  type Credentials,
  type CredentialsOptions,
  type Grant,
} from "../http/credentials.ts";

/** Options of {@linkcode guardAccess}. */
export interface AccessOptions {
  /** The address the server was bound to. */
  readonly host?: string;
  /** A key that may read and publish. With it, or with {@linkcode credentials}, every request has to bring one. */
  readonly apiKey?: string | undefined;
  /** Further keys, and tokens. */
  readonly credentials?: Omit<CredentialsOptions, "apiKeys" | "cookie"> | undefined;
  /** The cookie that may hold the key too; `undefined` for none. */
  readonly keyCookie?: string | undefined;
  /** The origins whose pages may read and publish, each as a browser writes it: `https://example.com`. */
  readonly corsOrigins?: readonly string[];
  /** The headers that their requests may have, beside those of this package and of tracers. */
  readonly corsHeaders?: readonly string[];
}

/** The middleware that checks access, in two steps, and throws an `EventsError` for a request it rejects. */
export interface AccessGuard {
  /** Checks the origin of a request, and the name by which it reached the server. */
  readonly origin: readonly [MiddlewareHandler, MiddlewareHandler];
  /** Checks the key or token; it comes after the other. */
  readonly key: MiddlewareHandler;
  /** What the endpoints ask: it limits a request to what its key or token allows. `undefined` if none is needed. */
  readonly authorize: ((context: Context) => Promise<TokenPermission>) | undefined;
}

/** Makes the guard of a server. */
export function guardAccess(
  { host = "127.0.0.1", apiKey, credentials: given, keyCookie, corsOrigins = [], corsHeaders = [] }:
    AccessOptions,
): AccessGuard {
  const isOurs = nameCheck(host);
  const credentials = apiKey === undefined && given === undefined
    ? undefined
    : createCredentials({ ...given, apiKeys: apiKey === undefined ? [] : [apiKey], cookie: keyCookie });
  const origin: MiddlewareHandler = async (c, next) => {
    // A page can reach this machine under a name of its own (DNS rebinding), but does not know the key. With a key, a proxy may
    // use any name for the server.
    const foreign = credentials === undefined ? hostsOf(c).find((name) => !isOurs(name)) : undefined;
    if (foreign !== undefined) {
      const name = JSON.stringify(foreign.slice(0, 100));
      throw new EventsError(
        "ForbiddenHost",
        `this server does not answer to the name ${name}: use its address, or start it with an API key`,
      );
    }
    refuseOtherSites(c, corsOrigins);
    await next();
  };
  return { origin: [shareWith(corsOrigins, corsHeaders), origin], ...guardRights(credentials) };
}

/** Makes what checks keys and tokens. */
function guardRights(credentials: Credentials | undefined): Pick<AccessGuard, "key" | "authorize"> {
  if (credentials === undefined) return { key: async (_, next) => await next(), authorize: undefined };
  /** What was found for requests whose endpoint has not asked yet. */
  const grants = new WeakMap<Context, Grant>();
  return {
    key: async (c, next) => {
      const grant = await credentials.check(c);
      // The description of the API is for all who have any right.
      if (c.req.path === "/metrics" || grant.rights.length === 0) requireRight(grant, "read");
      grants.set(c, grant);
      await next();
    },
    authorize: async (c) => {
      const grant = grants.get(c) ?? await credentials.check(c);
      grants.delete(c); // Asked again, it may have changed.
      return permissionOf(c, grant);
    },
  };
}

/**
 * Returns the names, with ports, that the request was sent to: that of its URL, which is the one in the target if the target has
 * one (RFC 9112, section 3.2.2), and that of `Host` if it is another. Of two that contradict each other neither is believed.
 */
function hostsOf(c: Context): string[] {
  const { host } = new URL(c.req.url);
  const header = c.req.header("Host");
  return header === undefined || header === host ? [host] : [header, host];
}

const LOOPBACK = /^(?:(?:[^.]+\.)*localhost\.?|127(?:\.\d{1,3}){3}|\[::1\])$/;
/** Every address of the machine there is. */
const WILDCARDS: readonly (string | undefined)[] = ["0.0.0.0", "[::]"];
const ADDRESS = /^(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:]+\])$/;

/** Whether the server listens on this machine alone. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(nameIn(urlHost(host)) ?? "");
}

/**
 * Whether a `Host` is one of the server's own: a name of this machine for itself, or the address it was bound to.
 * One bound to all addresses takes each as its own; no request arrives by an address that the machine does not have.
 */
function nameCheck(bound: string): (host: string) => boolean {
  const own = nameIn(urlHost(bound));
  return (host) => {
    const name = nameIn(host);
    if (name === undefined) return false;
    return LOOPBACK.test(name) || name === own || (WILDCARDS.includes(own) && ADDRESS.test(name));
  };
}

/** The name in a `Host`, as a URL has it: in lower case, an address in the one way to write it. */
function nameIn(host: string): string | undefined {
  const url = `http://${host}`;
  return /^[^\s/?#@\\%]+$/.test(host) && URL.canParse(url) ? new URL(url).hostname : undefined;
}

/** A host as it stands in a URL; the zone of an address (`fe80::1%eth0`) is for this machine alone, and in no URL (WHATWG URL). */
export function urlHost(host: string): string {
  return host.includes(":") ? `[${host.replace(/%.*$/, "")}]` : host;
}

/**
 * Rejects events that a page of another site publishes. The browser names the source of a request in `Sec-Fetch-Site` (W3C
 * Fetch Metadata) and in `Origin`, which no page can change.
 */
function refuseOtherSites(c: Context, allowed: readonly string[]): void {
  if (["GET", "HEAD", "OPTIONS"].includes(c.req.method)) return;
  const origin = c.req.header("Origin");
  const site = c.req.header("Sec-Fetch-Site");
  if (origin !== undefined && allowed.includes(origin)) return;
  const isOwnSite = site === undefined || site === "same-origin" || site === "none";
  const isOwnOrigin = (own: string) => hostsOf(c).every((host) => hostIn(`http://${host}`) === hostIn(own));
  if (isOwnSite && (origin === undefined || isOwnOrigin(origin))) return;
  const from = origin === undefined ? "another site" : JSON.stringify(origin.slice(0, 100));
  throw new EventsError(
    "CrossSiteRequest",
    `a page of ${from} may not publish here: start the server with --cors-origin for those that may`,
  );
}

/** Name and port of an origin; `undefined` for one that has none. */
function hostIn(origin: string): string | undefined {
  return (URL.canParse(origin) && new URL(origin).host) || undefined;
}

/** The headers of clients, and of tracers in pages (W3C Trace Context and Baggage). */
const ALLOWED_HEADERS: readonly string[] = [
  "Authorization",
  "Content-Type",
  "Idempotency-Key",
  "Last-Event-ID",
  "X-Api-Key",
  "traceparent",
  "tracestate",
  "baggage",
];

/** Lets pages of these origins, and no others, read the responses (Fetch, CORS protocol). */
function shareWith(origins: readonly string[], headers: readonly string[]): MiddlewareHandler {
  const share = cors({
    origin: [...origins],
    allowMethods: ["GET", "HEAD", "POST"],
    allowHeaders: [...ALLOWED_HEADERS, ...headers],
    exposeHeaders: ["Retry-After"],
    maxAge: 600,
  });
  return async (c, next) => {
    if (origins.includes(c.req.header("Origin") ?? "")) return await share(c, next);
    await next();
    if (origins.length > 0) c.header("Vary", "Origin", { append: true });
  };
}
