/**
 * The options of `events-endpoint serve`, and the checks of what its flags say.
 *
 * @module
 */
import type { AppOptions } from "../server/app.ts";
import { defaultPath, DIALECT_NAMES, type Mount } from "../server/mounts.ts";
import type { LogFormat } from "../server/log.ts";
import { durationMs } from "../events/time.ts";
import type { KeptEvents, NatsServers } from "../server/nats.ts";
import type { Durability } from "../sqlite/mod.ts";
import { type Access, readAccess } from "./serve_access.ts";
import { numberOf, numberOrOff, readFlags, type Source, textOf, variableOf } from "./serve_flags.ts";
import { UsageError } from "./usage.ts";

/** What `serve` was asked to do. */
export interface ServeOptions extends Omit<AppOptions, "log" | "mounts" | keyof Access>, Access {
  /** Where the events are, and in which dialect; at least one. */
  readonly mounts: readonly [Mount, ...Mount[]];
  /** The file of the catalogue, or `any`; `undefined` for Tribler's events. */
  readonly catalogue: string | undefined;
  /** Where to listen. */
  readonly host: string;
  /** The port to listen on; 0 for any that is free. */
  readonly port: number;
  /** Number of seconds for which a connection without a request stays open. */
  readonly keepAlive: number;
  /** The folder whose torrents are published. */
  readonly watchFolder: string | undefined;
  /** Number of seconds for which a file in it has to rest before it counts as corrupt. */
  readonly corruptAfter: number;
  /** Maximum number of events kept for clients that resume. */
  readonly history: number;
  /** Maximum number of bytes of their JSON. */
  readonly historyBytes: number;
  /** Number of seconds for which it continues to serve after a signal, while `/healthz` answers 503. */
  readonly drain: number;
  /** The file that keeps the events; `undefined` to keep them in memory or in NATS. */
  readonly data: string | undefined;
  /** What the channel keeps at most. */
  readonly keep: KeptEvents;
  /** What events in the file survive. */
  readonly durability: Durability;
  /** The NATS servers that keep the events; `undefined` to keep them in memory. */
  readonly nats: NatsServers | undefined;
  /** The name of the stream there. */
  readonly stream: string;
  /** The format of the log on stderr. */
  readonly log: LogFormat;
}

/**
 * Reads the options of `serve`; `"help"` if only the help is wanted.
 *
 * @param args the command line after `serve`
 * @param env the environment
 * @throws {UsageError}
 */
export function readServeOptions(args: string[], env: Source["env"]): ServeOptions | "help" {
  const source = readFlags(args, env);
  if (source === "help") return source;
  const host = textOf(source, "host").text;
  // Listening on "" would be listening on every address.
  if (host === "") throw new UsageError("--host takes the address to listen on, not nothing");
  return {
    host,
    port: numberOf(source, "port", 0, 65535, true),
    keepAlive: numberOf(source, "keep-alive", 1, 86400, false),
    catalogue: catalogueOf(source),
    mounts: mountsOf(source),
    watchFolder: textOf(source, "watch-folder").text || undefined,
    corruptAfter: numberOf(source, "corrupt-after", 0, 86400, false),
    heartbeat: numberOrOff(source, "heartbeat", 0.1, 86400, false),
    history: numberOf(source, "history", 1, 100_000_000, true),
    historyBytes: numberOf(source, "history-bytes", 1024, 2 ** 40, true),
    data: dataOf(source),
    keep: {
      events: numberOrOff(source, "keep-events", 1, 1e12, true),
      bytes: numberOrOff(source, "keep-bytes", 65536, 2 ** 50, true),
      age: ageOf(source),
    },
    durability: durabilityOf(source),
    nats: natsOf(source),
    stream: streamOf(source),
    ...readAccess(source),
    maxConnections: numberOrOff(source, "max-connections", 1, 100_000_000, true),
    maxConnectionsPerAddress: numberOrOff(source, "max-connections-per-address", 1, 100_000_000, true),
    clientAddressHeader: headerNameOf(source),
    stallTimeout: numberOrOff(source, "stall-timeout", 0.1, 86400, false),
    maxBodyBytes: numberOf(source, "max-body-bytes", 1, 2 ** 30, true),
    maxBatch: numberOf(source, "max-batch", 1, 100_000_000, true),
    maxDepth: numberOf(source, "max-depth", 1, 1000, true),
    idempotencyWindow: numberOrOff(source, "idempotency-window", 0.1, 86400, false),
    drain: numberOf(source, "drain", 0, 86400, false),
    log: logOf(source),
  };
}

/** The paths of the server that hold something else. */
const TAKEN_PATHS: readonly string[] = [
  "/",
  "/healthz",
  "/metrics",
  "/openapi.json",
  "/page.js",
  "/page_sse.js",
  "/page.css",
  "/page.svg",
];

