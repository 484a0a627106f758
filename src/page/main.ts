/**
 * The live page: shows events as they arrive.
 *
 * An event that arrives is only counted and kept. The list is drawn once a frame, and the figures a few times a second:
 * they would be unreadable at a higher rate. What a person chooses is a view, which stands in the address. Types, subjects
 * and the start are asked of the server; the filter and the range select among what it sent.
 *
 * @module
 */
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import type { Dictionary, Status } from "../client/mod.ts";
import { timeOf } from "../text/event_text.ts";
import { firstView, isSameQuestion, keepPlace, pushView, replaceView } from "./address.ts";
import { createAnnouncer } from "./announcer.ts";
import { CHART_SECONDS, CHART_STEPS, createChart } from "./chart.ts";
import { createDetails } from "./details.ts";
import { byId, setText } from "./dom.ts";
import { createDownloads } from "./download.ts";
import type { Remedy } from "./empty_text.ts";
import { eventGroup } from "./event_groups.ts";
import { showAmounts, showConnection } from "./figures.ts";
import { createKey } from "./key.ts";
import { createList } from "./list.ts";
import { createLossNotice, createRemedies, showEmptiness } from "./notices.ts";
import { createPins } from "./pins.ts";
import { createPublishing, typesOf } from "./publish.ts";
import { createSinceChoice, showChips } from "./question.ts";
import { createRates } from "./rates.ts";
import { createRecords, type EventRecord, MAX_CHARACTERS, MAX_RECORDS } from "./records.ts";
import { placeInTime } from "./row_text.ts";
import { createShortcuts } from "./shortcuts.ts";
import { follow, type Stream } from "./stream.ts";
import { createTheme } from "./theme.ts";
import { createTypes } from "./types.ts";
import { parseView, type Question, questionOf, selectionOf, type View } from "./view.ts";

/** Minimum number of milliseconds between two updates of the figures. */
const FIGURES_INTERVAL_MS = 250;
/** Number of milliseconds after a question before an empty list is explained: the answer may be on its way. */
const EXPLANATION_DELAY_MS = 400;
/** Number of milliseconds after a question in which the event of a link has to arrive. */
const MISSED_MS = 5000;
const HINT = "Choose an event to see all of it here.";
const MISSED =
  "The event of this link is not here: the server no longer keeps it, or the view leaves it out.";

const first = firstView();
let { view } = first;
let stream: Stream | undefined;
let status: Status = { type: "connecting", attempt: 1 };
/** The time of the next attempt, in milliseconds since 1970. */
let retryAt = 0;
/** Number of milliseconds by which the local clock is ahead of the server's. */
let skewMs = 0;
let isDue = false;
let figuresDrawn = 0;
let figuresTimer: ReturnType<typeof setTimeout> | undefined;
let askedAt = 0;
/** The id of an event that is to be selected when it arrives, and whether its details are to open. */
let awaited: { readonly id: string; readonly opens: boolean } | undefined;
let hasTypes = false;

const records = createRecords(MAX_RECORDS, MAX_CHARACTERS);
const rates = createRates(CHART_SECONDS, CHART_STEPS);
const announcer = createAnnouncer(byId("announcer"));
const losses = createLossNotice();
const key = createKey(reconnect);
const chart = createChart(rates, {
  onRange: (range) => {
    const onServer = range && { from: range.from - skewMs, to: range.to - skewMs };
    change({ range: onServer });
  },
  onSpan: (span) => change({ span }),
  onGroup: (group) => {
    const ofGroup = types.names.filter((type) => eventGroup(type) === group);
    const isChosen = view.types.length === ofGroup.length &&
      ofGroup.every((type) => view.types.includes(type));
    change({ types: isChosen ? [] : ofGroup });
  },
});
const details = createDetails({
  hasKey: () => key.value !== undefined,
  onClose: () => {
    rememberEvent(undefined);
    list.focus();
  },
  onStep: (rows) => list.step(rows),
  onFollow: followSubject,
});
const list = createList(records, {
  onOpen: show,
  onMove: (record) => {
    if (details.isOpen || details.isBeside) show(record, false);
  },
  onSubject: followSubject,
  onEscape: () => {
    const { isOpen } = details;
    details.close();
    return isOpen;
  },
});
const types = createTypes((types) => change({ types }), (type) => list.fitType(type));
const sinceChoice = createSinceChoice(startAt);
const filterInput = byId<HTMLInputElement>("filter");
const pins = createPins((record) => show(record, false), () => details.shown);

