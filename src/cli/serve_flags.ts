/**
 * The flags of `events-endpoint serve`, the environment variables behind them, and their help.
 *
 * @module
 */
import { nearestOf } from "../events/arguments.ts";
import { helpText } from "./help_text.ts";
import { parseFlags, UsageError } from "./usage.ts";

const FLAGS = {
  host: { value: "HOST", fallback: "127.0.0.1", help: "address to listen on" },
  port: { value: "PORT", fallback: "8085", help: "port to listen on; 0 for any that is free" },
  catalogue: {
    value: "FILE",
    fallback: "",
    help:
      "the events: JSON with a JSON Schema for each type, or a module that exports a catalogue; any for every type; default Tribler's",
  },
  dialect: {
    value: "NAME",
    fallback: "7.1",
    help:
      "the release of Tribler whose front end reads the events: 7.1, 7.4, 7.5, 7.12 or 8; may be repeated",
  },
  path: {
    value: "PATH",
    fallback: "/events",
    help: "where the events are, one for each dialect; that of 8 is at /api/events by default",
  },
  "watch-folder": {
    value: "FOLDER",
    fallback: "",
    help: "publish the .torrent files that appear in this folder",
  },
  "corrupt-after": {
    value: "SECONDS",
    fallback: "30",
    help: "rename a file there that is no torrent after it has rested for this long",
  },
  heartbeat: {
    value: "SECONDS",
    fallback: "5",
    help: "send an empty line after this much silence; off to disable",
  },
  history: { value: "EVENTS", fallback: "100000", help: "how many events are kept for clients that resume" },
  "history-bytes": { value: "BYTES", fallback: "33554432", help: "how many bytes of them are kept" },
  data: {
    value: "FILE",
    fallback: "",
    help: "keep the events in this file, so that clients resume after a restart; Node 22.13 or newer",
  },
  "keep-events": {
    value: "EVENTS",
    fallback: "off",
    help: "how many events the file or NATS keeps; off for any",
  },
  "keep-bytes": { value: "BYTES", fallback: "1073741824", help: "how many bytes it keeps; off for any" },
  "keep-age": {
    value: "AGE",
    fallback: "off",
    help: "how long events are kept, like 7d or 12h; off for ever",
  },
  durability: {
    value: "KIND",
    fallback: "process",
    help: "what events in the file survive: process (kill -9), or power (a loss of power as well)",
  },
  nats: {
    value: "URL",
    fallback: "",
    help:
      "keep the events in NATS JetStream, shared by all servers there: nats://HOST:PORT, or a list with commas",
  },
  stream: { value: "NAME", fallback: "EVENTS", help: "the stream there; it is made if it does not exist" },
  "api-key": {
    value: "KEY",
    fallback: "",
    help:
      "require a key: this one may read and publish; other users of this machine see flags, but no variables",
  },
  "read-key": {
    value: "KEY",
    fallback: "",
    help: "a key that may read; may be repeated, or be a list with commas",
  },
  "publish-key": { value: "KEY", fallback: "", help: "a key that may publish, likewise" },
  keys: {
    value: "FILE",
    fallback: "",
    help: "JSON with the names, hashes and rights of further keys; SIGHUP reads it again",
  },
  "jwt-secret": {
    value: "SECRET",
    fallback: "",
    help: "accept JSON Web Tokens of this secret, of 32 characters or more; better as EVENTS_JWT_SECRET",
  },
  "jwks-url": { value: "URL", fallback: "", help: "accept tokens that these public keys verify" },
  "jwt-issuer": { value: "TEXT", fallback: "", help: "what the iss of a token must be" },
  "jwt-audience": { value: "TEXT", fallback: "", help: "what the aud of a token must name; may be repeated" },
  "cors-origin": {
    value: "ORIGIN",
    fallback: "",
    help: "pages of this origin may read and publish; may be repeated, or be a list with commas",
  },
  "cors-header": {
    value: "NAME",
    fallback: "",
    help: "a further header that their requests may have; may be repeated",
  },
  "max-connections": {
    value: "N",
    fallback: "10000",
    help: "how many streams may be open; off for no limit",
  },
  "max-connections-per-address": {
    value: "N",
    fallback: "1000",
    help: "the same for one client address, loopback exempt; off for no limit",
  },
  "client-address-header": {
    value: "NAME",
    fallback: "",
    help: "trust this header of a proxy, such as X-Real-IP",
  },
  "stall-timeout": {
    value: "SECONDS",
    fallback: "60",
    help: "disconnect clients that make no progress for this long; off to disable",
  },
  "max-body-bytes": { value: "BYTES", fallback: "1048576", help: "the largest body of a POST" },
  "max-batch": { value: "EVENTS", fallback: "10000", help: "the most events in a POST" },
  "max-depth": { value: "LEVELS", fallback: "64", help: "how deep an event in a POST may be nested" },
  "idempotency-window": {
    value: "SECONDS",
    fallback: "120",
    help: "how long an Idempotency-Key is remembered; off to disable",
  },
  "keep-alive": {
    value: "SECONDS",
    fallback: "75",
    help: "close connections without a request after this long: longer than a balancer in front does",
  },
  drain: {
    value: "SECONDS",
    fallback: "0",
    help: "after a signal serve on for this long while /healthz answers 503",
  },
  log: {
    value: "FORMAT",
    fallback: "text",
    help: "the log on stderr, a line for each stream that ends: text, json or off",
  },
} as const;

