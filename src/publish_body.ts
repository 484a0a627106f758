/**
 * The body of a `POST`: from bytes to the events it asks to publish, with every fault and its place.
 *
 * @module
 */
import { type Catalogue, checkEvent, refusal } from "./catalogue.ts";
import { EventsError, type Fault } from "./errors.ts";
import { ndjson } from "./serialize.ts";

/** An event as a body gives it, not yet checked against a catalogue. */
export interface RawDraft {
  /** Its type. */
  readonly type: unknown;
  /** Its payload, if any. */
  readonly event?: unknown;
}

/** How many levels of objects and arrays an event may have; its dictionary is the first. */
const MAX_DEPTH = 64;

/**
 * The text of a request's body.
 *
 * @param maxBytes the most it may hold; counted while it arrives, so no more is ever held
 * @throws {EventsError} `PayloadTooLarge`; `InvalidEvent` where it is not UTF-8
 */
export async function readBody(request: Request, maxBytes: number): Promise<string> {
  const tooLarge = () =>
    new EventsError("PayloadTooLarge", `the body is larger than ${maxBytes} bytes: send less at once`);
  if (Number(request.headers.get("content-length")) > maxBytes) throw tooLarge();
  if (request.body === null) return "";
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let bytes = 0;
  const reader = request.body.getReader();
  try {
    for (let read; !(read = await reader.read()).done;) {
      bytes += read.value.byteLength;
      if (bytes > maxBytes) throw tooLarge();
      text += decode(decoder, read.value);
    }
  } finally {
    reader.cancel().catch(() => {}); // Leaves nothing to arrive for nobody; after the end it does nothing.
  }
  return text + decode(decoder);
}

function decode(decoder: TextDecoder, bytes?: Uint8Array): string {
  try {
    return decoder.decode(bytes, { stream: bytes !== undefined });
  } catch (cause) {
    throw refusal([{ index: 0, path: "", message: "the body is not UTF-8" }], [], cause);
  }
}

/**
 * The events of a body, each checked for its form but not yet against a catalogue.
 *
 * @param contentType the value of `Content-Type`
 * @throws {EventsError} `UnsupportedMediaType`; `InvalidEvent` with every fault, those against the catalogue
 *   included where the body has others
 */
export function parseBody(contentType: string | undefined, text: string, catalogue: Catalogue): RawDraft[] {
  const values = isNdjson(contentType) ? parseLines(text) : parseDocument(text);
  const badIntegers = findBadIntegers(text);
  const faults = values.flatMap((value, index) => checkForm(value, index, badIntegers));
  if (values.length === 0) faults.push({ index: 0, path: "", message: "the body holds no event" });
  if (faults.length === 0) return values as RawDraft[];
  const malformed = new Set(faults.map(({ index }) => index));
  values.forEach((value, index) => {
    if (!malformed.has(index)) {
      faults.push(...checkEvent(catalogue, (value as RawDraft).type, (value as RawDraft).event, index));
    }
  });
  throw refusal(faults.sort((a, b) => a.index - b.index), values);
}

function isNdjson(contentType: string | undefined): boolean {
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

/** Stands for a line that is not JSON. */
class NotJson {
  readonly reason: string;
  constructor(reason: string) {
    this.reason = reason;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return new NotJson(error instanceof RangeError ? "it is nested too deeply" : (error as Error).message);
  }
}

function parseDocument(text: string): unknown[] {
  const value = parseJson(text);
  return Array.isArray(value) ? value : [value];
}

function parseLines(text: string): unknown[] {
  return text.split("\n").filter((line) => line.trim() !== "").map(parseJson);
}

/** The faults in the form of one dictionary. */
function checkForm(value: unknown, index: number, badIntegers: ReadonlySet<number>): Fault[] {
  if (value instanceof NotJson) return [{ index, path: "", message: `not JSON: ${value.reason}` }];
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return [{ index, path: "", message: 'must be a dictionary: {"type": …, "event": …}' }];
  }
  const faults: Fault[] = [];
  for (const key of Object.keys(value)) {
    if (key !== "type" && key !== "event") {
      faults.push({ index, path: key, message: 'a dictionary has no key but "type" and "event"' });
    }
  }
  if (!Object.hasOwn(value, "type")) faults.push({ index, path: "type", message: "is missing" });
  collectLimits(value, "", 1, index, badIntegers, faults);
  return faults;
}

function collectLimits(
  value: unknown,
  path: string,
  depth: number,
  index: number,
  badIntegers: ReadonlySet<number>,
  faults: Fault[],
): void {
  if (typeof value === "number") {
    if (!Number.isFinite(value)) {
      faults.push({ index, path, message: "is a number beyond the range of a double" });
    } else if (badIntegers.has(value)) {
      faults.push({ index, path, message: "is an integer that a double cannot hold: send it as a string" });
    }
  }
  if (typeof value !== "object" || value === null) return;
  if (depth > MAX_DEPTH) {
    faults.push({ index, path, message: `is nested more than ${MAX_DEPTH} levels deep` });
    return;
  }
  for (const [key, child] of Object.entries(value)) {
    collectLimits(child, path === "" ? key : `${path}.${key}`, depth + 1, index, badIntegers, faults);
  }
}

/**
 * The integers in a JSON text that lose digits when read (RFC 8259, section 6), as what they are read to.
 *
 * Only the text still has the digits, and only the parsed value has the path, so the two are matched by value.
 */
function findBadIntegers(text: string): ReadonlySet<number> {
  const found = new Set<number>();
  if (!/\d{16}/.test(text)) return found;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g)) {
    if (/^-?\d{16,}$/.test(token) && !Number.isSafeInteger(Number(token))) found.add(Number(token));
  }
  return found;
}
