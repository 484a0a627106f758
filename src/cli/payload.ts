/**
 * Reads a payload from the command line.
 *
 * @module
 */
import { onOneLine } from "../text/printable.ts";
import { UsageError } from "./usage.ts";

/**
 * Returns the payload in the arguments as one line of JSON; `undefined` if there are none.
 *
 * A single argument may be any JSON. Otherwise each is `KEY=VALUE`, whose value is JSON if it parses as JSON and else a
 * string; or `KEY:=JSON`, whose value must be JSON. In `KEY=VALUE` a number that has an exponent, or that a double would
 * change, stays a string: an infohash may consist of digits alone. Everything else that was written as JSON is passed on
 * unchanged: the server checks its numbers.
 *
 * @throws {UsageError} if an argument is none of these, or a key is repeated
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
    if (keys.has(key)) throw new UsageError(`the key "${key}" is given twice: leave one out`);
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

/** Whether text and value may differ: a double cannot hold the number, or its exponent may belong to a hash. */
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
