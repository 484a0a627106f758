/**
 * The body of a `POST`: from its text to the events to publish, with every issue and its place.
 *
 * @module
 */
import type { Catalogue } from "../events/catalogue.ts";
import {
  checkEvent,
  checkGivenSubject,
  checkSubject,
  invalidEventError,
  withoutNull,
} from "../events/validate.ts";
import { EventsError, type Issue } from "../events/errors.ts";
import { WrittenDraft } from "../events/encode.ts";
import { isDictionary, jsonErrorText } from "../events/json.ts";
import { findUnsafeIntegers } from "../events/json_text.ts";
import { ndjson } from "../stream/wire_format.ts";

/** An event in a body, not yet checked against a catalogue. */
export interface RawDraft {
  /** Its type. */
  readonly type: unknown;
  /** What it is about, if it says so. */
  readonly subject?: unknown;
  /** Its payload, if any. */
  readonly event?: unknown;
}

/** Maximum number of broken lines; the lines after them are not read. */
const MAX_BROKEN_LINES = 1000;
/** Maximum number of characters of paths to unsafe integers that are reported. */
const MAX_PATHS = 1_000_000;

/** The limits of a body. */
export interface BodyLimits {
  /** Maximum number of events. */
  readonly maxBatch: number;
  /** Maximum number of levels of objects and arrays in an event, its dictionary included. */
  readonly maxDepth: number;
}

/**
 * Reads the events of a body, and checks their form but not yet their payloads.
 *
 * @param isLines whether it has one event a line, as {@linkcode isNdjson} decides, or is a single JSON text
 * @throws {EventsError} `PayloadTooLarge` for too many events; `InvalidEvent` with every issue, and if there is any,
 *   also with those against the catalogue
 */
export function parseBody(
  isLines: boolean,
  text: string,
  catalogue: Catalogue,
  limits: BodyLimits,
): RawDraft[] {
  const parts = isLines ? parseLines(text, limits) : parseDocument(text, limits);
  const drafts: RawDraft[] = [];
  const issues: Issue[] = [];
  for (let index = 0; index < parts.length; index++) {
    const { draft, value, issues: found } = parts[index]!;
    const dictionary = draft ?? (isDictionary(value) ? withoutNull(catalogue, value) : value);
    drafts.push(dictionary as RawDraft);
    // One by one: there may be more of them than a call can have arguments.
    if (draft === undefined) { for (const issue of checkForm(dictionary, found, index)) issues.push(issue); }
  }
  if (parts.length === 0) issues.push({ index: 0, path: "", message: "the body holds no event" });
  if (issues.length === 0) return withoutBody(drafts, parts, text);
  const unfit = drafts.flatMap((draft, index) =>
    isDictionary(draft) ? issuesOf(catalogue, draft, index) : []
  );
  throw invalidEventError(issues.concat(unfit).sort((a, b) => a.index - b.index), drafts);
}

/** Returns the issues of an event against the catalogue. */
function issuesOf(catalogue: Catalogue, { type, subject, event }: RawDraft, index: number): Issue[] {
  const issues = checkEvent(catalogue, type, event, index);
  if (issues.length > 0) return issues.concat(checkGivenSubject(subject, index));
  const checked = checkSubject(catalogue, type as string, subject, event);
  return "message" in checked ? [{ index, path: "subject", message: checked.message }] : [];
}

/** The characters beside its payload that an event may have in a body. */
const ENVELOPE_LENGTH = 512;

/**
 * Returns the events such that they do not hold on to a body that is mostly something else, such as white space: engines
 * keep a part of a text as a reference to the whole.
 */
function withoutBody(drafts: RawDraft[], parts: readonly Part[], text: string): RawDraft[] {
  let kept = 0;
  for (const { draft } of parts) {
    if (draft !== undefined) kept += WrittenDraft.payloadOf(draft)!.text.length + ENVELOPE_LENGTH;
  }
  if (kept === 0 || text.length <= 2 * kept) return drafts;
  return drafts.map(({ type, subject, event }) => ({ type, subject, event }));
}

/**
 * Rejects a compressed body: the result of decompressing it could have any size.
 *
 * @param coding the value of `Content-Encoding` (RFC 9110, section 8.4)
 * @throws {EventsError} `UnsupportedMediaType`
 */
export function checkCoding(coding: string | undefined): void {
  if (!coding || coding.toLowerCase() === "identity") return;
  throw new EventsError(
    "UnsupportedMediaType",
    `cannot unpack ${JSON.stringify(coding)}: send the body as it is`,
  );
}

/**
 * Returns whether a body is NDJSON; otherwise it is JSON.
 *
 * @param contentType the value of `Content-Type`
 * @throws {EventsError} `UnsupportedMediaType` if it is neither, or not in UTF-8
 */
