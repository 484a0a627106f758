/**
 * The figures of the page: how many events there are, and the state of the connection.
 *
 * @module
 */
/// <reference lib="dom" />
import type { Status } from "../client/mod.ts";
import type { Announcer } from "./announcer.ts";
import { byId, setText } from "./dom.ts";
import type { Records } from "./records.ts";
import { statusText } from "./status_text.ts";

/** Shows how many events arrived, are kept, and are shown; and on the pause button how many are held back. */
export function showAmounts(records: Records): void {
  const { received, kept, matching, held } = records;
  const amount = `${received.toLocaleString("en")} ${received === 1 ? "event" : "events"}`;
  const parts = [amount];
  if (kept < received) parts.push(`the newest ${kept.toLocaleString("en")} kept`);
  if (held === undefined && matching.length !== kept) {
    parts.push(`${matching.length.toLocaleString("en")} shown`);
  }
  setText(byId("amounts"), parts.join(", "));
  const pause = byId("pause");
  setText(
    pause,
    held === undefined ? "Pause" : `Resume${held === 0 ? "" : ` (${held.toLocaleString("en")} new)`}`,
  );
  pause.ariaPressed = `${held !== undefined}`;
}

/** Shows the state of the connection. */
export function showConnection(status: Status, retryAt: number, announcer: Announcer): void {
  const { state, text, spoken } = statusText(status, retryAt, Date.now());
  const connection = byId("connection");
  if (connection.dataset["spoken"] !== spoken) {
    connection.dataset["spoken"] = spoken;
    announcer.announce(spoken);
  }
  connection.dataset["state"] = state;
  setText(byId("connection-words"), text);
  byId("connect").hidden = status.type !== "closed" && status.type !== "waiting";
}
