/**
 * The application that `events-endpoint serve` serves: everything mounted.
 *
 * @module
 */
import { type Context, Hono, type MiddlewareHandler } from "hono";
import type { Schemas } from "../events/catalogue.ts";
import { eventsEndpoint } from "../http/endpoint.ts";
import type { EndpointOptions, EventsSource } from "../http/options.ts";
import { EventsError } from "../events/errors.ts";
import { clientAddress as connectionAddress } from "../http/runtime.ts";
import { createRefusalCounts, errorResponse } from "../http/refusal.ts";
import { type AccessOptions, guardAccess } from "./access.ts";
import { refuseWhenClosed } from "./shutdown.ts";
import { createLog, type Log } from "./log.ts";
import { healthOf } from "./health.ts";
import { metricsOf } from "./metrics.ts";
import { type Mount, withDefault } from "./mounts.ts";
import { apiHandler } from "./openapi.ts";
import { pageRoutes } from "./page.ts";

/** What of the endpoint is configured for the server. */
const CONFIGURED = [
  "stallTimeout",
  "maxBodyBytes",
  "maxBatch",
  "maxDepth",
  "idempotencyWindow",
  "maxIdempotencyKeys",
  "maxConnections",
  "maxConnectionsPerAddress",
] as const;

type Configured = typeof CONFIGURED[number];

/** Options of {@linkcode createApp}. */
export interface AppOptions extends AccessOptions, Pick<EndpointOptions<Schemas>, Configured> {
  /** Seconds of silence after which a stream carries a heartbeat; `null` for never. */
  readonly heartbeat: number | null;
  /** The paths of the events; default 7.1 at `/events`, which is added where none has that dialect. */
  readonly mounts?: readonly Mount[];
  /** The header in which a proxy puts the address of its client. */
  readonly clientAddressHeader?: string | undefined;
  /** The log for ended streams and errors; by default errors only. */
  readonly log?: Log;
}

/** The application, and its part in a shutdown. */
export type ServerApp = Hono & {
  /** Makes `/healthz` answer 503 from now on, and continues to serve. */
  drain(): void;
  /** Cuts off the streams that are left when the time for their readers is over. */
  abort(): void;
};

/** The routes of the server: the events, `/healthz`, `/metrics`, `/openapi.json` and the page at `/`. */
export function createApp<S extends Schemas>(
  session: EventsSource<S> & { readonly version: string },
  options: AppOptions,
): ServerApp {
  const { clientAddressHeader, log = createLog("off") } = options;
  const { channel } = session;
  const clientAddress = clientAddressHeader
    ? (c: Context) => addressIn(c.req.header(clientAddressHeader))
    : connectionAddress;
  const mounts = withDefault(options.mounts ?? []);
  const main = mounts.find(({ dialect }) => dialect === "7.1")!;
  const isForTribler8 = mounts.some(({ dialect }) => dialect === "8");
  const guard = guardAccess({ ...options, keyCookie: isForTribler8 ? "api_key" : undefined });
  const endpoints = mounts.map(({ dialect }) =>
    eventsEndpoint(session, {
      heartbeat: options.heartbeat,
      ...configuredIn(options),
      dialect,
      writeToSocket: true,
      clientAddress,
      ...(guard.authorize !== undefined && { authorize: guard.authorize }),
      onStreamEnd: log.streamEnded,
      onError: log.problem,
    })
  );
  /** Those that never came to the endpoint. */
  const refusals = createRefusalCounts();
  let draining = false;
  const app = new Hono();
  // Before the rest, so that it answers without a key and during a shutdown.
  app.get("/healthz", healthOf(channel, () => draining));
  for (const { path } of mounts) app.use(path, logRefusals(log, clientAddress));
  const whileOpen = refuseWhenClosed(channel);
  app.use(...guard.origin);
  // A browser asks for the page before anybody could give it a key. It holds no data, and asks for the key itself.
  app.route("/", pageRoutes({ endpoint: main.path.slice(1), openApi: "openapi.json" }, whileOpen));
  // Also without a key: the page asks for it.
  for (const { path } of mounts) app.get(path, showPage);
  app.use(guard.key, whileOpen);
  for (const [index, { path }] of mounts.entries()) app.route(path, endpoints[index]!);
  app.get("/metrics", metricsOf(endpoints, session.version, () => refusals.read()));
  app.get("/openapi.json", apiHandler(() => channel.catalogue, mounts));
  app.notFound((c) => failure(c, 404, true, "NotFound", `there is no ${c.req.method} ${c.req.path} here`));
  app.onError((error, c) => {
    refusals.count(error);
    if (error instanceof EventsError) return errorResponse(c, error);
    log.problem(error);
    return failure(c, 500, false, "InternalError", "something went wrong here: see the server's log");
  });
  return Object.assign(app, {
    abort: () => endpoints.forEach(({ abort }) => abort()),
    drain: () => void (draining = true),
  });
}

/** Sends a browser that navigates to the events to the page: the stream would be a download that never ends. */
const showPage: MiddlewareHandler = async (c, next) => {
  const mode = c.req.header("Sec-Fetch-Mode");
  // Browsers send no such header to an address without TLS that is not this machine.
  const isNavigation = mode === undefined
    ? /^text\/html,.*\*\/\*/.test(c.req.header("Accept") ?? "")
    : mode === "navigate";
  // Relative, because a proxy may have put a path in front.
  if (isNavigation) return c.redirect(c.req.path.split("/").slice(2).map(() => "..").join("/") || "./", 303);
  await next();
};

/** The options of the endpoint among those of the server. */
function configuredIn(options: AppOptions): Pick<EndpointOptions<Schemas>, Configured> {
  const given = CONFIGURED.map((name) => [name, options[name]] as const);
  return Object.fromEntries(given.filter(([, value]) => value !== undefined));
}

/** Logs each request for a stream that is refused. */
function logRefusals(log: Log, clientAddress: (c: Context) => string | undefined): MiddlewareHandler {
  return async (c, next) => {
    await next();
    const { error, req, res: { status } } = c;
    const isRefusal = error instanceof EventsError;
    if (req.method !== "GET" || !(isRefusal || status >= 400)) return;
    log.refused({ code: isRefusal ? error.code : undefined, status, address: clientAddress(c) });
  };
}

/**
 * The address that the nearest proxy put into a header: in a list the last one, after what its client had sent. A port
 * beside it, which is another one for each connection, is left out (`192.0.2.1:5678`, `[2001:db8::1]:99`).
 */
function addressIn(header: string | undefined): string | undefined {
  const text = header?.split(",").at(-1)?.trim() ?? "";
  const [, ipv6, ipv4] = /^(?:\[([^\]]*)\](?::\d+)?|([^:]*):\d+)$/.exec(text) ?? [];
  return (ipv6 ?? ipv4 ?? text) || undefined;
}

/** An answer in the shape of Tribler's errors. */
function failure(c: Context, status: 404 | 500, handled: boolean, code: string, message: string): Response {
  return c.json({ error: { handled, code, message } }, status);
}
