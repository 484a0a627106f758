/**
 * How Node, Deno and Bun listen and stop, which is what they differ in.
 *
 * @module
 */
import type { Server } from "node:http";
import type { Socket } from "node:net";
import { withDeadline } from "../events/timing.ts";

/** Answers a request; `host` is what the server hands over beside it. */
export type Fetch = (request: Request, host?: unknown) => Response | Promise<Response>;

/** The address to listen on. */
export interface Address {
  /** A host name or an IP address. */
  readonly host: string;
  /** A port; 0 for any that is free. */
  readonly port: number;
  /**
   * Number of seconds for which a connection without a request stays open; default that of the runtime, 5 on Node. Bun takes at
   * most 240, and Deno closes none.
   */
  readonly keepAlive?: number;
  /** Called with what hinders the server from accepting connections, and what is done about it: on Deno, which reports it. */
  readonly onProblem?: (message: string) => void;
}

/** A server that listens. */
export interface Listening {
  /** The port it listens on. */
  readonly port: number;
  /**
   * Stops accepting and waits for the open responses to end.
   *
   * @param graceMs number of milliseconds after which those still open are cut off, or on Deno left to the end of the process
   * @param onLate called before that, where there are any
   */
  stop(graceMs: number, onLate?: () => void): Promise<void>;
}

/** As much of `Deno` as is used here. */
interface DenoLike {
  serve(options: object, handler: (request: Request, info: unknown) => unknown): {
    addr: { port: number };
    finished: Promise<void>;
    shutdown(): Promise<void>;
  };
}

/** As much of `Bun` as is used here. */
interface BunLike {
  serve(options: object): { port: number; stop(closeActiveConnections?: boolean): Promise<void> };
}

/**
 * Listens for HTTP on this runtime.
 *
 * @throws {Error} with one line that names the address and why it cannot be listened on
 */
export async function listen(fetch: Fetch, address: Address): Promise<Listening> {
  const { Deno, Bun } = globalThis as { Deno?: DenoLike; Bun?: BunLike };
  const answer = withUrl(fetch);
  try {
    if (Deno !== undefined) return listenOnDeno(Deno, answer, address);
    if (Bun !== undefined) return listenOnBun(Bun, answer, address);
    return await listenOnNode(answer, address);
  } catch (cause) {
    throw new Error(`cannot listen on ${address.host}:${address.port}: ${reasonOf(cause)}`, { cause });
  }
}

/**
 * Refuses a request whose target and `Host` make no URL. Bun hands on what it could not put together, and Node's
 * adapter lets pass some hosts that no URL can have (`999.999.999.999`): both break what relies on a URL later.
 */
function withUrl(fetch: Fetch): Fetch {
  return (request, host) => {
    if (URL.canParse(request.url)) return fetch(request, host);
    const message = "the target of the request and its Host make no URL";
    return Response.json({ error: { handled: true, code: "InvalidParameter", message } }, { status: 400 });
  };
}

/** Number of milliseconds between two attempts to listen again. */
const LISTEN_AGAIN_MS = 200;
/** Number of milliseconds for which the same problem is not reported again. */
const SAME_PROBLEM_MS = 10_000;

function listenOnDeno(deno: DenoLike, fetch: Fetch, { host, port, onProblem }: Address): Listening {
  const cut = new AbortController();
  let isStopped = false;
  let reportedAt = -Infinity;
  /** All that still have responses: one that can accept no connection ends, and keeps those it has. */
  const servers = [open(port)];
  const bound = servers[0]!.addr.port;

  function open(port: number): ReturnType<DenoLike["serve"]> {
    const options = { hostname: host, port, signal: cut.signal, onListen: () => {}, onError };
    const server = deno.serve(options, fetch);
    server.finished.catch(listenAgain); // Without it the process ends when it has no file descriptor left.
    return server;
  }

  /** Listens again, once there is room. Until then connections are refused. */
  async function listenAgain(error: unknown): Promise<void> {
    if (performance.now() - reportedAt > SAME_PROBLEM_MS) {
      reportedAt = performance.now();
      onProblem?.(`cannot accept connections: ${reasonOf(error)}: it listens again as soon as it can`);
    }
    while (!isStopped) {
      await new Promise((resolve) => setTimeout(resolve, LISTEN_AGAIN_MS));
      try {
        if (!isStopped) servers.push(open(bound));
        return;
      } catch {
        // There is still no room.
      }
    }
  }

  return {
    port: bound,
    stop: async (graceMs, onLate) => {
      isStopped = true;
      const ended = Promise.allSettled(servers.map(({ finished }) => finished)).then(() => {});
      if (graceMs === 0) {
        cut.abort();
        return await ended;
      }
      // Once it shuts down Deno can no longer cut: what is still open then goes with the process.
      const shut = Promise.allSettled(servers.map((server) => server.shutdown())).then(() => {});
      if (!await isInTime(shut, graceMs)) onLate?.();
    },
  };
}