/** Changes the view, and the address with it. */
function change(changes: Partial<View>): void {
  const before = view;
  view = { ...view, ...changes };
  const isAsked = !isSameQuestion(before, view);
  // A question is a step that the browser can go back from; to type a filter is none.
  if (isAsked) pushView(view);
  else replaceView(() => view);
  apply(before, isAsked);
}

/** Notes which event is open. */
function rememberEvent(record: EventRecord | undefined): void {
  const eventTime = record && new Date(record.time).toISOString();
  view = { ...view, event: record?.id, eventTime };
  replaceView(() => view);
}

/** Makes the page show the view. */
function apply(before: View | undefined, isAsked: boolean): void {
  types.choose(view.types);
  sinceChoice.show(view);
  showChips(view, change);
  chart.select(view.range && { from: view.range.from + skewMs, to: view.range.to + skewMs });
  if (before?.span !== view.span) chart.setSpan(view.span);
  if (filterInput.value !== view.text) filterInput.value = view.text;
  const isFiltered = before === undefined || before.text !== view.text || before.range !== view.range;
  if (isFiltered) records.filter(selectionOf(view));
  if (isAsked) ask();
  drawFigures();
  drawSoon();
}

/** Asks the server what the view asks for, and shows that from the beginning. */
function ask(since?: string): void {
  records.clear();
  rates.clear();
  types.clear();
  losses.clear();
  list.mark(undefined);
  const { types: names, subjects } = view;
  // After a reload the page starts where it started before, and not at the last events.
  const isAgain = since !== undefined && view.since === undefined;
  start(isAgain ? { types: names, subjects, since } : questionOf(view));
  askedAt = performance.now();
  setTimeout(drawFigures, EXPLANATION_DELAY_MS + 50);
}

/** Replaces the stream by a new one. */
function start(question: Question): void {
  stream?.end();
  stream = follow(question, key.value, { onEvent, onStatus });
}

/** Replaces the stream by one that continues after its last event. */
function reconnect(): void {
  const { types, subjects } = view;
  const since = stream?.lastId;
  start(since === undefined ? questionOf(view) : { types, subjects, since });
}

function onEvent(event: Dictionary, json: string): void {
  const record = records.add(event, json);
  if (event.type === "events_lost") {
    losses.add(event);
    announcer.announce(record.summary);
  } else {
    types.count(record.type);
    announcer.count(record);
    rates.count(record.group, record.time + skewMs);
  }
  if (awaited !== undefined && record.id === awaited.id) arrive(record, awaited.opens);
  drawSoon();
}

/** Selects an event that was waited for. */
function arrive(record: EventRecord, opens: boolean): void {
  awaited = undefined;
  requestAnimationFrame(() => {
    list.select(record);
    if (opens) show(record, false);
  });
}

function onStatus(now: Status): void {
  status = now;
  if (now.type === "open" && now.start !== undefined) skewMs = Date.now() - timeOf(now.start).getTime();
  if (now.type === "open" && !hasTypes) void listTypes();
  if (now.type === "waiting") retryAt = Date.now() + now.delay * 1000;
  if (now.type === "closed" && now.cause?.code === "Unauthorized") key.ask();
  drawConnection();
}

