/**
 * `events-endpoint forward`: publishes the events of one server to another one, each once and in order.
 *
 * @module
 */
import process from "node:process";
import { Forwarder, type ForwardState } from "./forwarder.ts";
import { helpText } from "./help_text.ts";
import { END_HELP, RANGE_FLAGS, readRange, SELECTION_HELP } from "./range.ts";
import { readRemote } from "./remote.ts";
import { onStopSignal } from "./signals.ts";
import { openStateFile } from "./state_file.ts";
import { TRANSPORT_FLAGS, TRANSPORT_HELP, withTransport } from "./transport.ts";
import { parseFlags, readCount, readPath, UsageError } from "./usage.ts";

/** What `forward --help` shows. */
export const FORWARD_HELP: string = helpText(
  `events-endpoint forward FROM TO: publish the events of one server to another one, until Ctrl-C

  events-endpoint forward http://shop:8085/events http://localhost:8085/events --state shop.state
  events-endpoint forward http://shop:8085/events http://hub/events --types 'order_*' --since latest

  --state FILE            keep the position in this file: each event is published once and in order, over cuts and
                          restarts of both servers and of this command, also by kill -9
${SELECTION_HELP}
  --since PLACE           where the first run begins, as for tail (earliest with --state, latest without)
  --last N                begin the first run with the last N events
${END_HELP}
  --max-attempts N        exit after this many failed attempts in a row (never)
  --from-api-key KEY      the key that FROM wants (EVENTS_FROM_API_KEY, which other users of the machine do not see)
  --to-api-key KEY        the key that TO wants (EVENTS_TO_API_KEY)
${TRANSPORT_HELP}
  --help                  show this and exit

Types, payloads and subjects stay as they are; id and time are those of TO. A loss that FROM reports is printed and counted.
The exit code is 0 at Ctrl-C and at the end of FROM, 3 if events are missing or may be there twice, 1 if a server refuses,
2 for a mistake in the command line. One process at a time can use a state file.

TO remembers the key of a request for two minutes or longer (serve --idempotency-window). Events that it accepted without an
answer, and whose key it may have forgotten, are looked for there before they are sent again. If the key for TO may not read,
they are counted as perhaps there twice.`,
);

/** Forwards events until SIGINT or SIGTERM. */
export async function forward(args: string[]): Promise<void> {
  const { values, positionals } = parseFlags(args, {
    state: { type: "string" },
    ...RANGE_FLAGS,
    "max-attempts": { type: "string" },
    "from-api-key": { type: "string" },
    "to-api-key": { type: "string" },
    ...TRANSPORT_FLAGS,
    help: { type: "boolean", short: "h" },
  }, true);
  if (values["help"]) return console.log(FORWARD_HELP);
  const [source, target, ...more] = positionals;
  if (target === undefined) throw new UsageError("forward takes two URLs, FROM and TO: try --help");
  if (more.length > 0) throw new UsageError(`forward takes two URLs, and not also "${more[0]}"`);
  const from = readRemote(source, values["from-api-key"], process.env, keyOf("from"));
  const to = readRemote(target, values["to-api-key"], process.env, keyOf("to"));
  if (from.url.href === to.url.href) throw new UsageError("FROM and TO are the same address");
  const path = readPath("state", values["state"]);
  const range = readRange(values);
  const maxAttempts = readCount("max-attempts", values["max-attempts"]) ?? Infinity;
  const servers = { from: await withTransport(from, values), to: await withTransport(to, values) };
  const file = path === undefined
    ? undefined
    : await openStateFile<ForwardState>(path, `forward ${from.place} ${to.place}`);
  const isPlaced = range.since !== undefined || range.last !== undefined;
  const start = file === undefined ? "latest" : "earliest";
  const stop = new AbortController();
  onStopSignal(() => stop.abort());
  try {
    await new Forwarder({
      ...servers,
      file,
      range: isPlaced ? range : { ...range, since: start },
      maxAttempts,
      signal: stop.signal,
    }).run();
  } finally {
    file?.close();
  }
}

function keyOf(side: "from" | "to") {
  return { flag: `--${side}-api-key`, variable: `EVENTS_${side.toUpperCase()}_API_KEY` };
}
