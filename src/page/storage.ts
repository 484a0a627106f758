/**
 * Keeps small things across reloads, where the browser allows it.
 *
 * @module
 */
/// <reference lib="dom" />

/** Returns what was kept under a name; `undefined` if there is nothing. */
export function load<T>(storage: "localStorage" | "sessionStorage", name: string): T | undefined {
  try {
    return JSON.parse(globalThis[storage].getItem(`events-endpoint ${name}`) ?? "null") ?? undefined;
  } catch {
    return undefined; // A browser may forbid it, and a person may have edited it.
  }
}

/** Keeps a value under a name. */
export function save(storage: "localStorage" | "sessionStorage", name: string, value: unknown): void {
  try {
    globalThis[storage].setItem(`events-endpoint ${name}`, JSON.stringify(value));
  } catch {
    // It is full or forbidden: the value lasts until the page is reloaded.
  }
}
