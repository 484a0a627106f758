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

/** Shows how many events arrived, are kept, are shown, and are held back while it is paused. */
export function showAmounts(records: Records): void {
  const { received, kept, matching, held, isFiltered, isScanning } = records;
  const amount = `${received.toLocaleString("en")} ${received === 1 ? "event" : "events"}`;
  const parts = [amount];
  if (kept < received) parts.push(`the newest ${kept.toLocaleString("en")} kept`);
  // Until all are looked at, the list has what it had before.
  if (isFiltered) parts.push(isScanning ? "searching…" : `${matching.length.toLocaleString("en")} shown`);
  if (held !== undefined) parts.push(`paused, ${held.toLocaleString("en")} new`);
  const text = parts.join(", ");
  setText(byId("amounts"), text);
  byId("amounts").title = text;
  const pause = byId("pause");
  setText(pause, held === undefined ? "Pause" : "Resume");
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
  const words = byId("connection-words");
  setText(words, text);
  words.title = text;
  const connect = byId("connect");
  connect.hidden = status.type !== "closed" && status.type !== "waiting";
  const needsKey = status.type === "closed" && status.cause?.code === "Unauthorized";
  setText(connect, needsKey ? "Enter the key…" : "Try now");
}
