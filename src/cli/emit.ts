/**
 * `events-endpoint emit`: publishes events from the command line or from standard input.
 *
 * @module
 */
import process from "node:process";
import { helpText } from "./help_text.ts";
import { type Line, linesOf } from "./lines.ts";
import { payloadOf } from "./payload.ts";
import { draftOf, lossIn, lossText } from "./drafts.ts";
import { type Patience, post, type Posted, PublishError } from "./post.ts";
import { readRemote, type Remote } from "./remote.ts";
import { TRANSPORT_FLAGS, TRANSPORT_HELP, withTransport } from "./transport.ts";
import { checkSubject, parseFlags, readCount, UsageError } from "./usage.ts";

/** What `emit --help` shows. */
export const EMIT_HELP: string = helpText(
  `events-endpoint emit URL TYPE [JSON | KEY=VALUE …]: publish an event
events-endpoint emit URL [-]: publish the events on standard input, one dictionary a line

  events-endpoint emit http://localhost:8085/events tribler_started
  events-endpoint emit http://localhost:8085/events upgrader_tick 'text=half way'
  events-endpoint emit http://localhost:8085/events upgrader_tick '{"text":"half way"}'
  events-endpoint emit http://localhost:8085/events < events.ndjson
  events-endpoint tail http://shop:8085/events | events-endpoint emit http://localhost:8085/events

  JSON                    the whole payload
  KEY=VALUE               one key of the payload. VALUE is JSON if it parses as JSON (42, true, '"42"'), else a string;
                          a number with an exponent, or an integer that a double would change, stays a string
  KEY:=JSON               one key of the payload, whose value must be JSON
  --subject SUBJECT       what the event is about, if the server does not derive that from the payload
  --max-attempts N        exit after this many failed attempts in a row (never)
  --api-key KEY           the server's API key; other users of this machine see the flag, but not EVENTS_API_KEY
${TRANSPORT_HELP}
  --help                  show this and exit

Without a TYPE, emit reads standard input, unless that is a terminal. Each read, of at most 100 000 characters, is
published as one request, all or nothing. Lines that tail wrote are accepted: control events, id and time are left out.

emit retries until the server is up and has answered. Each request has an idempotency key, so that a server which
accepted it and whose answer was lost accepts nothing twice, for as long as it remembers the key. On success emit prints "N accepted". If an event is rejected, emit reports
its line and the reason on standard error, and exits with 1.`,
);

/** Publishes the events of the command line, and reports the result. */
export async function emit(args: string[]): Promise<void> {
  const { values, positionals: [address, type, ...rest] } = parseFlags(args, {
    "subject": { type: "string" },
    "max-attempts": { type: "string" },
    "api-key": { type: "string" },
    ...TRANSPORT_FLAGS,
    help: { type: "boolean", short: "h" },
  }, true);
  if (values["help"]) return console.log(EMIT_HELP);
  const remote = await withTransport(readRemote(address, values["api-key"], process.env), values);
  const maxAttempts = readCount("max-attempts", values["max-attempts"]) ?? Infinity;
  const patience: Patience = { maxAttempts, note };
  if (type === undefined && process.stdin.isTTY) {
    throw new UsageError("the TYPE of the event is missing: try --help");
  }
  const given = values["subject"] as string | undefined;
  if (type === undefined || type === "-") {
    if (given !== undefined) {
      throw new UsageError("--subject goes with a TYPE: the events on standard input have their own");
    }
    if (rest.length > 0) {
      throw new UsageError("- reads the events from standard input: leave out the payload after it");
    }
    return await emitLines(remote, linesOf(process.stdin), patience);
  }
  const payload = payloadOf(rest);
  const subject = given === undefined ? "" : `,"subject":${JSON.stringify(checkSubject(given))}`;
  const event = payload === undefined ? "" : `,"event":${payload}`;
  const text = `{"type":${JSON.stringify(type)}${subject}${event}}`;
  try {
    const { accepted } = await post(remote, [{ place: "", text }], crypto.randomUUID(), patience, true);
    console.log(`${accepted} accepted`);
  } catch (error) {
    throw error instanceof PublishError ? new Error(error.reasons.join("\nevents-endpoint: ")) : error;
  }
}

/** Publishes each portion of lines as one request, one request at a time. */
async function emitLines(
  remote: Remote,
  portions: AsyncIterable<readonly Line[]>,
  patience: Patience,
): Promise<void> {
  let accepted = 0;
  let last = 0;
  let lines: readonly Line[] = [];
  try {
    for await (lines of portions) {
      const events = eventsOf(lines);
      if (events.length > 0) {
        accepted += (await post(remote, events, crypto.randomUUID(), patience, last === 0)).accepted;
      }
      last = lines.at(-1)!.number;
      showProgress(`${accepted} accepted`);
    }
  } catch (error) {
    showProgress("");
    const reasons = error instanceof PublishError ? error.reasons : [(error as Error).message];
    const until = `${accepted} accepted${last === 0 ? "" : `, up to line ${last}`}`;
    const isUncertain = error instanceof PublishError && !error.isCertain;
    const doubt = isUncertain
      ? `; lines ${lines[0]!.number} to ${lines.at(-1)!.number} may have been too`
      : "";
    throw new Error([...reasons, until + doubt].join("\nevents-endpoint: "));
  }
  showProgress("");
  console.log(`${accepted} accepted`);
}

/** Returns the events in lines, and reports the losses that `tail` wrote among them. */
function eventsOf(lines: readonly Line[]): Posted[] {
  const events: Posted[] = [];
  for (const { number, text } of lines) {
    const { draft, control } = draftOf(text);
    const loss = control === undefined ? undefined : lossIn(control);
    if (draft !== undefined) events.push({ place: `line ${number}`, text: draft });
    if (loss !== undefined) note(`line ${number}: events_lost: ${lossText(loss.count)} before the next line`);
  }
  return events;
}

/** Shows a message in a line of its own. */
function note(text: string): void {
  showProgress("");
  console.error(`events-endpoint: ${text}`);
}

/** Replaces the progress shown on a terminal; does nothing if standard error is not one. */
function showProgress(text: string): void {
  const { TERM, CI } = process.env;
  if (process.stderr.isTTY && TERM !== "dumb" && !CI) process.stderr.write(`\r\x1b[K${text}`);
}
