/**
 * Drafts: events that are to be published, checked before anybody keeps them.
 *
 * @module
 */
import { type Catalogue, checkEvent, invalidEventError } from "./catalogue.ts";
import type { Issue } from "./errors.ts";
import { toJson, utf8Length } from "./json.ts";

/** A draft whose type nobody has checked yet. */
export interface UncheckedDraft {
  readonly type: string;
  readonly event?: unknown;
}

/** A draft that can be published. */
export interface EncodedEvent {
  readonly type: string;
  /** The text of its payload with its key, `"event":{…},` as it stands in the dictionary; empty without one. */
  readonly payload: string;
}

/** What stands around a payload in its dictionary is never longer: type, id and time with their keys. */
const ENVELOPE_BYTES = 256;

/**
 * Checks drafts against the catalogue, each as it will be parsed again.
 *
 * @param maxBytes the most bytes of JSON in UTF-8 that the dictionary of one may have
 * @throws {EventsError} `InvalidEvent` with every fault of every draft
 */
export function encodeEvents(
  catalogue: Catalogue,
  drafts: readonly UncheckedDraft[],
  maxBytes: number,
): EncodedEvent[] {
  const prepared: EncodedEvent[] = [];
  const faults: Issue[] = [];
  for (const [index, draft] of drafts.entries()) {
    const checked = prepare(catalogue, draft, index, maxBytes);
    // One by one: there may be more of them than a call takes arguments.
    if ("faults" in checked) { for (const fault of checked.faults) faults.push(fault); }
    else prepared.push(checked);
  }
  if (faults.length > 0) throw invalidEventError(faults, drafts);
  return prepared;
}

/** One draft, or its faults. Looks at the draft once: it may have getters. */
function prepare(
  catalogue: Catalogue,
  { type, event }: UncheckedDraft,
  index: number,
  maxBytes: number,
): EncodedEvent | { readonly faults: Issue[] } {
  if (event === undefined) {
    const faults = checkEvent(catalogue, type, undefined, index);
    return faults.length > 0 ? { faults } : { type, payload: "" };
  }
  const json = toJson(event);
  if ("fault" in json) {
    const { path, message } = json.fault;
    return { faults: [{ index, path: path === "" ? "event" : `event.${path}`, message }] };
  }
  // What is checked is what the consumers will parse, so nothing (a Date, a Map, a getter) can be one thing here
  // and another there.
  const faults = checkEvent(catalogue, type, JSON.parse(json.text), index);
  const bytes = faults.length > 0 ? 0 : utf8Length(json.text);
  if (bytes > maxBytes - ENVELOPE_BYTES) {
    faults.push({
      index,
      path: "event",
      message:
        `${bytes} bytes are too many: an event may have ${maxBytes} here, with ${ENVELOPE_BYTES} for type, id and time`,
    });
  }
  return faults.length > 0 ? { faults } : { type, payload: `"event":${json.text},` };
}
