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
import { openOutput } from "./file_output.ts";
import { helpText } from "./help_text.ts";
import { keepPosition, type Position, type TailState } from "./position.ts";
import { openStateFile } from "./state_file.ts";
import { watchReader } from "./pipe_reader.ts";
import { onStopSignal } from "./signals.ts";
import { TRANSPORT_FLAGS, TRANSPORT_HELP, withTransport } from "./transport.ts";
import { END_HELP, type Range, RANGE_FLAGS, rangeFrom, readRange, SELECTION_HELP } from "./range.ts";
import { parseFlags, readCount, readPath, readSize, UsageError } from "./usage.ts";
import { createView, type View } from "./view.ts";

/** What `tail --help` shows. */
export const TAIL_HELP: string = helpText(
  `events-endpoint tail URL: follow the events of a server, until Ctrl-C

  tail http://localhost:8085/events --types 'torrent_*' --since earliest
  tail http://localhost:8085/events | jq -r 'select(.type == "torrent_finished").event.name'

${SELECTION_HELP}
  --since PLACE           go on after the event with this id; earliest: with all that is kept; latest: from now (latest);
                          with what was published since a time, which is local without a zone (12:00, noon, midnight,
                          2026-11-28T12:00, 2026-11-28T03:00:00Z), or in the last 10m (s, m, h, d)
  --last N                begin with the last N events
${END_HELP}
  --json                  one dictionary a line, whole, also on a terminal
  --output FILE           append the events to this file, a dictionary a line
  --rotate SIZE           begin another file at this size, like 100MB; FILE.1 is the oldest one, and none is removed
  --state FILE            keep the position in this file, and go on there at the next start, also after kill -9
  --max-attempts N        exit after this many failed attempts in a row (never)
  --api-key KEY           the key that the server wants (EVENTS_API_KEY, which other users of the machine do not see)
${TRANSPORT_HELP}
  --help                  show this and exit

On a terminal each event is one row, as wide as there is room for, with the time it has here; NO_COLOR=1 leaves out
the colours. Its keys are:

  /                       filter: words, name:sintel size:>1GB time:>14:00, is:trouble for failures, - before a term excludes
  t                       choose types
  space                   pause, and go on
  ↑ PgUp Home             the events so far
  Enter                   the whole of an event
  f                       in these two: only what is about the same subject
  ?                       all keys
  q Ctrl-C                quit

Elsewhere, and with TERM=dumb or CI, each is one line of JSON, as it was received, and stderr reports the connection.

It waits for a server that cannot be reached, and resumes a lost connection after the last event; events_lost reports
how many are missing. With --state, --since and --last are for the first start. A kill -9 may repeat the last lines on
stdout, and none in --output. It exits with 0 at Ctrl-C and when its output is closed, with 1 if the server refuses.`,
);

/** What `tail` was asked to do. */
interface TailOptions {
  readonly remote: Remote;
  /** Which events, and from where on. */
  readonly range: Range;
  /** Maximum number of attempts in a row that may fail. */
  readonly maxAttempts: number;
  /** Whether a terminal shows JSON. */
  readonly isJson: boolean;
  /** The file to write to, in place of stdout. */
  readonly output: string | undefined;
  /** The size after which another file is begun. */
  readonly maxBytes: number | undefined;
  /** The file that keeps the position. */
  readonly state: string | undefined;
}

/** Follows the events of a server until SIGINT or SIGTERM. */
export async function tail(args: string[]): Promise<void> {
  const options = await readTailOptions(args);
  if (options === "help") return console.log(TAIL_HELP);
  const { remote, range, maxAttempts, isJson, output, state } = options;
  const stop = new AbortController();
  let failure: Error | undefined;
  const fail = (error: Error) => {
    failure ??= error;
    stop.abort();
  };
  const file = state === undefined
    ? undefined
    : await openStateFile<TailState>(state, `tail ${remote.place}`);
  const position = file === undefined ? undefined : keepPosition(file, fail);
  onStopSignal(() => stop.abort());
  // Neither a dumb terminal nor the log of a CI can move a cursor.
  const isPlain = process.env["TERM"] === "dumb" || Boolean(process.env["CI"]);
  const isView = process.stdout.isTTY && !isPlain && !isJson && output === undefined;
  const reader = output !== undefined
    ? fileReader(output, options.maxBytes, file?.state?.file, position)
    : isView
    ? createView(process.stdout, remote.place, !process.env["NO_COLOR"], () => stop.abort())
    : lineReader();
  const broken = new Promise<void>((resolve) => {
    process.stdout.on("error", (error: NodeJS.ErrnoException) => {
      // The reader has closed the pipe, which is no error: `| head`.
      if (error.code !== "EPIPE") fail(new Error(`cannot write: ${error.message}`));
      stop.abort();
      resolve();
    });
  });
  const unwatch = output === undefined ? await watchReader(() => stop.abort()) : () => {};
  process.stderr.on("error", () => {}); // The reader of stderr has closed it; stdout may still have one.
  const wanted = rangeFrom(range, file?.state?.cursor);
  try {
    await follow(remote, reader, position, { ...wanted, reconnect: { maxAttempts }, signal: stop.signal });
  } finally {
    unwatch();
    reader.close();
    await Promise.race([endOutput(), broken]);
    await position?.flush();
    file?.close();
  }
  if (failure !== undefined) throw failure;
}

