/**
 * Differences between the servers, detected by what they pass to the handler and never by their name.
 *
 * @module
 */
import type { Context } from "hono";
import type { NodeResponse } from "../stream/node_response.ts";

/** What a server passes beside the request: Deno its info, Bun its server object. */
interface Host extends Partial<BunServer> {
  /** Deno: settles when the response was delivered, or cannot be. */
  readonly completed?: unknown;
  /** Deno: the address the request came from. */
  readonly remoteAddr?: { readonly hostname?: string };
  /** Node: the incoming request. */
  readonly incoming?: {
    readonly httpVersionMajor?: number;
    readonly socket?: Closing & { readonly remoteAddress?: string; readonly bytesRead?: number };
  };
  /** Node: the outgoing response. */
  readonly outgoing?: object;
}

/** What an application may pass in place of what the server passes: in an app that is mounted, the request is a copy. */
interface PassedOn {
  /** What the server passed. */
  readonly server?: Host | null;
  /** The request as the server passed it. Bun knows only this one. */
  readonly request?: unknown;
}

/** The part of Bun's server object that is used here. */
interface BunServer {
  /** The port it listens on; none for a Unix socket, whose clients have no address. */
  readonly port?: unknown;
  /** Sets the seconds of silence after which a connection is closed. */
  timeout(request: Request, seconds: number): void;
  /** The address the request came from. */
  requestIP(request: Request): { readonly address: string } | null;
}

/**
 * Calls `gone` when the client has disconnected or the response has ended. Servers report that in different ways, beside
 * the `cancel` of the stream.
 *
 * @returns a signal that reports it in place of `gone`, on servers that have one; the caller has to listen to it
 */
export function onDisconnect(c: Context, gone: () => void): AbortSignal | undefined {
  const { completed } = hostOf(c);
  if (completed instanceof Promise) {
    // Deno's request signal fires after a normal end too, and reading it prints a warning.
    completed.then(gone, gone);
    return;
  }
  const outgoing = nodeResponse(c);
  if (outgoing !== undefined) {
    // It also fires after a normal end, and for a response that replaced ours.
    outgoing.on("close", gone);
    if (outgoing.destroyed) gone();
    else if (outgoing.socket === null) whenClosed(hostOf(c).incoming?.socket, outgoing, gone);
    return;
  }
  const request = c.req.raw;
  const { signal } = request;
  if (bunServerOf(c) === undefined) requests.set(signal, request);
  return signal;
}

/**
 * Keeps requests alive as long as their signals. On Node the signal of a request made in one process stops following the
 * signal it was given when the request is collected; that of Bun's server does not.
 */
const requests = new WeakMap<AbortSignal, Request>();

/** The part of a socket or response that is used here. */
type Closing = Pick<NodeResponse, "on">;

/** The callbacks of responses that wait behind another one, for each connection. */
const queues = new WeakMap<Closing, Set<() => void>>();

/**
 * Reports to a response that its connection has closed. Node reports it only to the one being sent, so those that wait
 * behind it would never end.
 */
function whenClosed(socket: Closing | undefined, outgoing: NodeResponse, gone: () => void): void {
  if (socket === undefined) return;
  const queue = queues.get(socket) ?? new Set();
  if (!queues.has(socket)) {
    queues.set(socket, queue);
    socket.on("close", () => queue.forEach((gone) => gone()));
  }
  queue.add(gone);
  outgoing.on("close", () => queue.delete(gone));
}

/**
 * Switches off the idle timeout of the server for a request: streams have a heartbeat, and all have a stall timer.
 *
 * @param silence maximum number of seconds for which the stream is silent. If Bun's longest timeout exceeds it, the server
 *   keeps that timeout, and closes the connection when it is idle after the response. By default it is never closed
 */
export function disableIdleTimeout(c: Context, silence: number = Infinity): void {
  bunServerOf(c)?.timeout(requestOf(c), silence < BUN_LONGEST_SECONDS ? BUN_LONGEST_SECONDS : 0);
}

/** Bun's longest timeout: it keeps the seconds in a byte, and checks every four seconds. */
const BUN_LONGEST_SECONDS = 240;

