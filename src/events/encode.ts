/**
 * Encoding: from the events that an application publishes to the JSON of their payloads, checked against the catalogue.
 *
 * @module
 */
import type { Catalogue } from "./catalogue.ts";
import type { Issue } from "./errors.ts";
import { toJson, utf8Length } from "./json.ts";
import { checkEvent, invalidEventError } from "./validate.ts";

/** An event to be published, not checked yet. */
export interface UncheckedDraft {
  readonly type: string;
  readonly event?: unknown;
}

/** An event that can be published. */
export interface EncodedEvent {
  readonly type: string;
  /** The JSON of its payload with its key, `"event":{…},` as it is written in the dictionary; empty without a payload. */
  readonly payload: string;
}

/** The most bytes in a dictionary beside its payload: type, id and time with their keys. */
const ENVELOPE_BYTES = 256;

/**
 * Encodes events, and checks each against the catalogue in the form in which consumers will parse it.
 *
 * @param maxBytes the most bytes of JSON in UTF-8 in the dictionary of one event
 * @throws {EventsError} `InvalidEvent` with every issue of every event
 */
export function encodeEvents(
  catalogue: Catalogue,
  drafts: readonly UncheckedDraft[],
  maxBytes: number,
): EncodedEvent[] {
  const prepared: EncodedEvent[] = [];
  const issues: Issue[] = [];
  for (const [index, draft] of drafts.entries()) {
    const checked = prepare(catalogue, draft, index, maxBytes);
    // One by one: there may be more of them than a call can have arguments.
    if ("issues" in checked) { for (const issue of checked.issues) issues.push(issue); }
    else prepared.push(checked);
  }
  if (issues.length > 0) throw invalidEventError(issues, drafts);
  return prepared;
}

/** Encodes one event, or finds its issues. Reads each property once, because it may be a getter. */
function prepare(
  catalogue: Catalogue,
  { type, event }: UncheckedDraft,
  index: number,
  maxBytes: number,
): EncodedEvent | { readonly issues: Issue[] } {
  if (event === undefined) {
    const issues = checkEvent(catalogue, type, undefined, index);
    return issues.length > 0 ? { issues } : { type, payload: "" };
  }
  const json = toJson(event);
  if ("fault" in json) {
    const { path, message } = json.fault;
    return { issues: [{ index, path: path === "" ? "event" : `event.${path}`, message }] };
  }
  // What is checked is what consumers will parse, so that a Date, a Map or a getter is the same in both places.
  const issues = checkEvent(catalogue, type, JSON.parse(json.text), index);
  const bytes = issues.length > 0 ? 0 : utf8Length(json.text);
  if (bytes > maxBytes - ENVELOPE_BYTES) {
    issues.push({
      index,
      path: "event",
      message:
        `has ${bytes} bytes: an event may have at most ${maxBytes} here, with ${ENVELOPE_BYTES} for type, id and time`,
    });
  }
  return issues.length > 0 ? { issues } : { type, payload: `"event":${json.text},` };
}
