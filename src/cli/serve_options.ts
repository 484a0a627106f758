/**
 * The options of `events-endpoint serve`: flags, the environment variables behind them, and their help.
 *
 * @module
 */
import { parseFlags, UsageError } from "./usage.ts";

/** What `serve` was asked to do. */
export interface ServeOptions {
  /** Where to listen. */
  readonly host: string;
  /** The port to listen on; 0 for any that is free. */
  readonly port: number;
  /** The folder whose torrents are told. */
  readonly watchFolder: string | undefined;
  /** Seconds of silence after which a stream carries a heartbeat; `null` for never. */
  readonly heartbeat: number | null;
  /** How many events are kept for those who resume. */
  readonly history: number;
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
} as const;

type Flag = keyof typeof FLAGS;

/** What `serve --help` shows. */
export const SERVE_HELP: string = [
  "events-endpoint serve: a Tribler-compatible events endpoint at /events",
  "",
  ...Object.entries(FLAGS).map(([flag, { value, fallback, help }]) =>
    `  --${flag} ${value}`.padEnd(26) + help + (fallback === "" ? "" : ` (${fallback})`)
  ),
  `  --help`.padEnd(26) + "show this and exit",
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
  const options = Object.fromEntries(Object.keys(FLAGS).map((flag) => [flag, { type: "string" as const }]));
  const { values } = parseFlags(args, { ...options, help: { type: "boolean", short: "h" } });
  const flags = values as { [F in Flag | "help"]?: string };

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

  if (flags.help !== undefined) return "help";
  const host = asked("host").text;
  // To listen on "" would be to listen on every address there is.
  if (host === "") throw new UsageError("--host takes the address to listen on, not nothing");
  return {
    host,
    port: number("port", 0, 65535, true),
    watchFolder: asked("watch-folder").text || undefined,
    heartbeat: asked("heartbeat").text === "off" ? null : number("heartbeat", 0.1, 86400, false),
    history: number("history", 1, 100_000_000, true),
  };
}

function variableOf(flag: Flag): string {
  return `EVENTS_${flag.toUpperCase().replaceAll("-", "_")}`;
}
