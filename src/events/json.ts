/**
 * The JSON text of a payload: nothing silently dropped or changed, and safe for every line reader.
 *
 * @module
 */

/** A place in a value, and why it cannot be JSON. */
export interface NotJson {
  /** The dotted path from the value; empty for the value itself. */
  readonly path: string;
  /** Why the value there cannot be JSON. */
  readonly message: string;
}

/**
 * The JSON text of a value, or what in it cannot be JSON.
 *
 * Refused are cycles, BigInt, NaN and infinities, and, where JSON would put `null` in their place, functions,
 * symbols and `undefined`. As in `JSON.stringify`, `toJSON()` is honoured and a key with the value `undefined`
 * is left out. U+2028, U+2029 and U+0085, which common line readers take for line ends, are escaped; lone
 * surrogates become U+FFFD. If that gives two keys of one object the same name, they are refused: a parser would drop one.
 */
export function toJson(value: unknown): { readonly text: string } | { readonly fault: NotJson } {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    return { fault: findNotJson(value) ?? { path: "", message: jsonErrorText(error) } };
  }
  if (text === undefined) return { fault: { path: "", message: `${nameOf(value)} has no JSON form` } };
  // Whatever JSON cannot express comes out as null, so only a text with a null in it needs the slow look.
  let fault = text.includes("null") ? findNotJson(value) : undefined;
  if (fault === undefined && text.includes("\\ud")) fault = findMergedKeys(text);
  return fault === undefined ? { text: lineSafe(text) } : { fault };
}

/** Stands for a value that {@linkcode copyPlain} does not copy. */
export const NOT_PLAIN: unique symbol = Symbol("not plain");

/** Maximum number of objects and arrays that {@linkcode copyPlain} copies, and of their levels: circles have no end. */
const MAX_COPIED = 10_000;
const MAX_COPIED_LEVELS = 64;

/**
 * Copies a value that consists of plain objects, arrays, strings, finite numbers, booleans and `null`. The copy is what
 * `JSON.parse(JSON.stringify(value))` returns, at a quarter of its cost. Each property is read once: it may be a getter.
 *
 * @returns `NOT_PLAIN` for any other value, and for a large one
 */
export function copyPlain(value: unknown): unknown {
  left = MAX_COPIED;
  return copy(value, MAX_COPIED_LEVELS);
}

/** Number of values that the current copy may still have. */
let left = 0;

function copy(value: unknown, levels: number): unknown {
  if (typeof value === "string" || typeof value === "boolean" || value === null) return value;
  if (typeof value === "number") return Number.isFinite(value) ? value + 0 : NOT_PLAIN; // -0 is written as 0.
  if (typeof value !== "object" || levels === 0 || left-- <= 0 || "toJSON" in value) return NOT_PLAIN;
  return Array.isArray(value) ? copyItems(value, levels - 1) : copyMembers(value, levels - 1);
}

function copyItems(array: readonly unknown[], levels: number): unknown {
  const items: unknown[] = [];
  for (let i = 0; i < array.length; i++) {
    const item = copy(array[i], levels);
    if (item === NOT_PLAIN) return NOT_PLAIN;
    items.push(item);
  }
  return items;
}

function copyMembers(object: object, levels: number): unknown {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (prototype !== Object.prototype && prototype !== null) return NOT_PLAIN;
  const members: Record<string, unknown> = {};
  for (const key of Object.keys(object)) {
    const value = (object as Record<string, unknown>)[key];
    if (value === undefined) continue;
    const member = copy(value, levels);
    if (member === NOT_PLAIN || key === "__proto__") return NOT_PLAIN;
    members[key] = member;
  }
  return members;
}

/**
 * Whether a text of JSON without escapes is the one that `JSON.stringify` writes for its value, but for the order of keys:
 * it has no white space and no key twice, and each number is written as there.
 *
 * It is if it has the length of that, because nothing can be written shorter, and numbers only with an exponent.
 *
 * @param length number of characters of the text
 * @param value what `JSON.parse` returns for it
 * @param maxDepth maximum number of levels of objects and arrays
 * @param hasExponent returns whether the text may have numbers with exponents
 * @returns `false` also if it has more levels, or a number that is not exact
 */
export function isCanonical(
  length: number,
  value: unknown,
  maxDepth: number,
  hasExponent: () => boolean,
): boolean {
  const shortest = canonicalLength(value, maxDepth, true);
  if (!Number.isNaN(shortest)) return shortest === length;
  return !hasExponent() && canonicalLength(value, maxDepth, false) === length;
}

/** Returns the length of that JSON; `NaN` if a number has a shorter form, and anything beyond the limits. */
function canonicalLength(value: unknown, maxDepth: number, hasExponent: boolean): number {
  if (typeof value === "string") return value.length + 2;
  if (typeof value === "number") return canonicalNumberLength(value, hasExponent);
  if (typeof value !== "object" || value === null) return String(value).length;
  if (maxDepth === 0) return NaN;
  let length = 1; // The brackets, and a comma for each value but the last.
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) length += canonicalLength(value[i], maxDepth - 1, hasExponent) + 1;
  } else {
    for (const key in value) {
      const member = (value as Record<string, unknown>)[key];
      length += key.length + 4 + canonicalLength(member, maxDepth - 1, hasExponent);
    }
  }
  return length === 1 ? 2 : length;
}

