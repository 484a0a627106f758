/**
 * What servers differ in, found by what they hand to the handler and never by their name.
 *
 * @module
 */
import type { Context } from "hono";
import type { Outgoing } from "./outlet.ts";

/** What a server hands over beside the request: Deno its info, Bun its server object. */
interface Host {
  /** Deno: settles when the response was delivered, or will never be. */
  readonly completed?: unknown;
  /** Bun: sets the seconds after which a connection that moves nothing is cut. */
  readonly timeout?: unknown;
  /** Bun: the server object, where the application hands it on under its name. */
  readonly server?: { readonly timeout?: unknown };
  /** Node: the response as it goes out. */
  readonly outgoing?: object;
}

/**
 * Tells when the client has left, or the response is over: whichever the server reports, and maybe both ways.
 *
 * @returns stops listening
 */
export function onGone(c: Context, gone: () => void): () => void {
  const { completed } = (c.env ?? {}) as Host;
  if (completed instanceof Promise) {
    // Deno's request signal fires after a normal end too, and whoever looks at it gets a warning on the console.
    completed.then(gone, gone);
    return () => {};
  }
  const { signal } = c.req.raw;
  if (signal.aborted) gone();
  signal.addEventListener("abort", gone, { once: true });
  // A response that ends well is no abort; without this, one that was not ours in the end would never be over.
  const outgoing = outgoingOf(c);
  outgoing?.on("close", gone);
  return () => {
    signal.removeEventListener("abort", gone);
    outgoing?.off("close", gone);
  };
}

/** Lets a response stay open in silence: streams have a heartbeat and a stall timer of their own. */
export function keepOpen(c: Context): void {
  const host = (c.env ?? {}) as Host;
  for (const server of [host, host.server]) {
    if (typeof server?.timeout === "function") server.timeout(c.req.raw, 0);
  }
}

/** The response of Node's server as it goes out, where the request came by one. */
export function outgoingOf(c: Context): Outgoing | undefined {
  const outgoing = ((c.env ?? {}) as Host).outgoing as Partial<Outgoing> | undefined;
  const isOutgoing = typeof outgoing?.write === "function" && typeof outgoing.destroy === "function";
  return isOutgoing ? outgoing as Outgoing : undefined;
}