/** The name of a flag. */
export type Flag = keyof typeof FLAGS;

/** The flags that may be repeated, or be a list with commas. */
const REPEATED: readonly string[] = [
  "cors-origin",
  "cors-header",
  "dialect",
  "path",
  "read-key",
  "publish-key",
  "jwt-audience",
] satisfies Flag[];

/** The width of the column of flags, in characters. */
const COLUMN = 36;

/** What `serve --help` shows. */
export const SERVE_HELP: string = helpText([
  "events-endpoint serve: an events endpoint at /events, for Tribler's events or a catalogue of yours",
  "",
  "  events-endpoint serve",
  "  events-endpoint serve --catalogue shop.json --data shop.db",
  "  EVENTS_API_KEY=s3cret events-endpoint serve --host 0.0.0.0 --port 80",
  "",
  ...Object.entries(FLAGS).map(([flag, { value, fallback, help }]) =>
    `  --${flag} ${value}`.padEnd(COLUMN) + help + (fallback === "" ? "" : ` (${fallback})`)
  ),
  `  --help`.padEnd(COLUMN) + "show this and exit",
  "",
  `Each has an environment variable: ${variableOf("host")}, ${
    variableOf("watch-folder")
  }, and so on. A flag wins.`,
].join("\n"));

/** The flags that were given, and the environment behind them. */
export interface Source {
  readonly flags: { readonly [F in Flag | "help"]?: string };
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Reads the flags of `serve`; `"help"` if only the help is wanted.
 *
 * @param args the command line after `serve`
 * @param env the environment
 * @throws {UsageError}
 */
export function readFlags(args: string[], env: Source["env"]): Source | "help" {
  const options = Object.fromEntries(
    Object.keys(FLAGS).map((flag) => [flag, { type: "string" as const, multiple: REPEATED.includes(flag) }]),
  );
  const { values } = parseFlags(args, { ...options, help: { type: "boolean", short: "h" } });
  const flags: Source["flags"] = Object.fromEntries(
    Object.entries(values).map(([flag, value]) => [flag, Array.isArray(value) ? value.join() : value]),
  );
  return flags.help === undefined ? { flags, env } : "help";
}

/** Returns a warning for each variable of the environment that looks like one of `serve` and is none. */
export function unknownVariables(env: Source["env"]): string[] {
  const known = (Object.keys(FLAGS) as Flag[]).map(variableOf);
  const unknown = Object.keys(env).filter((name) =>
    name.startsWith("EVENTS_") && !known.includes(name) && !OTHERS.test(name)
  );
  return unknown.map((name) => {
    const nearest = nearestOf(name, known);
    const hint = nearest === undefined ? "see --help" : `did you mean ${nearest}?`;
    return `the variable ${name} has no effect: ${hint}`;
  });
}

/** The variables of other commands; and those that Kubernetes sets beside a Service called `events`. */
const OTHERS =
  /^EVENTS_(?:FROM_API_KEY|TO_API_KEY|(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?))$/;
/** What Kubernetes puts into `EVENTS_PORT` there. */
const SERVICE_LINK = /^(?:tcp|udp|sctp):\/\//;

/** Returns the name of the variable behind a flag. */
export function variableOf(flag: Flag): string {
  return `EVENTS_${flag.toUpperCase().replaceAll("-", "_")}`;
}

/** Returns the value of a flag, and what gave it; an empty variable gives nothing. */
export function textOf({ flags, env }: Source, flag: Flag): { readonly text: string; readonly by: string } {
  const variable = variableOf(flag);
  if (flags[flag] !== undefined) return { text: flags[flag], by: `--${flag}` };
  const isServiceLink = flag === "port" && SERVICE_LINK.test(env[variable] ?? "");
  if (env[variable] && !isServiceLink) return { text: env[variable], by: variable };
  return { text: FLAGS[flag].fallback, by: `--${flag}` };
}

/** Returns a number in a range. */
export function numberOf(source: Source, flag: Flag, least: number, most: number, isWhole: boolean): number {
  const { text, by } = textOf(source, flag);
  const value = (isWhole ? /^\d+$/ : /^\d+(?:\.\d+)?$/).test(text) ? Number(text) : NaN;
  if (value >= least && value <= most) return value;
  const kind = isWhole ? "a whole number" : "a number";
  throw new UsageError(`${by} takes ${kind} from ${least} to ${most}, not "${text}"`);
}

/** Returns a number, or `null` for "off". */
export function numberOrOff(
  source: Source,
  flag: Flag,
  least: number,
  most: number,
  isWhole: boolean,
): number | null {
  return textOf(source, flag).text === "off" ? null : numberOf(source, flag, least, most, isWhole);
}
