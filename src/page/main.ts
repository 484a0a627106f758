/**
 * The live page: shows events as they arrive.
 *
 * An event that arrives is only counted and kept. The list is drawn once a frame, and the figures a few times a second:
 * they would be unreadable at a higher rate.
 *
 * @module
 */
/// <reference lib="dom" />
import type { Dictionary, Status } from "../client/mod.ts";
import { timeOf } from "../text/event_text.ts";
import { createAnnouncer } from "./announcer.ts";
import { createChart } from "./chart.ts";
import { createDetails } from "./details.ts";
import { byId, setText } from "./dom.ts";
import { createKey } from "./key.ts";
import { createList } from "./list.ts";
import { createPublishing } from "./publish.ts";
import { createRates } from "./rates.ts";
import { createRecords, MAX_CHARACTERS, MAX_RECORDS } from "./records.ts";
import { follow, type Stream } from "./stream.ts";
import { createTypes } from "./types.ts";
import { type Lost, lostText, statusText } from "./status_text.ts";

/** Number of seconds that the chart shows. */
const CHART_SECONDS = 300;
/** Minimum number of milliseconds between two updates of the figures. */
const FIGURES_INTERVAL_MS = 250;

const records = createRecords(MAX_RECORDS, MAX_CHARACTERS);
const rates = createRates(CHART_SECONDS);
const chart = createChart(rates);
const announcer = createAnnouncer(byId("announcer"));
const key = createKey(reconnect);
const details = createDetails(() => key.value !== undefined, () => list.focus());
const list = createList(records, {
  onOpen: (record, byKeyboard) => details.show(record, byKeyboard),
  onMove: (record) => {
    if (details.isOpen) details.show(record, false);
  },
  onEscape: () => {
    const isOpen = details.isOpen;
    details.close();
    return isOpen;
  },
});
const types = createTypes(filter);
const filterInput = byId<HTMLInputElement>("filter");
const pause = byId<HTMLButtonElement>("pause");

let stream: Stream | undefined;
let status: Status = { type: "connecting", attempt: 1 };
/** The time of the next attempt, in milliseconds since 1970. */
let retryAt = 0;
let lost: Lost = { count: 0, isMore: false };
/** Number of milliseconds by which the local clock is ahead of the server's. */
let skewMs = 0;
let isDue = false;
let figuresDrawn = 0;
let figuresTimer: ReturnType<typeof setTimeout> | undefined;

/** Replaces the stream by a new one. */
function start(since: string): void {
  stream?.end();
  stream = follow(since, key.value, { onEvent, onStatus });
}

/** Replaces the stream by one that continues after its last event. */
function reconnect(): void {
  start(stream?.lastId ?? "latest");
}

function onEvent(event: Dictionary): void {
  const record = records.add(event);
  types.count(record);
  rates.count(record.group, record.time + skewMs);
  if (event.type === "events_lost") {
    const { count } = event.event as { count: number | null };
    lost = { count: lost.count + (count ?? 0), isMore: lost.isMore || count === null };
    announcer.announce(record.summary);
  } else announcer.count(record);
  drawSoon();
}

function onStatus(now: Status): void {
  status = now;
  if (now.type === "open" && now.start !== undefined) skewMs = Date.now() - timeOf(now.start).getTime();
  if (now.type === "waiting") retryAt = Date.now() + now.delay * 1000;
  if (now.type === "closed" && now.cause?.code === "Unauthorized") key.ask();
  drawConnection();
}

function filter(): void {
  records.filter({ types: types.chosen, text: filterInput.value });
  list.follow();
  drawSoon();
}

function drawSoon(): void {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(draw);
}

function draw(): void {
  isDue = false;
  list.draw();
  figuresTimer ??= setTimeout(
    drawFigures,
    Math.max(0, figuresDrawn + FIGURES_INTERVAL_MS - performance.now()),
  );
}

function drawFigures(): void {
  clearTimeout(figuresTimer);
  figuresTimer = undefined;
  figuresDrawn = performance.now();
  types.draw();
  setText(byId("amounts"), amountsText());
  const loss = lostText(lost);
  setText(byId("lost"), loss);
  byId("lost").hidden = loss === "";
  const { held } = records;
  setText(
    pause,
    held === undefined ? "Pause" : `Resume${held === 0 ? "" : ` (${held.toLocaleString("en")} new)`}`,
  );
  pause.ariaPressed = `${held !== undefined}`;
}

/** Returns the text for how many events arrived, are kept, and are shown. */
function amountsText(): string {
  const { received, kept, matching, held = 0 } = records;
  const amount = `${received.toLocaleString("en")} ${received === 1 ? "event" : "events"}`;
  const parts = [amount];
  if (kept + held < received) parts.push(`the newest ${kept.toLocaleString("en")} kept`);
  if (matching.length !== kept) parts.push(`${matching.length.toLocaleString("en")} shown`);
  return parts.join(", ");
}

function drawConnection(): void {
  const { state, text, spoken } = statusText(status, retryAt, Date.now());
  const connection = byId("connection");
  if (connection.dataset["spoken"] !== spoken) {
    connection.dataset["spoken"] = spoken;
    announcer.announce(spoken);
  }
  connection.dataset["state"] = state;
  setText(byId("connection-words"), text);
  byId("connect").hidden = status.type !== "closed";
}

byId("connect").onclick = reconnect;
byId("earliest").onclick = () => {
  records.clear();
  rates.clear();
  types.clear();
  lost = { count: 0, isMore: false };
  filter();
  drawFigures();
  start("earliest");
};
pause.onclick = () => {
  if (records.held === undefined) records.pause();
  else records.resume();
  drawFigures();
  drawSoon();
};
filterInput.oninput = filter;

createPublishing(key);
setInterval(() => {
  drawConnection();
  if (!document.hidden) chart.draw(Date.now());
}, 1000);
chart.draw(Date.now());
list.draw();
drawFigures();
start("latest");