/** What went wrong with a response. A stream that was cut off with a text is meant to be. */
function onError(error: unknown): Response {
  if (typeof error !== "string") console.error(error);
  return new Response(null, { status: 500 });
}

function listenOnBun(bun: BunLike, fetch: Fetch, { host, port, keepAlive }: Address): Listening {
  // How large a body may be is the application's to say: it counts.
  const maxRequestBodySize = Number.MAX_SAFE_INTEGER;
  // Without `development` the source of an error is not shown, and a stream that was cut off is not an error.
  const idleTimeout = keepAlive === undefined ? {} : { idleTimeout: Math.min(240, Math.ceil(keepAlive)) };
  const options = { hostname: host, port, fetch, maxRequestBodySize, development: false, ...idleTimeout };
  const server = bun.serve(options);
  return {
    port: server.port,
    stop: async (graceMs, onLate) => {
      if (await isInTime(server.stop(), graceMs)) return;
      onLate?.();
      await isInTime(server.stop(true), FORCE_MS);
    },
  };
}

/**
 * Number of connections that wait to be accepted, if the system allows so many. Of the clients that come back at once after a
 * restart, those beyond it are silently ignored, and try again a second later. Node's default is 511.
 */
const BACKLOG = 4096;

async function listenOnNode(fetch: Fetch, { host, port, keepAlive }: Address): Promise<Listening> {
  const { createAdaptorServer } = await import("@hono/node-server");
  const server = createAdaptorServer({ fetch, hostname: host }) as Server;
  if (keepAlive !== undefined) server.keepAliveTimeout = keepAlive * 1000;
  const sockets = new Set<Socket>();
  const forget = function (this: Socket) {
    sockets.delete(this);
  };
  server.on("connection", (socket) => sockets.add(socket.on("close", forget)));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen({ host, port, backlog: BACKLOG }, resolve);
  });
  const bound = server.address();
  return {
    port: typeof bound === "object" && bound !== null ? bound.port : port,
    stop: async (graceMs, onLate) => {
      const closeIdle = server.closeIdleConnections.bind(server);
      // Node takes a connection for idle whose response has ended, whether or not its reader has been sent all of it.
      server.closeIdleConnections = () => {
        if ([...sockets].every(({ writableLength }) => writableLength === 0)) closeIdle();
      };
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      // A connection whose response ends from now on stays open for another request that will not be answered.
      const sweep = setInterval(() => server.closeIdleConnections(), 20);
      if (!await isInTime(closed, graceMs)) {
        onLate?.();
        server.closeAllConnections();
        await isInTime(closed, FORCE_MS);
      }
      clearInterval(sweep);
    },
  };
}

/** How long to wait until a runtime confirms that connections which were cut off are closed. */
const FORCE_MS = 500;

/** Whether the promise resolves before the deadline. */
function isInTime(promise: Promise<void>, ms: number): Promise<boolean> {
  return withDeadline(promise.then(() => true), ms, false);
}

function reasonOf(error: unknown): string {
  const { code, name, message } = error as { code?: string; name?: string; message?: string };
  if (code === "EADDRINUSE" || name === "AddrInUse") return "the port is in use";
  if (code === "EACCES" || name === "PermissionDenied") return "permission denied";
  if (code === "EADDRNOTAVAIL" || name === "AddrNotAvailable") return "this machine has no such address";
  return message ?? String(error);
}