export function isNdjson(contentType: string | undefined): boolean {
  if (contentType === "application/json") return false; // As most requests have it.
  const [type = "", ...parameters] = (contentType ?? "").toLowerCase().split(";").map((part) => part.trim());
  const charset = parameters.find((parameter) => parameter.startsWith("charset="));
  const isUtf8 = charset === undefined || /^charset="?utf-?8"?$/.test(charset);
  if (isUtf8 && ndjson.mediaTypes.includes(type)) return true;
  if (isUtf8 && type === "application/json") return false;
  throw new EventsError(
    "UnsupportedMediaType",
    `cannot read ${JSON.stringify(contentType ?? "")}: send application/json or ${
      ndjson.mediaTypes[0]
    }, in UTF-8`,
  );
}

/** A parsed part of a body, which should be a dictionary. */
interface Part {
  /** The event, if it is written as it is stored. Then nothing is wrong with its text or its form. */
  readonly draft?: WrittenDraft;
  /** The value; `undefined` if it is not JSON, or too deeply nested to be examined. */
  readonly value?: unknown;
  /** What is wrong with its text. */
  readonly issues: readonly Omit<Issue, "index">[];
}

const NO_ISSUES: readonly [] = [];

function parseLines(text: string, { maxBatch, maxDepth }: BodyLimits): Part[] {
  const parts: Part[] = [];
  let broken = 0;
  for (const line of text.split("\n")) {
    if (!line.startsWith("{") && /^[ \t\r]*$/.test(line)) continue;
    if (parts.length === maxBatch) throw tooMany(maxBatch);
    const part = parseText(line, maxDepth);
    parts.push(part);
    if (part.issues.length > 0 && ++broken === MAX_BROKEN_LINES) break;
  }
  return parts;
}

function parseDocument(text: string, { maxBatch, maxDepth }: BodyLimits): Part[] {
  const whole = parseText(text, maxDepth);
  if (!Array.isArray(whole.value)) return [whole];
  if (whole.value.length > maxBatch) throw tooMany(maxBatch);
  const parts: { value: unknown; issues: Omit<Issue, "index">[] }[] = whole.value.map((value) =>
    bounded(value, maxDepth)
  );
  // Further down the nesting itself is the issue. The array of events is a level of its own.
  for (const { path: [index, ...path] } of findUnsafeIntegers(text, maxDepth + 1, MAX_PATHS)) {
    parts[Number(index)]!.issues.push(unsafeInteger(path));
  }
  return parts;
}

function tooMany(maxBatch: number): EventsError {
  return new EventsError(
    "PayloadTooLarge",
    `the body holds more than ${maxBatch} events: send fewer at once`,
  );
}

/** Parses a text as one value. The parts of an array are left to be checked one by one. */
function parseText(text: string, maxDepth: number): Part {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { issues: [{ path: "", message: `not JSON: ${jsonErrorText(error)}` }] };
  }
  if (Array.isArray(value)) return { value, issues: [] };
  const draft = WrittenDraft.read(text, value, maxDepth);
  if (draft !== undefined) return { draft, issues: NO_ISSUES };
  const part = bounded(value, maxDepth);
  const unsafe = findUnsafeIntegers(text, maxDepth, MAX_PATHS).map(({ path }) => unsafeInteger(path));
  return { ...part, issues: [...part.issues, ...unsafe] };
}

/** Returns the value, and its issues with the limits. */
function bounded(value: unknown, maxDepth: number): { value: unknown; issues: Omit<Issue, "index">[] } {
  const issues: Omit<Issue, "index">[] = [];
  let tooDeep = false;

  function visit(value: unknown, path: string, depth: number): void {
    if (typeof value === "number" && !Number.isFinite(value)) {
      issues.push({ path, message: "is a number beyond the range of a double" });
    }
    if (typeof value !== "object" || value === null) return;
    if (depth > maxDepth) {
      tooDeep = true;
      issues.push({ path, message: `is nested more than ${maxDepth} levels deep` });
      return;
    }
    for (const [key, child] of Object.entries(value)) {
      visit(child, path === "" ? key : `${path}.${key}`, depth + 1);
    }
  }

  visit(value, "", 1);
  return { value: tooDeep ? undefined : value, issues };
}

/** Returns the issues of a part: those in its text, and those in its form as a dictionary. */
function checkForm(value: unknown, issues: Part["issues"], index: number): Issue[] {
  if (value !== undefined && !isDictionary(value)) {
    return [{ index, path: "", message: 'must be a dictionary: {"type": …, "event": …}' }];
  }
  const found = issues.map((fault) => ({ index, ...fault }));
  for (const key of Object.keys(value ?? {})) {
    if (key === "type" || key === "subject" || key === "event") continue;
    found.push({ index, path: key, message: 'a dictionary has no key but "type", "subject" and "event"' });
  }
  return found;
}

function unsafeInteger(path: readonly string[]): Omit<Issue, "index"> {
  return { path: path.join("."), message: "is an integer that a double cannot hold: send it as a string" };
}
