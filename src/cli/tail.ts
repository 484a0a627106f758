/**
 * `events-endpoint tail`: follows the events of a server.
 *
 * @module
 */
import process from "node:process";
import { connect, type ConnectOptions, EventsError } from "../client/mod.ts";
import { jsonTextLine, onOneLine } from "../text/printable.ts";
import { createNotes, describeFailure } from "./connection_notes.ts";
import { readRemote, type Remote } from "./remote.ts";
import type { DisplayEvent } from "../text/event_text.ts";
import { onStopSignal } from "./signals.ts";
import { checkSubject, parseFlags, readCount, readPlace, readTypes, UsageError } from "./usage.ts";
import { createView, type View } from "./view.ts";

const HELP = `events-endpoint tail URL: follow the events of a server, until Ctrl-C

  tail http://localhost:8085/events --types 'torrent_*' --since earliest
  tail http://localhost:8085/events | jq -r 'select(.type == "torrent_finished").event.name'

  --types TYPES           only these types, with commas between; * at the end matches a prefix
  --subject SUBJECT       only events about this; * at the end matches a prefix; may be repeated
  --since PLACE           go on after the event with this id; earliest: with all that is kept; latest: from now (latest);
                          with what was published since a time (2026-11-28T03:00:00Z), or in the last 10m (s, m, h, d)
  --last N                begin with the last N events
  --until PLACE           exit at that time, or after the event with this id
  --limit N               exit after N events
  --json                  one dictionary a line, whole, also on a terminal
  --max-attempts N        exit after this many failed attempts in a row (never)
  --api-key KEY           the key that the server wants (EVENTS_API_KEY, which other users of the machine do not see)
  --help                  show this and exit

On a terminal each event is one row, as wide as there is room for, with the time it has here; NO_COLOR=1 leaves out
the colours. Elsewhere each is one line of JSON, as it was received, and stderr reports the connection. It
waits for a server that cannot be reached, and resumes a lost connection after the last event; events_lost reports how
many are missing. It exits with 0 at Ctrl-C and when its output is closed, with 1 if the server refuses.`;

/** Follows the events of a server until SIGINT or SIGTERM. */
export async function tail(args: string[]): Promise<void> {
  const { values, positionals } = parseFlags(args, {
    types: { type: "string", multiple: true },
    subject: { type: "string", multiple: true },
    since: { type: "string" },
    last: { type: "string" },
    until: { type: "string" },
    limit: { type: "string" },
    json: { type: "boolean" },
    "max-attempts": { type: "string" },
    "api-key": { type: "string" },
    help: { type: "boolean", short: "h" },
  }, true);
  if (values["help"]) return console.log(HELP);
  const remote = readRemote(positionals[0], values["api-key"], process.env);
  if (positionals.length > 1) throw new UsageError(`tail takes one URL, and not also "${positionals[1]}"`);
  const maxAttempts = readCount("max-attempts", values["max-attempts"]) ?? Infinity;
  const [last, limit] = [readCount("last", values["last"]), readCount("limit", values["limit"])];
  const since = readPlace(values["since"]);
  const until = readPlace(values["until"]);
  if (last !== undefined && since !== undefined) {
    throw new UsageError("--last and --since are two places to begin: give one");
  }
  const types = readTypes(values["types"]);
  const subjects = ((values["subject"] ?? []) as string[]).map(checkSubject);

  const stop = new AbortController();
  onStopSignal(() => stop.abort());
  const isView = process.stdout.isTTY && !values["json"];
  const reader = isView ? createView(process.stdout, remote.place, !process.env["NO_COLOR"]) : lineReader();
  let failure: Error | undefined;
  const broken = new Promise<void>((resolve) => {
    process.stdout.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") failure = error; // The reader has closed the pipe, which is no error: `| head`.
      stop.abort();
      resolve();
    });
  });
  process.stderr.on("error", () => {}); // The reader of stderr has closed it; stdout may still have one.
  try {
    await follow(remote, reader, {
      types,
      subjects,
      ...(since !== undefined && { since }),
      ...(last !== undefined && { last }),
      ...(until !== undefined && { until }),
      ...(limit !== undefined && { limit }),
      reconnect: { maxAttempts },
      signal: stop.signal,
    });
  } finally {
    reader.close();
    await Promise.race([endOutput(), broken]);
  }
  if (failure !== undefined) throw new Error(`cannot write: ${failure.message}`);
}

async function follow(remote: Remote, reader: View, options: ConnectOptions & { signal: AbortSignal }) {
  const { url, apiKey } = remote;
  const noteOf = createNotes(remote);
  const connection = connect(url, {
    ...options,
    ...(apiKey === undefined ? {} : { apiKey }),
    onStatus: (status) => {
      reader.status(status);
      const note = noteOf(status);
      if (note !== undefined) reader.note(note);
    },
  });
  try {
    for await (const event of connection) {
      if (!reader.event(event as DisplayEvent, connection.lastText!)) await drained(options.signal);
    }
  } catch (error) {
    throw error instanceof EventsError ? new Error(describeFailure(error, remote)) : error;
  }
}

/**
 * For programs: the JSON of each event as it was received, one line each, on stdout; everything else on stderr. On a terminal
 * characters that would move its cursor are escaped.
 */
function lineReader(): View {
  const lineOf = process.stdout.isTTY ? jsonTextLine : onOneLine;
  return {
    event: (_event, text) => writeOut(`${lineOf(text)}\n`),
    status: () => {},
    note: (text) => console.error(`events-endpoint: ${text}`),
    close: () => {},
  };
}

/** Writes to stdout. Deno throws the errors that other runtimes emit. */
function writeOut(text: string): boolean {
  try {
    return process.stdout.write(text);
  } catch (error) {
    return process.stdout.emit("error", error);
  }
}

/** Ends stdout, and waits until everything is written: `process.exit()` drops what a full pipe has not accepted. */
function endOutput(): Promise<void> {
  // Not an empty write: Bun calls back for that at once.
  return new Promise((resolve) => process.stdout.end(() => resolve()));
}

/** Waits until stdout takes more, or never will. */
function drained(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      process.stdout.off("drain", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    process.stdout.once("drain", done);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}
