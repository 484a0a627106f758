/**
 * The language of the filter: words, phrases, fields and their negations, all of which an event has to match.
 *
 * `sintel "big buck" name:sintel size:>1GB type:market_* -trader_id:c0fe* is:trouble`
 *
 * @module
 */
import { groupOf } from "./event_text.ts";
import { lastTimeOfDay, localTime } from "./local_time.ts";

/** What a filter looks at. */
export interface Filterable {
  readonly type: string;
  readonly subject: string | undefined;
  /** Its cursor. */
  readonly id?: string | undefined;
  /** When it was published, in milliseconds since 1970. */
  readonly time: number;
  /** The whole dictionary as JSON. */
  readonly json: string;
  /** What the list shows of it. */
  readonly summary: string;
}

/** A test of one event. */
export type Accepts = (event: Filterable) => boolean;

/** A term as it was written. */
export interface Term {
  readonly isNegated: boolean;
  /** The name of the field, or the last parts of its path; `undefined` for a word, which may stand anywhere. */
  readonly field: string | undefined;
  readonly operator: "" | ">" | ">=" | "<" | "<=";
  readonly value: string;
  /** Whether the value stands between quotation marks. */
  readonly isQuoted: boolean;
}

const TERM = /(-?)(?:([A-Za-z_$][\w.$-]*):(?!\/\/)(>=|<=|>|<)?)?(?:"((?:[^"]|"")*)"?|(\S+))(?=\s|$)|\S+/g;
/** The beginning of a hash as rows show it, with an ellipsis. */
const SHORT_HASH = /^([\da-f]{8,})…$/i;
/** A time with its zone, as events have it. */
const ZONED_TIME = /^(\d{4}-\d\d-\d\d)T[\d:.]+(?:Z|[+-]\d\d:\d\d)$/i;
const UNITS = ["", "k", "m", "g", "t", "p", "e"];
const QUANTITY = /^(-?\d+(?:\.\d+)?)(?:([kmgtpe]?)(i?)b?)?$/i;

/** Reads the terms of a filter. Between quotation marks, two of them stand for one. */
export function parseTerms(text: string): readonly Term[] {
  return Array.from(text.matchAll(TERM), ([whole, minus, field, operator, quoted, word]) => {
    const isQuoted = quoted !== undefined;
    const value = quoted?.replaceAll('""', '"') ?? word?.replace(SHORT_HASH, "$1");
    if (value === undefined) {
      return { isNegated: false, field: undefined, operator: "", value: whole, isQuoted };
    }
    return {
      isNegated: minus === "-",
      field,
      operator: (operator ?? "") as Term["operator"],
      value,
      isQuoted,
    };
  });
}

/** Reads a filter; `undefined` for one that accepts everything. */
export function parseFilter(text: string): Accepts | undefined {
  // A minus alone is the beginning of a term that is being typed.
  const tests = parseTerms(text).filter(({ field, value }) => field !== undefined || value !== "-").map(
    testOf,
  );
  if (tests.length === 0) return undefined;
  return (event) => tests.every((test) => test(event));
}

/**
 * Returns the terms of a filter that are mistakes: `size:>abc`, `time:>25:00`, `time:noon`, `is:nonsense`, `name:`, a quotation mark
 * that is not closed.
 */
export function unclearTerms(text: string): string[] {
  return Array.from(text.matchAll(TERM))
    .filter(([whole, , field, operator, quoted, word = ""]) => {
      if (quoted !== undefined && whole.split('"').length % 2 === 0) return true;
      if (field === undefined) return /^-?[A-Za-z_$][\w.$-]*:$/.test(whole);
      const value = quoted ?? word;
      if (field === "is") return !isTrouble(operator, value);
      if (field === "time") return !operator || Number.isNaN(timeOfText(value));
      if (operator === undefined) return /^[<>]=?$/.test(word);
      return Number.isNaN(parseQuantity(value) ?? Date.parse(value));
    })
    .map(([whole]) => whole);
}

/** Writes the term for a subject, which matches no other one. */
export function subjectTerm(subject: string): string {
  return `subject:"${subject.replaceAll('"', '""')}"`;
}

/** Reads a number with the unit of a size: `1GB` is a thousand million, `1GiB` 2^30; `undefined` for what is none. */
export function parseQuantity(text: string): number | undefined {
  const [, number, unit = "", binary = ""] = QUANTITY.exec(text) ?? [];
  if (number === undefined) return undefined;
  return Number(number) * (binary === "" ? 1000 : 1024) ** UNITS.indexOf(unit.toLowerCase());
}

function testOf(term: Term): Accepts {
  const accepts = term.field === undefined ? wordTest(term.value) : fieldTest(term.field, term);
  return term.isNegated ? (event) => !accepts(event) : accepts;
}

/** Makes the test of a text that may stand anywhere in an event, in upper or lower case. */
function wordTest(text: string): Accepts {
  // In JSON quotes and backslashes are escaped.
  const inJson = new RegExp(escaped(JSON.stringify(text).slice(1, -1)), "i");
  const inText = new RegExp(escaped(text), "i");
  return (event) => inJson.test(ownJson(event)) || inText.test(event.summary);
}

