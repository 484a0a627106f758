/**
 * `events-endpoint emit`: publishes events from the command line or from standard input.
 *
 * @module
 */
import process from "node:process";
import { type Line, linesOf } from "./lines.ts";
import { payloadOf } from "./payload.ts";
import { printable } from "../text/printable.ts";
import { readRemote, reasonOf, type Remote } from "./remote.ts";
import { checkSubject, parseFlags, UsageError } from "./usage.ts";

const HELP = `events-endpoint emit URL TYPE [JSON | KEY=VALUE …]: publish an event
events-endpoint emit URL [-]: publish the events on standard input, one dictionary a line

  events-endpoint emit http://localhost:8085/events tribler_started
  events-endpoint emit http://localhost:8085/events upgrader_tick 'text=half way'
  events-endpoint emit http://localhost:8085/events upgrader_tick '{"text":"half way"}'
  events-endpoint emit http://localhost:8085/events < events.ndjson

  JSON                    the whole payload
  KEY=VALUE               one key of the payload. VALUE is JSON if it parses as JSON (42, true, '"42"'), else a string;
                          a number with an exponent, or an integer that a double would change, stays a string
  KEY:=JSON               one key of the payload, whose value must be JSON
  --subject SUBJECT       what the event is about, if the server does not derive that from the payload
  --api-key KEY           the server's API key; other users of this machine see the flag, but not EVENTS_API_KEY
  --help                  show this and exit

Without a TYPE, emit reads standard input, unless that is a terminal. Each read, of at most 100 000 characters, is
published as one request, all or nothing. On success emit prints "N accepted". If an event is rejected, emit reports
its line and the reason on standard error, and exits with 1.`;

/** Number of milliseconds to wait for the response to a request. */
const RESPONSE_TIMEOUT_MS = 30_000;
/** Maximum number of issues that are printed. */
const MAX_ISSUES = 20;

/** Reports that a request was not accepted. */
class PublishError extends Error {
  /** The reasons, one line each. */
  readonly reasons: readonly string[];
  /** Whether nothing was published for certain. Without a response from the server, the events may have been. */
  readonly isCertain: boolean;

  constructor(reasons: readonly string[], isCertain: boolean, cause?: unknown) {
    super(reasons[0], { cause });
    this.reasons = reasons;
    this.isCertain = isCertain;
  }
}

/** Publishes the events of the command line, and reports the result. */
export async function emit(args: string[]): Promise<void> {
  const options = {
    "subject": { type: "string" },
    "api-key": { type: "string" },
    help: { type: "boolean", short: "h" },
  } as const;
  const { values, positionals: [address, type, ...rest] } = parseFlags(args, options, true);
  if (values["help"]) return console.log(HELP);
  const remote = readRemote(address, values["api-key"], process.env);
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
    return await emitLines(remote, linesOf(process.stdin));
  }
  const payload = payloadOf(rest);
  const subject = given === undefined ? "" : `,"subject":${JSON.stringify(checkSubject(given))}`;
  const event = payload === undefined ? "" : `,"event":${payload}`;
  const text = `{"type":${JSON.stringify(type)}${subject}${event}}`;
  try {
    console.log(`${await send(remote, [{ number: 0, text }], true)} accepted`);
  } catch (error) {
    throw error instanceof PublishError ? new Error(error.reasons.join("\nevents-endpoint: ")) : error;
  }
}

/** Publishes each portion of lines as one request, one request at a time. */
async function emitLines(remote: Remote, portions: AsyncIterable<readonly Line[]>): Promise<void> {
  let accepted = 0;
  let last = 0;
  let lines: readonly Line[] = [];
  try {
    for await (lines of portions) {
      accepted += await send(remote, lines, last === 0);
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

/** Replaces the progress shown on a terminal; does nothing if standard error is not one. */
function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

/**
 * Publishes lines as one request, all or nothing.
 *
 * @param isFirst whether this is the first request
 * @returns the number of events that the server accepted
 * @throws {PublishError}
 */
async function send(
  { url, place, apiKey }: Remote,
  lines: readonly Line[],
  isFirst: boolean,
): Promise<number> {
  const headers = new Headers({
    "Content-Type": "application/x-ndjson",
    "Accept": "application/json",
    // Deno repeats a request if a reused connection breaks. The key makes the server publish it once.
    "Idempotency-Key": crypto.randomUUID(),
  });
  if (apiKey !== undefined) headers.set("X-Api-Key", apiKey);
  const body = lines.map(({ text }) => `${text}\n`).join("");
  let response: Response;
  let text: string;
  try {
    const signal = AbortSignal.timeout(RESPONSE_TIMEOUT_MS);
    // Does not follow a redirect: the API key is for this server alone.
    response = await fetch(url, { method: "POST", headers, body, redirect: "manual", signal });
    text = await response.text();
  } catch (error) {
    const reason = reasonOf(error);
    // A refused connection means that nothing was sent. On a later request it may follow a repeat of Deno's.
    const isCertain = isFirst && reason === "connection refused";
    throw new PublishError([`cannot reach ${place}: ${reason}`], isCertain, error);
  }
  const answer = parse(text);
  if (response.ok && typeof answer?.accepted === "number") return answer.accepted;
  if (response.ok) {
    throw new PublishError([
      `${place} answers ${response.status} without the number of accepted events: is it an events endpoint?`,
    ], false);
  }
  throw new PublishError(
    reasonsOf(answer, lines) ?? [`${place} answers ${response.status}`],
    response.status < 500,
  );
}

/** The parts of a response that are read here. */
interface Answer {
  readonly accepted?: unknown;
  readonly error?: string | {
    readonly code?: unknown;
    readonly message?: unknown;
    readonly details?: readonly {
      readonly index?: unknown;
      readonly path?: unknown;
      readonly message?: unknown;
    }[];
  };
}

function parse(text: string): Answer | undefined {
  try {
    return JSON.parse(text) as Answer | undefined;
  } catch {
    return undefined;
  }
}

/** Formats the errors in a response, each with its line and type; `undefined` if the response has none. */
function reasonsOf(answer: Answer | undefined, lines: readonly Line[]): readonly string[] | undefined {
  const error = answer?.error ?? {};
  // Some releases of Tribler send no code, and Tribler 8 sends the message alone.
  const { code, message, details } = typeof error === "object" ? error : { message: error };
  if (typeof message !== "string") return undefined;
  if (!Array.isArray(details) || details.length === 0) {
    return [printable(typeof code === "string" ? `${code}: ${message}` : message).slice(0, 1000)];
  }
  const reasons = details.slice(0, MAX_ISSUES).map(({ index, path, message }) => {
    const line = lines[Number(index)];
    const place = line === undefined || line.number === 0 ? "" : `line ${line.number}`;
    return [place, typeOf(line?.text), path, message].filter(Boolean).map((part) => printable(String(part)))
      .join(": ");
  });
  const more = details.length - reasons.length;
  return more > 0 ? [...reasons, `and ${more} more`] : reasons;
}

/** Returns the type in a line, cut to 128 characters; `undefined` if it has none. */
function typeOf(text: string | undefined): string | undefined {
  const { type } = (parse(text ?? "") ?? {}) as { type?: unknown };
  return typeof type === "string" ? type.slice(0, 128) : undefined;
}
