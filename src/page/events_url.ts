/**
 * The address of the events. The server writes it into the page, because another dialect may have the usual address.
 *
 * @module
 */
/// <reference lib="dom" />

/** Returns the address of the events. */
export function eventsUrl(): string {
  const path = document.querySelector<HTMLMetaElement>('meta[name="events"]')?.content ?? "events";
  return new URL(path, location.href).href;
}
