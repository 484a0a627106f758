/**
 * Downloads of the events that are shown.
 *
 * @module
 */
/// <reference lib="dom" />
import { csvOf } from "./csv.ts";
import { byId, make } from "./dom.ts";
import type { Records } from "./records.ts";

/** Makes the buttons that download what the list shows, oldest first. */
export function createDownloads(records: Records): void {
  const shown = () =>
    Array.from({ length: records.matching.length }, (_, i) => records.matching.at(i)!)
      .filter(({ type }) => type !== "events_lost").map(({ json }) => json);
  byId("download-ndjson").onclick = () =>
    download("events.ndjson", "application/x-ndjson", shown().map((json) => `${json}\n`).join(""));
  // A spreadsheet takes a text without this mark for one in the encoding of its system.
  byId("download-csv").onclick = () => download("events.csv", "text/csv", `\ufeff${csvOf(shown())}`);
}

function download(name: string, type: string, text: string): void {
  const href = URL.createObjectURL(new Blob([text], { type }));
  make("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}