/** Reads the options of `tail`; `"help"` if only the help is wanted. */
async function readTailOptions(args: string[]): Promise<TailOptions | "help"> {
  const { values, positionals } = parseFlags(args, {
    ...RANGE_FLAGS,
    json: { type: "boolean" },
    output: { type: "string" },
    rotate: { type: "string" },
    state: { type: "string" },
    "max-attempts": { type: "string" },
    "api-key": { type: "string" },
    ...TRANSPORT_FLAGS,
    help: { type: "boolean", short: "h" },
  }, true);
  if (values["help"]) return "help";
  const remote = readRemote(positionals[0], values["api-key"], process.env);
  if (positionals.length > 1) throw new UsageError(`tail takes one URL, and not also "${positionals[1]}"`);
  const range = readRange(values);
  const maxAttempts = readCount("max-attempts", values["max-attempts"]) ?? Infinity;
  const [output, state] = [readPath("output", values["output"]), readPath("state", values["state"])];
  const maxBytes = readSize("rotate", values["rotate"]);
  if (maxBytes !== undefined && output === undefined) {
    throw new UsageError("--rotate is about a file: add --output FILE");
  }
  return {
    remote: await withTransport(remote, values),
    range,
    maxAttempts,
    isJson: values["json"] === true,
    output,
    maxBytes,
    state,
  };
}

/** Number of milliseconds between two looks at whether the cursor has moved without an event. */
const BOOKMARK_MS = 1_000;

async function follow(
  remote: Remote,
  reader: View,
  position: Position | undefined,
  options: ConnectOptions & { signal: AbortSignal },
) {
  const { url, apiKey, fetch } = remote;
  const noteOf = createNotes(remote);
  /** The number of events that are not written out yet. */
  let pending = 0;
  let isWaiting = true;
  const reached = (cursor: string | undefined) => position?.reached({ cursor, file: reader.file });
  const connection = connect(url, {
    ...options,
    ...(apiKey !== undefined && { apiKey }),
    ...(fetch !== undefined && { fetch }),
    onStatus: (status) => {
      reader.status(status);
      const note = noteOf(status);
      if (note !== undefined) reader.note(note);
      // The place where it starts: after a kill before the first event it starts there again.
      if (status.type === "open" && pending === 0) reached(connection.lastId);
    },
  });
  // Events that the filter hides move the cursor too.
  const timer = position && setInterval(() => {
    if (isWaiting && pending === 0 && connection.lastId !== position.cursor) reached(connection.lastId);
  }, BOOKMARK_MS);
  try {
    for await (const event of connection) {
      isWaiting = false;
      const { lastId } = connection;
      const onOut = position && (() => {
        pending--;
        reached(lastId);
      });
      pending++;
      const hasRoom = reader.event(event as DisplayEvent, connection.lastText!, onOut);
      if (hasRoom !== true) await (hasRoom || drained(options.signal));
      isWaiting = true;
    }
  } catch (error) {
    throw error instanceof EventsError ? new Error(describeFailure(error, remote)) : error;
  } finally {
    clearInterval(timer);
  }
}

/** Appends the JSON of each event to a file. */
function fileReader(
  path: string,
  maxBytes: number | undefined,
  known: TailState["file"],
  position: Position | undefined,
): View {
  const output = openOutput(path, maxBytes, known?.path === path ? known.bytes : undefined);
  const write = (line: string, onOut: (() => void) | undefined) => {
    output.write(line);
    onOut?.();
    return true;
  };
  return {
    get file() {
      return { path, bytes: output.bytes };
    },
    event: (_event, text, onOut) => {
      const line = `${onOneLine(text)}\n`;
      if (!output.isFullFor(line)) return write(line, onOut);
      return (async () => {
        // The position is written before and after, so that a kill between repeats and loses nothing.
        await position?.flush();
        output.rotate();
        position?.reached({ cursor: position.cursor, file: { path, bytes: 0 } });
        await position?.flush();
        write(line, onOut);
      })();
    },
    status: () => {},
    note,
    close: output.close,
  };
}

function note(text: string): void {
  console.error(`events-endpoint: ${text}`);
}

/**
 * For programs: the JSON of each event as it was received, one line each, on stdout; everything else on stderr. On a terminal
 * characters that would move its cursor are escaped.
 */
function lineReader(): View {
  const lineOf = process.stdout.isTTY ? jsonTextLine : onOneLine;
  return {
    event: (_event, text, onOut) => writeOut(`${lineOf(text)}\n`, onOut),
    status: () => {},
    note,
    close: () => {},
  };
}

/** Writes to stdout. Deno throws the errors that other runtimes emit. */
function writeOut(text: string, onOut: (() => void) | undefined): boolean {
  try {
    if (onOut === undefined) return process.stdout.write(text);
    return process.stdout.write(text, (error) => error ? undefined : onOut());
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
