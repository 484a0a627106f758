/**
 * The addresses of the events and of their description. The server writes them into the page.
 *
 * @module
 */
/// <reference lib="dom" />

/** Returns the address of the events. */
export function eventsUrl(): string {
  return new URL(metaOf("events") ?? "events", location.href).href;
}

/** Returns the address of the document that describes the events; empty if there is none. */
export function openApiUrl(): string {
  return metaOf("openapi") ?? "";
}

function metaOf(name: string): string | undefined {
  return document.querySelector<HTMLMetaElement>(`meta[name="${name}"]`)?.content;
}