/** Returns the JSON without the cursor and the time behind it, which have digits that nobody looks for. */
function ownJson({ json, id }: Filterable): string {
  return id === undefined ? json : json.slice(0, json.lastIndexOf(',"id":'));
}

function fieldTest(field: string, { operator, value, isQuoted }: Term): Accepts {
  if (field === "type") return matching(value, ({ type }) => type);
  if (field === "subject") return isQuoted ? ({ subject = "" }) => subject === value : subjectTest(value);
  // These two are no fields of a payload, which `event.is:` and `event.time:` find.
  if (field === "is") return ({ type }) => isTrouble(operator, value) && groupOf(type) === "trouble";
  if (field === "time") return timeTest(operator, value);
  const path = field.replace(/^event\./, "").split(".");
  // Most events lack the key: their JSON need not be parsed.
  const hasKey = JSON.stringify(path.at(-1));
  const accepts = operator === "" ? equals(value) : comparison(operator, value);
  return ({ json }) => json.includes(hasKey) && hasValue(JSON.parse(json).event, path, accepts);
}

/** Makes the test of a type or a subject: the whole text, in which `*` stands for any text. */
function matching(pattern: string, textOf: (event: Filterable) => string | undefined): Accepts {
  const whole = globOf(pattern);
  return (event) => whole.test(textOf(event) ?? "");
}

/** Makes the test of a subject: the whole of it, or the beginning of a hash or a UUID, of which rows show eight digits. */
function subjectTest(value: string): Accepts {
  const isWhole = matching(value, ({ subject }) => subject);
  if (!/^[\da-f]{8}[\da-f-]*$/i.test(value)) return isWhole;
  const beginning = new RegExp(`^(?=[\\da-f-]{24,}$)${value}`, "i");
  return (event) => isWhole(event) || beginning.test(event.subject ?? "");
}

/** Makes the test of a value: a part of a text, or the whole of any other value. With `*` it is the whole of a text too. */
function equals(value: string): (found: unknown) => boolean {
  const text = value.includes("*") ? globOf(value) : new RegExp(escaped(value), "i");
  const number = parseQuantity(value);
  const whole = value.toLowerCase();
  return (found) => {
    if (typeof found === "string") return text.test(found);
    return typeof found === "number" ? found === number : `${found}` === whole;
  };
}

function comparison(operator: string, value: string): (found: unknown) => boolean {
  const limit = parseQuantity(value);
  const time = limit === undefined ? Date.parse(value) : NaN;
  return (found) => {
    if (limit === undefined) return typeof found === "string" && compares(Date.parse(found), operator, time);
    return typeof found === "number" && compares(found, operator, limit);
  };
}

/** Whether a term after `is:` is the only one that there is. */
function isTrouble(operator: string | undefined, value: string): boolean {
  return !operator && value.toLowerCase() === "trouble";
}

/** Makes the test of the time at which an event was published. It accepts nothing without an operator. */
function timeTest(operator: string, value: string): Accepts {
  const limit = operator === "" ? NaN : timeOfText(value);
  return ({ time }) => compares(time, operator, limit);
}

/**
 * Reads a time, in milliseconds since 1970: the last time that it was this time of day, a local time with its date, or a time with
 * its zone; `NaN` for what is none.
 */
function timeOfText(text: string): number {
  const [, day] = ZONED_TIME.exec(text) ?? [];
  // Engines take February 30 for March 2.
  if (day !== undefined) return localTime(day) === undefined ? NaN : Date.parse(text.toUpperCase());
  return lastTimeOfDay(text, Date.now()) ?? localTime(text) ?? NaN;
}

function compares(found: number, operator: string, limit: number): boolean {
  switch (operator) {
    case ">":
      return found > limit;
    case ">=":
      return found >= limit;
    case "<":
      return found < limit;
    default:
      return found <= limit;
  }
}

/** Whether a value that passes the test stands at the end of this path, however deep. A list has its items' fields. */
function hasValue(value: unknown, path: readonly string[], accepts: (found: unknown) => boolean): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(value)) return value.some((item) => hasValue(item, path, accepts));
  const [key, ...rest] = path as [string, ...string[]];
  const own = Object.hasOwn(value, key) ? (value as Readonly<Record<string, unknown>>)[key] : undefined;
  if (own !== undefined) {
    if (rest.length > 0 ? hasValue(own, rest, accepts) : isAccepted(own, accepts)) return true;
  }
  return Object.values(value).some((inner) => hasValue(inner, path, accepts));
}

function isAccepted(value: unknown, accepts: (found: unknown) => boolean): boolean {
  return Array.isArray(value) ? value.some((item) => isAccepted(item, accepts)) : accepts(value);
}

function globOf(pattern: string): RegExp {
  return new RegExp(`^${pattern.split("*").map(escaped).join("[^]*")}$`, "i");
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}
