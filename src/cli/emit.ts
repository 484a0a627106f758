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
import { parseFlags, UsageError } from "./usage.ts";

const HELP = `events-endpoint emit URL TYPE [JSON | KEY=VALUE …]: publish an event
events-endpoint emit URL [-]: publish the events on standard input, one dictionary a line

  emit http://localhost:8085/events tribler_started
  emit http://localhost:8085/events torrent_finished name=Sintel infohash=08ada5a7a6183aae1e09d831df6748d566095a10
  emit http://localhost:8085/events torrent_finished '{"name":"Sintel","infohash":"08ad…"}'
  emit http://localhost:8085/events < events.ndjson

  KEY=VALUE               a value is JSON where it can be read as JSON (42, true, '"42"'), else a string;
                          numbers with an exponent or beyond what a double holds stay strings
  KEY:=JSON               a value that must be JSON
  --api-key KEY           the key that the server wants (EVENTS_API_KEY, which other users of the machine do not see)
  --help                  show this and exit

Standard input is read where there is no TYPE and it is no terminal. What one read brings, at most 100 000
characters of it, is published together, all or nothing. The last line is "N accepted"; where an event is refused it is named, with its line, and emit exits with 1.`;

/** How long to wait for an answer. */
const PATIENCE = 30_000;
/** Maximum number of issues that are listed. */
const MAX_FAULTS = 20;

/** Events were not accepted. */
class Refusal extends Error {
  /** The report, line by line. */
  readonly reasons: readonly string[];
  /** Whether the server said no. Where it said nothing, the events may have been published. */
  readonly isCertain: boolean;

  constructor(reasons: readonly string[], isCertain: boolean, cause?: unknown) {
    super(reasons[0], { cause });
    this.reasons = reasons;
    this.isCertain = isCertain;
  }
}

/** Publishes the events of the command line, and reports the result. */
export async function emit(args: string[]): Promise<void> {
  const options = { "api-key": { type: "string" }, help: { type: "boolean", short: "h" } } as const;
  const { values, positionals: [address, type, ...rest] } = parseFlags(args, options, true);
  if (values["help"]) return console.log(HELP);
  const remote = readRemote(address, values["api-key"], process.env);
  if (type === undefined && process.stdin.isTTY) {
    throw new UsageError("the TYPE of the event is missing: try --help");
  }
  if (type === undefined || type === "-") {
    if (rest.length > 0) {
      throw new UsageError("the events come from standard input: no payload can stand beside -");
    }
    return await emitLines(remote, linesOf(process.stdin));
  }
  const payload = payloadOf(rest);
  const text = `{"type":${JSON.stringify(type)}${payload === undefined ? "" : `,"event":${payload}`}}`;
  try {
    console.log(`${await send(remote, [{ number: 0, text }], true)} accepted`);
  } catch (error) {
    throw error instanceof Refusal ? new Error(error.reasons.join("\nevents-endpoint: ")) : error;
  }
}

/** Publishes line after line, one request at a time. */
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
    const reasons = error instanceof Refusal ? error.reasons : [(error as Error).message];
    const until = `${accepted} accepted${last === 0 ? "" : `, up to line ${last}`}`;
    const isUncertain = error instanceof Refusal && !error.isCertain;
    const doubt = isUncertain
      ? `; lines ${lines[0]!.number} to ${lines.at(-1)!.number} may have been too`
      : "";
    throw new Error([...reasons, until + doubt].join("\nevents-endpoint: "));
  }
  showProgress("");
  console.log(`${accepted} accepted`);
}

/** Shows how far it has come, in place of what it showed before; to a terminal only. */
function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

/**
 * Publishes lines, all or nothing.
 *
 * @param isFirst whether nothing was sent before
 * @returns how many the server has accepted
 * @throws {Refusal}
 */
async function send(
  { url, place, apiKey }: Remote,
  lines: readonly Line[],
  isFirst: boolean,
): Promise<number> {
  const headers = new Headers({
    "Content-Type": "application/x-ndjson",
    "Accept": "application/json",
    // Deno sends a request again where the connection, used before, is cut over it: it shall count once.
    "Idempotency-Key": crypto.randomUUID(),
  });
  if (apiKey !== undefined) headers.set("X-Api-Key", apiKey);
  const body = lines.map(({ text }) => `${text}\n`).join("");
  let response: Response;
  let text: string;
  try {
    const signal = AbortSignal.timeout(PATIENCE);
    // A redirect is not followed: the key is for this server.
    response = await fetch(url, { method: "POST", headers, body, redirect: "manual", signal });
    text = await response.text();
  } catch (error) {
    const reason = reasonOf(error);
    // A refused connection says that nothing was sent, but for a request that was sent again.
    const isCertain = isFirst && reason === "connection refused";
    throw new Refusal([`cannot reach ${place}: ${reason}`], isCertain, error);
  }
  const answer = parse(text);
  if (response.ok && typeof answer?.accepted === "number") return answer.accepted;
  if (response.ok) {
    throw new Refusal([`${place} answers ${response.status}, but not with what it has accepted`], false);
  }
  throw new Refusal(
    reasonsOf(answer, lines) ?? [`${place} answers ${response.status}`],
    response.status < 500,
  );
}

/** What a server answers, as far as it is looked at. */
interface Answer {
  readonly accepted?: unknown;
  readonly error?: {
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

/** What the server has to say about the lines, in the form of its errors; `undefined` where it says nothing. */
function reasonsOf(answer: Answer | undefined, lines: readonly Line[]): readonly string[] | undefined {
  const { code, message, details } = answer?.error ?? {};
  if (typeof message !== "string") return undefined;
  if (!Array.isArray(details) || details.length === 0) {
    return [printable(`${code}: ${message}`).slice(0, 1000)];
  }
  const reasons = details.slice(0, MAX_FAULTS).map(({ index, path, message }) => {
    const line = lines[Number(index)];
    const place = line === undefined || line.number === 0 ? "" : `line ${line.number}`;
    return [place, typeOf(line?.text), path, message].filter(Boolean).map((part) => printable(String(part)))
      .join(": ");
  });
  const more = details.length - reasons.length;
  return more > 0 ? [...reasons, `and ${more} more faults`] : reasons;
}

/** The type that a line says it is of. */
function typeOf(text: string | undefined): string | undefined {
  const { type } = (parse(text ?? "") ?? {}) as { type?: unknown };
  return typeof type === "string" ? type.slice(0, 128) : undefined;
}