/** `1000` is also `1e3`, and `0.001` is `1e-3`. */
function canonicalNumberLength(value: number, hasExponent: boolean): number {
  const isExact = Number.isInteger(value) ? Number.isSafeInteger(value) : Number.isFinite(value);
  const isShortest = Number.isInteger(value) ? value % 1000 !== 0 || value === 0 : Math.abs(value) >= 0.01;
  return isExact && (isShortest || !hasExponent) ? String(value).length : NaN;
}

/** The first key in a text of JSON that becomes the same as an earlier one when lone surrogates are replaced. */
function findMergedKeys(text: string): NotJson | undefined {
  function visit(value: unknown, path: string): NotJson | undefined {
    if (typeof value !== "object" || value === null) return undefined;
    const names = new Set<string>();
    for (const [key, child] of Object.entries(value)) {
      const name = key.replaceAll(SURROGATE, "\ufffd");
      const place = path === "" ? name : `${path}.${name}`;
      if (names.has(name)) {
        return {
          path: place,
          message: "is the name of two keys once lone surrogates are replaced by U+FFFD",
        };
      }
      names.add(name);
      const fault = visit(child, place);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  try {
    return visit(JSON.parse(text), "");
  } catch (error) {
    return { path: "", message: jsonErrorText(error) };
  }
}

const NON_ASCII = /[\u0080-\uffff]/;
const LINE_END = /[\u0085\u2028\u2029]/;
const LINE_ENDS = new RegExp(LINE_END, "g");
/** A surrogate that is no half of a pair: with the flag `u` a pair is one character. */
const SURROGATE = /\p{Surrogate}/gu;
const LONE_SURROGATE = /\\(?:\\|ud[89a-f][0-9a-f]{2})/g;

/** Whether a text has no character but those of ASCII. */
export function isAscii(text: string): boolean {
  return !NON_ASCII.test(text);
}

/** Whether a text of JSON has characters that common line readers take for line ends. */
export function hasLineEnds(text: string): boolean {
  return LINE_END.test(text);
}

/** Escapes the line ends in a text of JSON, and replaces its lone surrogates. */
export function lineSafe(text: string): string {
  if (!isAscii(text)) {
    text = text.replace(LINE_ENDS, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
  }
  // JSON.stringify writes a surrogate as an escape only where it is alone (ECMA-262 25.5.2.3). Escaped
  // backslashes are matched too, so that a text which merely says "\ud800" stays what it is.
  if (text.includes("\\ud")) {
    text = text.replace(LONE_SURROGATE, (escape) => (escape === "\\\\" ? escape : "\ufffd"));
  }
  return text;
}

/** The number of bytes of a text in UTF-8, for a text without lone surrogates. */
export function utf8Length(text: string): number {
  if (isAscii(text)) return text.length;
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    // A surrogate pair is four bytes: two for each half.
    bytes += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2;
  }
  return bytes;
}

/** The first place in the value, in the order of its keys, that cannot be JSON. */
function findNotJson(value: unknown): NotJson | undefined {
  const above = new Set<object>();

  function visit(value: unknown, path: string, key: string, inArray: boolean): NotJson | undefined {
    value = withToJson(value, key);
    switch (typeof value) {
      case "bigint":
        return { path, message: `${value}n is a BigInt, which has no JSON form: send it as a string` };
      case "number":
        if (!Number.isFinite(value)) return { path, message: `${value} has no JSON form` };
        return undefined;
      case "undefined":
      case "function":
      case "symbol":
        return inArray ? { path, message: `${nameOf(value)} has no JSON form` } : undefined;
      case "object":
        break;
      default:
        return undefined;
    }
    if (value === null) return undefined;
    if (above.has(value)) return { path, message: "the object contains itself" };
    above.add(value);
    for (const [name, child] of Object.entries(value)) {
      const fault = visit(child, path === "" ? name : `${path}.${name}`, name, Array.isArray(value));
      if (fault !== undefined) return fault;
    }
    above.delete(value);
    return undefined;
  }

  try {
    return visit(value, "", "", true);
  } catch (error) {
    return { path: "", message: jsonErrorText(error) };
  }
}

function withToJson(value: unknown, key: string): unknown {
  if ((typeof value !== "object" && typeof value !== "bigint") || value === null) return value;
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === "function") return toJSON.call(value, key);
  return typeof value === "object" ? unwrapped(value) : value;
}

/** `new Number(1)` and its like are written as the primitive they hold (ECMA-262 25.5.2.2, step 4). */
function unwrapped(value: object): unknown {
  const isWrapper = value instanceof Number || value instanceof String || value instanceof Boolean;
  return isWrapper ? value.valueOf() : value;
}

function nameOf(value: unknown): string {
  return value === undefined ? "undefined" : `a ${typeof value}`;
}

/** Describes an error of `JSON.parse`, `JSON.stringify` or a getter: engines recurse, and throw a RangeError at their limit. */
export function jsonErrorText(error: unknown): string {
  if (error instanceof RangeError) return "it is nested too deeply";
  return error instanceof Error ? error.message : String(error);
}

/** Whether a value is a dictionary of JSON: an object that is no array. */
export function isDictionary(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