/** Lists the types that the server describes, so that one can be chosen before it happens. */
async function listTypes(): Promise<void> {
  const names = await typesOf(key).catch(() => []);
  hasTypes ||= names.length > 0;
  types.add(names);
  for (const name of names) chart.list(eventGroup(name));
}

/** Shows the details of a record. */
function show(record: EventRecord, byKeyboard: boolean): void {
  details.show(record, byKeyboard);
  pins.mark();
  rememberEvent(record.type === "events_lost" ? undefined : record);
}

/** Starts at another place, and shows the same time in the chart. */
function startAt(since: string | undefined): void {
  change({ since, span: since === undefined || since === "latest" ? "5m" : "all" });
}

/** Asks for all events of a subject. */
function followSubject(subject: string): void {
  const since = view.since ?? "earliest";
  change({ subjects: [subject], types: [], since, span: "all", range: undefined, text: "" });
}

function togglePin(): void {
  const record = list.active ?? details.shown;
  if (record !== undefined) pins.toggle(record);
}

function togglePause(): void {
  if (records.held === undefined) {
    records.pause();
    list.mark(`paused ${placeInTime(Date.now())}`);
  } else records.resume();
  drawFigures();
  drawSoon();
}

function drawSoon(): void {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(draw);
}

function draw(): void {
  isDue = false;
  if (records.isScanning) {
    records.scan();
    drawSoon();
  }
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
  showAmounts(records);
  const isEmpty = records.matching.length === 0 && !records.isScanning;
  const isEarly = performance.now() - askedAt < EXPLANATION_DELAY_MS && records.kept === 0;
  const retrySeconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
  const { isExpired } = losses;
  const isMissed = awaited?.opens === true && status.type === "open" &&
    performance.now() - askedAt > MISSED_MS;
  setText(byId("details-hint"), isMissed ? MISSED : HINT);
  showEmptiness(
    isEmpty && !isEarly ? { view, status, kept: records.kept, isExpired, retrySeconds } : undefined,
  );
}

function drawConnection(): void {
  showConnection(status, retryAt, announcer);
}

function remedy(name: Remedy): void {
  switch (name) {
    case "key":
      return key.ask();
    case "retry":
      return reconnect();
    case "clear-filter":
      return change({ text: "", range: undefined });
    case "earliest":
      return startAt("earliest");
    case "all-events":
      return change({ types: [], subjects: [], text: "", range: undefined });
    case "newest":
      return change({ since: undefined, event: undefined, range: undefined });
  }
}

byId("connect").onclick = reconnect;
byId("pause").onclick = togglePause;
byId("pin").onclick = () => {
  if (details.shown !== undefined) pins.toggle(details.shown);
};
filterInput.oninput = () => change({ text: filterInput.value });
createRemedies(remedy);
createDownloads(records);
createPublishing(key);
const switchTheme = createTheme(chart.recolour);
createShortcuts({
  pause: togglePause,
  follow: () => {
    const subject = (list.active ?? details.shown)?.subject;
    if (subject !== undefined) followSubject(subject);
  },
  pin: togglePin,
  copyLink: details.copyLink,
  askForAll: () => startAt("earliest"),
  switchTheme,
});

addEventListener("popstate", () => {
  const before = view;
  view = parseView(location.search);
  if (view.event === undefined && details.isOpen) details.close();
  apply(before, !isSameQuestion(before, view));
});
addEventListener("pagehide", () => {
  const { oldestTime } = records;
  const since = oldestTime === undefined ? undefined : new Date(oldestTime).toISOString();
  keepPlace(view, { since, anchor: list.anchor?.id });
});

const id = view.event ?? first.place?.anchor;
if (id !== undefined) awaited = { id, opens: view.event !== undefined };
setInterval(() => {
  drawConnection();
  drawFigures();
  if (!document.hidden) chart.draw(Date.now());
}, 1000);
chart.draw(Date.now());
list.draw();
apply(undefined, false);
ask(first.place?.since);
void listTypes();
