/**
 * The connection of a server to NATS: made sooner or later, and made again whenever it is lost.
 *
 * @module
 */
import { connect, type NatsConnection, type NodeConnectionOptions } from "@nats-io/transport-node";
import type { Catalogue, Schemas } from "../events/catalogue.ts";
import { EventsError } from "../events/errors.ts";
import { abortable, delay } from "../events/timing.ts";
import type { HistoryLimits } from "../channel/limits.ts";
import { type NatsChannel, natsChannel } from "../nats/mod.ts";
import type { Log } from "./log.ts";

/** The addresses of NATS, and the user. */
export interface NatsServers {
  /** `HOST:PORT` of each server; any of them will do. */
  readonly addresses: readonly string[];
  /** Whether they are to be reached by TLS. */
  readonly tls: boolean;
  /** The user they know, with a password; alone it is a token. */
  readonly user: string | undefined;
  readonly password: string | undefined;
}

/** What a channel keeps at most: events, bytes, and seconds; `null` if that has no limit. */
export interface KeptEvents {
  readonly events: number | null;
  readonly bytes: number | null;
  readonly age: number | null;
}

/** Options of {@linkcode openNats}. */
export interface OpenNatsOptions {
  readonly servers: NatsServers;
  /** The name of the stream. */
  readonly stream: string;
  /** How much of it this process holds. */
  readonly history: HistoryLimits;
  /** What the stream keeps if it has to be created. */
  readonly keep: KeptEvents;
  /** The log for what keeps the server from its events. */
  readonly log: Pick<Log, "problem" | "warning">;
  /** Ends the wait for a first connection. */
  readonly signal: AbortSignal;
}

/** The wait before another attempt to reach what is not up yet. */
const TRY_EVERY = 2000;
/** A connection that has died is found out by the second of these without an answer, in milliseconds. */
const PING_EVERY = 15_000;

/**
 * Opens the channel in a stream of NATS, which is waited for until it is there.
 *
 * @throws {EventsError} `StreamMismatch` where the stream cannot hold a channel
 * @throws the reason of the signal
 */
export async function openNats<S extends Schemas>(
  catalogue: Catalogue<S>,
  { servers, stream, history, keep, log, signal }: OpenNatsOptions,
): Promise<NatsChannel<S>> {
  const place = servers.addresses.join(", ");
  const onProblem = (problem: Error) => log.problem(problem.message);
  const connection = await retry(() => connectTo(servers), `NATS at ${place} cannot be reached`);
  followStatus(connection, place, log);
  const options = { stream, history, keep, onProblem };
  return await retry(() => natsChannel(connection, catalogue, options), "NATS");

  /** Retries until it succeeds, and logs each reason for a failure once. */
  async function retry<T>(run: () => Promise<T>, what: string): Promise<T> {
    for (let reported = "";;) {
      signal.throwIfAborted();
      try {
        return await abortable(run(), signal);
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof EventsError && error.code !== "ChannelUnavailable") throw error;
        const { message } = error as Error;
        if (message !== reported) {
          log.problem(`${what}: ${message}: it is tried again every ${TRY_EVERY / 1000} s`);
        }
        reported = message;
      }
      await delay(TRY_EVERY, signal);
    }
  }
}

/**
 * Connects for good: a connection that is lost is made again for as long as it takes.
 *
 * @param options further options of the client
 */
export async function connectTo(
  { addresses, tls, user, password }: NatsServers,
  options: NodeConnectionOptions = {},
): Promise<NatsConnection> {
  outliveSockets();
  return await connect({
    servers: [...addresses],
    name: "events-endpoint",
    maxReconnectAttempts: -1,
    // What a server refuses today it may take tomorrow: it is only asked again.
    ignoreAuthErrorAbort: true,
    pingInterval: PING_EVERY,
    // Else two stack traces are taken for each event that is published, which is a third of what it costs.
    noAsyncTraces: true,
    ...(tls && { tls: {} }),
    ...(user !== undefined && (password === undefined ? { token: user } : { user, pass: password })),
    ...options,
  });
}

let isOutliving = false;

/**
 * Keeps Deno 2.9 running when a socket is closed from both sides at once: what was still to be written throws outside of any
 * handler (transport-node 3.4). The client sees the end all the same.
 */
function outliveSockets(): void {
  if (isOutliving || !("Deno" in globalThis)) return;
  isOutliving = true;
  globalThis.addEventListener("error", (event) => {
    if ((event as ErrorEvent).error?.message === "write after end") event.preventDefault();
  });
}

/** Logs when the connection is lost, and when it is up again. */
async function followStatus(
  connection: NatsConnection,
  place: string,
  log: Pick<Log, "problem" | "warning">,
): Promise<void> {
  for await (const { type } of connection.status()) {
    if (type === "disconnect") log.problem(`the connection to NATS at ${place} is lost`);
    if (type === "reconnect") {
      log.warning(`the connection to NATS is there again, at ${connection.getServer()}`);
    }
  }
}
