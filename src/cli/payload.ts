/**
 * A payload as it is written on a command line.
 *
 * @module
 */
import { UsageError } from "./usage.ts";

/**
 * The payload that the arguments stand for, as JSON on one line; `undefined` where there are none. What was given as
 * JSON is passed on as it was written: whether its numbers can be held is for the server to say.
 *
 * One argument may be any JSON. Else each is `KEY=VALUE`, whose value is JSON where it can be read as JSON and a
 * string where it cannot; or `KEY:=JSON`, which must be JSON. A number that a double would change, or that has an
 * exponent, stays a string: an infohash may be made of digits alone.
 *
 * @throws {UsageError}
 */
export function payloadOf(args: readonly string[]): string | undefined {
  if (args.length === 0) return undefined;
  if (args.length === 1) {
    const { fault } = parse(args[0]!);
    if (fault === undefined) return onOneLine(args[0]!);
    if (/^\s*[[{"]/.test(args[0]!)) throw new UsageError(`the payload is not JSON: ${fault}`);
  }
  const entries = args.map(entryOf);
  const keys = new Set<string>();
  for (const [key] of entries) {
    if (keys.has(key)) throw new UsageError(`the key "${key}" stands there twice`);
    keys.add(key);
  }
  return `{${entries.map(([key, text]) => `${JSON.stringify(key)}:${text}`).join(",")}}`;
}

function entryOf(arg: string): [key: string, json: string] {
  const [, key, operator, text = ""] = /^(?!:=)([^=]+?)(:?=)(.*)$/s.exec(arg) ?? [];
  if (key === undefined) throw new UsageError(`"${arg}" is neither KEY=VALUE, KEY:=JSON nor JSON`);
  const { value, fault } = parse(text);
  if (operator === ":=") {
    if (fault !== undefined) throw new UsageError(`the value of "${key}" is not JSON: ${fault}`);
    return [key, onOneLine(text)];
  }
  const isString = fault !== undefined || isChanged(text, value);
  return [key, isString ? JSON.stringify(text) : onOneLine(text)];
}

/** JSON without line ends, which are nothing but white space in it. */
function onOneLine(json: string): string {
  return json.replaceAll(/[\r\n]/g, " ");
}

function isChanged(text: string, value: unknown): boolean {
  return typeof value === "number" && (/e/i.test(text) || Math.abs(value) > Number.MAX_SAFE_INTEGER);
}

function parse(text: string): { value?: unknown; fault?: string } {
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    return { fault: (error as Error).message };
  }
}
