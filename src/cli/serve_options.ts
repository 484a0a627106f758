/**
 * The options of `events-endpoint serve`: flags, the environment variables behind them, and their help.
 *
 * @module
 */
import type { AppOptions } from "../server/app.ts";
import type { LogFormat } from "../server/log.ts";
import type { NatsServers } from "../server/nats.ts";
import { keyOf } from "./remote.ts";
import { parseFlags, UsageError } from "./usage.ts";

/** What `serve` was asked to do. */
export interface ServeOptions extends Omit<AppOptions, "log"> {
  /** Where to listen. */
  readonly host: string;
  /** The port to listen on; 0 for any that is free. */
  readonly port: number;
  /** The folder whose torrents are told. */
  readonly watchFolder: string | undefined;
  /** How many events are kept for those who resume. */
  readonly history: number;
  /** How many bytes of JSON they may have. */
  readonly historyBytes: number;
  /** Seconds for which it serves on after it was told to stop, and `/healthz` says that it is about to. */
  readonly drain: number;
  /** The NATS servers that keep the events; none: they are kept in memory. */
  readonly nats: NatsServers | undefined;
  /** The name of the stream there. */
  readonly stream: string;
  /** How streams that end are told on stderr. */
  readonly log: LogFormat;
}

const FLAGS = {
  host: { value: "HOST", fallback: "127.0.0.1", help: "address to listen on" },
  port: { value: "PORT", fallback: "8085", help: "port to listen on; 0 for any that is free" },
  "watch-folder": {
    value: "FOLDER",
    fallback: "",
    help: "tell of the .torrent files that appear in this folder",
  },
  heartbeat: { value: "SECONDS", fallback: "5", help: "an empty line after so much silence; off for none" },
  history: { value: "EVENTS", fallback: "100000", help: "how many events are kept for those who resume" },
  "history-bytes": { value: "BYTES", fallback: "33554432", help: "how many bytes of them are kept" },
  nats: {
    value: "URL",
    fallback: "",
    help:
      "keep the events in NATS JetStream, shared by all servers there: nats://HOST:PORT, or a list with commas",
  },
  stream: { value: "NAME", fallback: "EVENTS", help: "the stream there, which is made where there is none" },
  "api-key": {
    value: "KEY",
    fallback: "",
    help: "wanted of every request; here all users of this machine can see it, in EVENTS_API_KEY only you",
  },
  "cors-origin": {
    value: "ORIGIN",
    fallback: "",
    help: "pages of this origin may read and publish; may be repeated, or be a list with commas",
  },
  "max-connections": { value: "N", fallback: "10000", help: "how many streams may be open; off for any" },
  "max-connections-per-address": {
    value: "N",
    fallback: "1000",
    help: "how many to one client address but loopback; off for any",
  },
  "client-address-header": {
    value: "NAME",
    fallback: "",
    help: "believe this header, which a proxy sets: X-Real-IP",
  },
  "stall-timeout": {
    value: "SECONDS",
    fallback: "60",
    help: "give up who takes, or sends, nothing for so long; off for nobody",
  },
  "max-body-bytes": { value: "BYTES", fallback: "1048576", help: "the largest body of a POST" },
  "max-batch": { value: "EVENTS", fallback: "10000", help: "the most events in a POST" },
  "max-depth": { value: "LEVELS", fallback: "64", help: "how deep an event in a POST may be nested" },
  "idempotency-window": {
    value: "SECONDS",
    fallback: "120",
    help: "how long an Idempotency-Key is remembered; off for not at all",
  },
  drain: {
    value: "SECONDS",
    fallback: "0",
    help: "when told to stop, serve on for so long while /healthz says 503",
  },
  log: {
    value: "FORMAT",
    fallback: "text",
    help: "a line on stderr for each stream that ends: text, json or off",
  },
} as const;

type Flag = keyof typeof FLAGS;

/** The flags and what they take stand in a column of so many characters. */
const COLUMN = 36;

/** What `serve --help` shows. */
export const SERVE_HELP: string = [
  "events-endpoint serve: a Tribler-compatible events endpoint at /events",
  "",
  ...Object.entries(FLAGS).map(([flag, { value, fallback, help }]) =>
    `  --${flag} ${value}`.padEnd(COLUMN) + help + (fallback === "" ? "" : ` (${fallback})`)
  ),
  `  --help`.padEnd(COLUMN) + "show this and exit",
  "",
  `Each has an environment variable: ${variableOf("host")}, ${
    variableOf("watch-folder")
  }, and so on. A flag wins.`,
].join("\n");

/**
 * Reads the options of `serve`; `"help"` where that is all that is wanted.
 *
 * @param args the command line after `serve`
 * @param env the environment
 * @throws {UsageError}
 */
