/**
 * Helpers for the tables of malformed input. Each entry of a table has broken some server, or is what a standard invites. In the heads of requests each character is one byte (Latin-1).
 *
 * @module
 */
import { type Attack, post } from "../attacked.ts";

export const KIB = 1024;
export const MIB: number = KIB * KIB;
export const JSON_TYPE = "application/json";
export const NDJSON = "application/x-ndjson";
export const GOOD: { readonly type: string; readonly event: unknown } = {
  type: "upgrader_tick",
  event: { text: "attacked" },
};
export const GOOD_BODY: string = JSON.stringify(GOOD);
/** Becomes a header, or an event, if it is copied without escapes. */
export const INJECTION = "\r\nX-Injected: 1\r\ndata: injected\r\n\r\n";
/** The same in a URL. */
export const ENCODED_INJECTION: string = encodeURIComponent(INJECTION);
/** A request that must not be read as one: it would publish an event that no account has. */
export const SMUGGLED: string = Buffer.from(post(GOOD_BODY, JSON_TYPE)).toString("latin1");

/** Makes attacks of the entries of a table, each named after its text. */
export function table(
  group: string,
  values: readonly string[],
  make: (value: string) => Omit<Attack, "name">,
): Attack[] {
  return values.map((value) => ({ name: `${group}: ${shown(value)}`, ...make(value) }));
}

export function shown(value: string): string {
  const text = JSON.stringify(value);
  return text.length <= 100 ? text : `${text.slice(0, 70)}… (${value.length})`;
}

export function times(count: number, make: (n: number) => string): string {
  return Array.from({ length: count }, (_, n) => make(n)).join("");
}

/** The control characters. */
export const CONTROLS: readonly string[] = Array.from({ length: 32 }, (_, code) => String.fromCharCode(code))
  .concat("\x7f");