/** Restores the timeout once the request is complete; otherwise its idle connection would stay open forever. */
export function restoreIdleTimeout(c: Context): void {
  bunServerOf(c)?.timeout(requestOf(c), BUN_IDLE_SECONDS);
}

/** Longer than most balancers keep a connection without a request: one that is closed under theirs is a 502. */
const BUN_IDLE_SECONDS = 75;

/**
 * Whether Bun's server does not know this request, because it is a copy. Then it reports no address, and the request keeps
 * the idle timeout of the server.
 */
export function isCopied(c: Context): boolean {
  const server = bunServerOf(c);
  return server !== undefined && typeof server.port === "number" && server.requestIP(requestOf(c)) === null &&
    !c.req.raw.signal.aborted; // The server forgets a request when its client has disconnected.
}

/**
 * Whether a stream should leave its `pull` pending while it has nothing to deliver. That saves a call after each chunk, a
 * third of its cost on Deno; on Bun it saves nothing measurable, and costs memory.
 */
export function canParkPull(c: Context): boolean {
  return bunServerOf(c) === undefined;
}

/** Whether the request came through a server of Node, Deno or Bun, where all requests share their I/O. */
export function isKnownServer(c: Context): boolean {
  // Deno's `completed` is a getter that makes a promise.
  return nodeResponse(c) !== undefined || "completed" in hostOf(c) || bunServerOf(c) !== undefined;
}

/** Returns the outgoing response of Node's server, if it received the request. */
export function nodeResponse(c: Context): NodeResponse | undefined {
  const outgoing = hostOf(c).outgoing as Partial<NodeResponse> | undefined;
  const isOutgoing = typeof outgoing?.write === "function" && typeof outgoing.destroy === "function";
  return isOutgoing ? outgoing as NodeResponse : undefined;
}

/** The address of all clients whose address should be known and is not (RFC 7239, section 6.2). */
export const UNKNOWN_ADDRESS = "unknown";

/**
 * Returns the IP address that the request came from, or that of a proxy.
 *
 * @returns {@linkcode UNKNOWN_ADDRESS} for a copy of a request of Bun's server; `undefined` if there is none, as without a
 *   server or on a Unix socket
 */
export function clientAddress(c: Context): string | undefined {
  const { incoming, remoteAddr } = hostOf(c);
  return incoming?.socket?.remoteAddress ?? remoteAddr?.hostname ??
    bunServerOf(c)?.requestIP(requestOf(c))?.address ??
    (isCopied(c) ? UNKNOWN_ADDRESS : undefined);
}

/**
 * Returns what reads the number of bytes that have arrived on the connection of a request: a body that is read in one go is
 * seen to make progress by it. Only Node counts them, and over HTTP/2 those of other requests too.
 */
export function bytesReceived(c: Context): (() => number) | undefined {
  const { incoming } = hostOf(c);
  const socket = incoming?.socket;
  // The head has arrived, so a server that counts has counted something.
  if (socket === undefined || !((socket.bytesRead ?? 0) > 0) || incoming?.httpVersionMajor !== 1) {
    return undefined;
  }
  return () => socket.bytesRead ?? 0;
}

/** Returns Bun's server, if it received the request. */
function bunServerOf(c: Context): BunServer | undefined {
  const host = hostOf(c);
  return isBunServer(host) ? host : undefined;
}

function isBunServer(host: Host): host is BunServer {
  return typeof host.timeout === "function" && typeof host.requestIP === "function";
}

/** Returns what the server passed, or what the application passes on as such. */
function hostOf(c: Context): Host {
  const env = (c.env ?? {}) as PassedOn & Host;
  const { server } = env;
  const isHost = typeof server === "object" && server !== null &&
    (isBunServer(server) || [server.outgoing, server.completed, server.remoteAddr].some(Boolean));
  return isHost ? server : env;
}

/** Returns the request as the server knows it. */
function requestOf(c: Context): Request {
  const { request } = (c.env ?? {}) as PassedOn;
  return request instanceof Request ? request : c.req.raw;
}