export function readServeOptions(
  args: string[],
  env: Readonly<Record<string, string | undefined>>,
): ServeOptions | "help" {
  const options = Object.fromEntries(
    Object.keys(FLAGS).map((flag) => [flag, { type: "string" as const, multiple: flag === "cors-origin" }]),
  );
  const { values } = parseFlags(args, { ...options, help: { type: "boolean", short: "h" } });
  const flags: { readonly [F in Flag | "help"]?: string } = Object.fromEntries(
    Object.entries(values).map(([flag, value]) => [flag, Array.isArray(value) ? value.join() : value]),
  );

  /** What was asked for, and by what; an empty variable asks for nothing. */
  function asked(flag: Flag): { text: string; by: string } {
    const variable = variableOf(flag);
    if (flags[flag] !== undefined) return { text: flags[flag], by: `--${flag}` };
    if (env[variable]) return { text: env[variable], by: variable };
    return { text: FLAGS[flag].fallback, by: `--${flag}` };
  }

  function number(flag: Flag, least: number, most: number, isWhole: boolean): number {
    const { text, by } = asked(flag);
    const value = (isWhole ? /^\d+$/ : /^\d+(?:\.\d+)?$/).test(text) ? Number(text) : NaN;
    if (value >= least && value <= most) return value;
    const kind = isWhole ? "a whole number" : "a number";
    throw new UsageError(`${by} takes ${kind} from ${least} to ${most}, not "${text}"`);
  }

  /** A number, or `null` for "off". */
  function numberOrOff(flag: Flag, least: number, most: number, isWhole: boolean): number | null {
    return asked(flag).text === "off" ? null : number(flag, least, most, isWhole);
  }

  function apiKey(): string | undefined {
    const { text, by } = asked("api-key");
    // A flag that is empty, as from a variable of a script, must not open the server to everybody.
    return keyOf(by, flags["api-key"] ?? (text || undefined));
  }

  function origins(): string[] {
    const { text, by } = asked("cors-origin");
    const origins = text.split(",").map((origin) => origin.trim()).filter((origin) => origin !== "");
    const wrong = origins.find((origin) => !URL.canParse(origin) || new URL(origin).origin !== origin);
    if (wrong === undefined) return origins;
    throw new UsageError(
      `${by} takes an origin as a browser writes it, like https://example.com, not "${wrong}"`,
    );
  }

  function headerName(): string | undefined {
    const { text, by } = asked("client-address-header");
    if (text === "" || /^[\w!#$%&'*+.^`|~-]+$/.test(text)) return text || undefined;
    throw new UsageError(`${by} takes the name of a header, not "${text}"`);
  }

  function nats(): NatsServers | undefined {
    const { text, by } = asked("nats");
    // A flag that is empty, as from a variable of a script, must not leave every server with events of its own.
    if (text === "" && flags.nats === undefined) return undefined;
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

  function stream(): string {
    const { text, by } = asked("stream");
    if (flags.stream !== undefined && asked("nats").text === "") {
      throw new UsageError("--stream names a stream of NATS: say where that is by --nats");
    }
    if (/^[\w-]{1,255}$/.test(text)) return text;
    throw new UsageError(`${by} takes the name of a stream, of letters, digits, _ and -, not "${text}"`);
  }

  function log(): LogFormat {
    const { text, by } = asked("log");
    if (text === "text" || text === "json" || text === "off") return text;
    throw new UsageError(`${by} takes text, json or off, not "${text}"`);
  }

  if (flags.help !== undefined) return "help";
  const host = asked("host").text;
  // To listen on "" would be to listen on every address there is.
  if (host === "") throw new UsageError("--host takes the address to listen on, not nothing");
  return {
    host,
    port: number("port", 0, 65535, true),
    watchFolder: asked("watch-folder").text || undefined,
    heartbeat: numberOrOff("heartbeat", 0.1, 86400, false),
    history: number("history", 1, 100_000_000, true),
    historyBytes: number("history-bytes", 1024, 2 ** 40, true),
    nats: nats(),
    stream: stream(),
    apiKey: apiKey(),
    corsOrigins: origins(),
    maxConnections: numberOrOff("max-connections", 1, 100_000_000, true),
    maxConnectionsPerAddress: numberOrOff("max-connections-per-address", 1, 100_000_000, true),
    clientAddressHeader: headerName(),
    stallTimeout: numberOrOff("stall-timeout", 0.1, 86400, false),
    maxBodyBytes: number("max-body-bytes", 1, 2 ** 30, true),
    maxBatch: number("max-batch", 1, 100_000_000, true),
    maxDepth: number("max-depth", 1, 1000, true),
    idempotencyWindow: numberOrOff("idempotency-window", 0.1, 86400, false),
    drain: number("drain", 0, 86400, false),
    log: log(),
  };
}

function variableOf(flag: Flag): string {
  return `EVENTS_${flag.toUpperCase().replaceAll("-", "_")}`;
}