function mountsOf(source: Source): readonly [Mount, ...Mount[]] {
  const listOf = (flag: "dialect" | "path") => {
    const isGiven = source.flags[flag] !== undefined || source.env[variableOf(flag)];
    return isGiven ? textOf(source, flag).text.split(",").map((text) => text.trim()) : [];
  };
  const names = listOf("dialect");
  const paths = listOf("path");
  const dialects = names.length === 0 ? ["7.1"] : names;
  if (paths.length > dialects.length) {
    throw new UsageError(`--path was given ${paths.length} times, for ${dialects.length} dialects`);
  }
  const mounts = dialects.map((name, index): Mount => {
    const dialect = DIALECT_NAMES.find((one) => one === name);
    const { by } = textOf(source, "dialect");
    if (dialect === undefined) throw new UsageError(`${by} takes ${DIALECT_NAMES.join(", ")}, not "${name}"`);
    return { dialect, path: paths[index] ?? defaultPath(dialect) };
  });
  for (const [index, { dialect, path }] of mounts.entries()) {
    const { by } = textOf(source, "path");
    if (!/^(?:\/[\w.~-]+)+$/.test(path) || TAKEN_PATHS.includes(path)) {
      throw new UsageError(
        `${by} takes a path of the server like /events that holds nothing else, not "${path}"`,
      );
    }
    const others = mounts.slice(0, index);
    if (others.some((other) => other.dialect === dialect)) {
      throw new UsageError(`--dialect ${dialect} was given twice`);
    }
    if (others.some((other) => other.path === path)) {
      throw new UsageError(`two dialects cannot have the path ${path}: add a --path for each of them`);
    }
  }
  return mounts as [Mount, ...Mount[]];
}

function catalogueOf(source: Source): string | undefined {
  const { text, by } = textOf(source, "catalogue");
  // An empty flag, as from a variable of a script, must not serve other events.
  if (text === "" && source.flags.catalogue !== undefined) {
    throw new UsageError(`${by} takes the path of a file, or any`);
  }
  return text || undefined;
}

function headerNameOf(source: Source): string | undefined {
  const { text, by } = textOf(source, "client-address-header");
  if (text === "" || /^[\w!#$%&'*+.^`|~-]+$/.test(text)) return text || undefined;
  throw new UsageError(`${by} takes the name of a header, not "${text}"`);
}

function dataOf(source: Source): string | undefined {
  const { text, by } = textOf(source, "data");
  // An empty flag, as from a variable of a script, must not keep the events in memory alone.
  if (text === "" && source.flags.data !== undefined) throw new UsageError(`${by} takes the path of a file`);
  const { text: nats, by: byNats } = textOf(source, "nats");
  if (text !== "" && nats !== "") {
    throw new UsageError(`${by} and ${byNats} are two places for the events: give one`);
  }
  return text || undefined;
}

/** Returns a number of seconds. */
function ageOf(source: Source): number | null {
  const { text, by } = textOf(source, "keep-age");
  if (text === "off") return null;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : durationMs(text) ?? 0;
  if (ms >= 1000 && ms <= 1e13) return ms / 1000;
  throw new UsageError(`${by} takes a number of seconds, or a duration like 7d or 12h, not "${text}"`);
}

function durabilityOf(source: Source): Durability {
  const { text, by } = textOf(source, "durability");
  if (text === "process" || text === "power") return text;
  throw new UsageError(`${by} takes process or power, not "${text}"`);
}

function natsOf(source: Source): NatsServers | undefined {
  const { text, by } = textOf(source, "nats");
  // An empty flag, as from a variable of a script, must not leave every server with events of its own.
  if (text === "" && source.flags.nats === undefined) return undefined;
  const urls = text.split(",").map((one) => URL.canParse(one.trim()) ? new URL(one.trim()) : undefined);
  const isNats = urls.every((url): url is URL => {
    return url !== undefined && /^(?:nats|tls):$/.test(url.protocol) && url.hostname !== "" &&
      /^\/?$/.test(url.pathname + url.search + url.hash);
  });
  // A URL may hold a password, so it is not shown.
  if (!isNats) throw new UsageError(`${by} takes nats://HOST:PORT, or several with commas between them`);
  const { username, password } = urls.find(({ username }) => username !== "") ?? urls[0]!;
  return {
    addresses: urls.map(({ host, port }) => port === "" ? `${host}:4222` : host),
    tls: urls.some(({ protocol }) => protocol === "tls:"),
    user: decoded(by, username),
    password: decoded(by, password),
  };
}

function decoded(by: string, text: string): string | undefined {
  try {
    return decodeURIComponent(text) || undefined;
  } catch {
    throw new UsageError(`the user and the password in ${by} are written as in a URL: % as %25`);
  }
}

function streamOf(source: Source): string {
  const { text, by } = textOf(source, "stream");
  if (source.flags.stream !== undefined && textOf(source, "nats").text === "") {
    throw new UsageError("--stream names a stream of NATS: add --nats with its address");
  }
  if (/^[\w-]{1,255}$/.test(text)) return text;
  throw new UsageError(`${by} takes the name of a stream, of letters, digits, _ and -, not "${text}"`);
}

function logOf(source: Source): LogFormat {
  const { text, by } = textOf(source, "log");
  if (text === "text" || text === "json" || text === "off") return text;
  throw new UsageError(`${by} takes text, json or off, not "${text}"`);
}
