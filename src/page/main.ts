/**
 * The live page: shows events as they arrive.
 *
 * An event that arrives is only counted and kept. The list is drawn ten times a second at most, and the figures less often:
 * they would be unreadable at a higher rate. What a person chooses is a view, which stands in the address. Types, subjects
 * and the start are asked of the server; the filter and the range select among what it sent.
 *
 * @module
 */
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import type { Dictionary } from "../client/mod.ts";
import { firstView, isAtSheet, isSameQuestion, keepPlace, pushView, replaceView } from "./address.ts";
import { createAnnouncer } from "./announcer.ts";
import { CHART_SECONDS, CHART_STEPS, createChart } from "./chart.ts";
import { createConnection } from "./connection.ts";
import { createDetails } from "./details.ts";
import { createDetours, TROUBLE } from "./detours.ts";
import { byId, setText } from "./dom.ts";
import { createDownloads } from "./download.ts";
import { type Remedy, REMEDY_VIEWS } from "./empty_text.ts";
import { eventGroup } from "./event_groups.ts";
import { showAmounts } from "./figures.ts";
import { createList } from "./list.ts";
import { createLossNotice, createRemedies, showEmptiness } from "./notices.ts";
import { createPins } from "./pins.ts";
import { createPublishing, typesOf } from "./publish.ts";
import { createChips, createSinceChoice } from "./question.ts";
import { createRates } from "./rates.ts";
import { createRecords, type EventRecord, hasOnlyLosses, MAX_CHARACTERS, MAX_RECORDS } from "./records.ts";
import { placeInTime, scopeText } from "./row_text.ts";
import { createShortcuts } from "./shortcuts.ts";
import { createTheme } from "./theme.ts";
import { createTypes } from "./types.ts";
import { asksForType, parseView, questionOf, selectionOf, spanOf, type View } from "./view.ts";

/**
 * Minimum number of milliseconds between two updates of the list because of events that arrive. With one in each frame at a
 * high rate, Chromium collects the rows that are replaced every three seconds, and frames are missed while it does.
 */
const LIST_INTERVAL_MS = 100;
/** Minimum number of milliseconds between two updates of the figures. */
const FIGURES_INTERVAL_MS = 250;
/** Number of milliseconds for which an answer may be on its way: after a question, and after its stream has opened. */
const EXPLANATION_DELAY_MS = 400;
/** Number of milliseconds after a question in which the chart is drawn as often as the figures: its answer arrives. */
const ANSWER_MS = 3000;
/** Number of milliseconds that the first question waits for the types: groups have their places and colours in their order. */
const TYPES_MS = 1000;
/** Number of milliseconds after a question in which the event of a link has to arrive. */
const MISSED_MS = 5000;
const HINT = "Choose an event to see all of it here.";
const MISSED =
  "The event of this link is not here: the server no longer keeps it, or the view leaves it out.";

const first = firstView();
let { view } = first;
let isDue = false;
let listDrawn = 0;
let listTimer: ReturnType<typeof setTimeout> | undefined;
let figuresDrawn = 0;
let figuresTimer: ReturnType<typeof setTimeout> | undefined;
let askedAt = 0;
/** When its answer began, or is to begin. */
let openedAt = 0;
/** The id of an event that is to be selected when it arrives, and whether its details are to open. */
let awaited: { readonly id: string; readonly opens: boolean } | undefined;
let hasTypes = false;
let wasOpen = false;

const records = createRecords(MAX_RECORDS, MAX_CHARACTERS);
const rates = createRates(CHART_SECONDS, CHART_STEPS);
const announcer = createAnnouncer(byId("announcer"));
const losses = createLossNotice();
const detours = createDetours();
const connection = createConnection(announcer, { onEvent, onChange: onConnection });
const { key } = connection;
const chart = createChart(rates, {
  onRange: (range) => {
    const { skewMs, known: { from, oldest } } = connection;
    const onServer = range && { from: range.from - skewMs, to: range.to - skewMs };
    const isLoaded = onServer === undefined || onServer.from >= from || from <= oldest;
    change({ range: onServer, ...(!isLoaded && { since: new Date(onServer.from).toISOString() }) });
  },
  onSpan: (span) => change({ span }),
  onLoad: (span) => change({ span, since: span === "all" ? "earliest" : `-${span}` }),
  onGroup: (group) => {
    // If the server describes no types, those of trouble that the page has seen are not all.
    if (group === "trouble" && (!hasTypes || view.text === TROUBLE)) return change(detours.toTrouble(view));
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
    if (isAtSheet()) history.back();
    if (document.activeElement === document.body) list.focus();
  },
  // The buttons of the details stay at the pointer: beside the list, the page does not scroll.
  onStep: (rows) => list.step(rows, !details.isBeside),
  isFollowed: (subject) => view.subjects.includes(subject),
  onFollow: (subject) => view.subjects.includes(subject) ? unfollow(subject) : followSubject(subject),
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
const types = createTypes((types) => change({ types }));
const sinceChoice = createSinceChoice(startAt);
const chips = createChips({ onUnfollow: unfollow, onAllTimes: () => change({ range: undefined }) });
const filterInput = byId<HTMLInputElement>("filter");
const pins = createPins((record) => show(record, false), () => details.shown);

/** Changes the view, and the address with it. */
function change(changes: Partial<View>): void {
  const before = view;
  view = { ...view, ...changes };
  const isAsked = !isSameQuestion(before, view);
  // A question is a step that the browser can go back from; to type a filter is none.
  if (isAsked) pushView(view, before);
  else replaceView(() => view);
  apply(before, isAsked);
}

/** Notes which event is open. */
function rememberEvent(record: EventRecord | undefined): void {
  const eventTime = record && new Date(record.time).toISOString();
  const before = view;
  view = { ...view, event: record?.id, eventTime };
  // To close the sheet is what the button for going back is expected to do.
  if (record !== undefined && !details.isBeside && !isAtSheet()) pushView(view, before, true);
  else replaceView(() => view);
}

/** Makes the page show the view. */
function apply(before: View | undefined, isAsked: boolean): void {
  types.choose(view.types);
  sinceChoice.show(view);
  chips.show(view);
  details.mark();
  const { skewMs } = connection;
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
  const isPaused = records.held !== undefined;
  records.clear();
  rates.clear();
  types.clear();
  losses.clear();
  list.mark(undefined);
  // What was published before is the answer, which a pause holds as it held the list before.
  if (isPaused) pause(Infinity);
  const { types: names, subjects } = view;
  // After a reload the page starts where it started before, and not at the last events.
  const isAgain = since !== undefined && view.since === undefined;
  connection.ask(isAgain ? { types: names, subjects, since } : questionOf(view));
  askedAt = openedAt = performance.now();
  setTimeout(drawFigures, EXPLANATION_DELAY_MS + 50);
}

function onEvent(event: Dictionary, json: string): void {
  const record = records.add(event, json);
  if (event.type === "events_lost") {
    losses.add(event);
    announcer.announce(record.summary);
  } else {
    types.count(record.type);
    chart.list(record.group);
    announcer.count(record);
    rates.count(record.group, record.time + connection.skewMs);
  }
  if (awaited !== undefined && record.id === awaited.id) arrive(record, awaited.opens);
  chips.note(event);
  listTimer ??= setTimeout(drawSoon, Math.max(0, listDrawn + LIST_INTERVAL_MS - performance.now()));
}

/** Selects an event that was waited for. */
function arrive(record: EventRecord, opens: boolean): void {
  awaited = undefined;
  requestAnimationFrame(() => {
    list.select(record);
    if (opens) show(record, false);
  });
}

function onConnection(): void {
  const isOpen = connection.status.type === "open";
  if (isOpen && !wasOpen) {
    openedAt = performance.now();
    setTimeout(drawFigures, EXPLANATION_DELAY_MS + 50);
  }
  wasOpen = isOpen;
  if (isOpen && !hasTypes) void listTypes();
  drawFigures(); // The list says of the connection what the header says.
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
  change({ since, span: spanOf(since) });
}

function followSubject(subject: string): void {
  change(detours.toSubject(view, subject));
}

function unfollow(subject: string): void {
  change(detours.fromSubject(view, subject));
}

function togglePin(): void {
  const record = details.shown ?? list.active;
  if (record !== undefined) pins.toggle(record);
}

function togglePause(): void {
  if (records.held === undefined) pause();
  else records.resume();
  drawFigures();
  drawSoon();
}

/** Pauses the list; what was published before may arrive for this number of milliseconds. */
function pause(answerMs?: number): void {
  records.pause(Date.now() - connection.skewMs, answerMs);
  list.mark(`paused ${placeInTime(Date.now())}`);
}

function drawSoon(): void {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(draw);
}

function draw(): void {
  isDue = false;
  clearTimeout(listTimer);
  listTimer = undefined;
  listDrawn = performance.now();
  if (records.isScanning) {
    records.scan();
    if (records.isScanning) drawSoon();
    else drawFigures(); // They said that it was searching.
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
  const since = (time: number) => performance.now() - time;
  types.draw();
  showKnown();
  if (records.received > 0 && since(askedAt) < ANSWER_MS) chart.draw(Date.now());
  showAmounts(records);
  const isEmpty = !records.isScanning && hasOnlyLosses(records);
  const { status, retrySeconds } = connection;
  // What has said something goes on to speak: it would blink.
  const isEarly = records.kept === 0 && status.type !== "waiting" && since(askedAt) < EXPLANATION_DELAY_MS &&
    byId("empty").hidden;
  const isOpening = records.kept === 0 && status.type === "open" && since(openedAt) < EXPLANATION_DELAY_MS;
  const { isExpired } = losses;
  const { held = 0 } = records;
  const isMissed = awaited?.opens === true && status.type === "open" && since(askedAt) > MISSED_MS;
  setText(byId("details-hint"), isMissed ? MISSED : HINT);
  showEmptiness(
    isEmpty && !isEarly
      ? {
        view,
        status: isOpening ? { type: "connecting", attempt: 1 } : status,
        kept: Math.max(0, records.kept - held),
        held,
        oldestKept: records.oldestTime,
        isExpired,
        retrySeconds,
      }
      : undefined,
  );
}

/** Shows in the chart what is known, and of what its figures are. */
function showKnown(): void {
  const { status, skewMs, known: { from, to, oldest, isGone, gaps } } = connection;
  const asked = types.names.filter((type) => asksForType(view, type)).map(eventGroup);
  const here = gaps.map((gap) => ({ from: gap.from + skewMs, to: gap.to + skewMs }));
  chart.know({ from: from + skewMs, to: to + skewMs, oldest: oldest + skewMs, isGone, gaps: here }, {
    text: scopeText(view),
    asks: (group) => view.types.length === 0 || asked.includes(group),
    isLive: status.type === "open",
  });
}

function remedy(name: Remedy): void {
  if (name === "key") key.ask();
  else if (name === "retry") connection.reconnect();
  else change(REMEDY_VIEWS[name]);
}

byId("connect").onclick = connection.mend;
byId("pause").onclick = togglePause;
byId("pin").onclick = togglePin;
filterInput.oninput = () => change({ text: filterInput.value });
filterInput.onkeydown = (event) => {
  const { key } = event;
  if (event.isComposing || (key !== "Escape" && key !== "Enter")) return;
  // Escape clears it first, as it does in most browsers anyway.
  if (key === "Escape" && view.text !== "") change({ text: "" });
  else list.focus();
  event.preventDefault();
};
createRemedies(remedy);
createDownloads(records);
createPublishing(key);
const switchTheme = createTheme(() => chart.recolour());
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
  const now = parseView(location.search);
  if (now.event === undefined && details.isOpen) details.close();
  // Nothing but the sheet is a step without a question.
  if (isSameQuestion(before, now)) return replaceView(() => view);
  view = now;
  awaited = view.event === undefined ? undefined : { id: view.event, opens: true };
  apply(before, true);
});
addEventListener("pagehide", () => {
  const { oldestTime } = records;
  const since = oldestTime === undefined ? undefined : new Date(oldestTime).toISOString();
  keepPlace(view, { since, anchor: list.anchor?.id });
});

const id = view.event ?? first.place?.anchor;
if (id !== undefined) awaited = { id, opens: view.event !== undefined };
setInterval(() => {
  connection.draw();
  drawFigures();
  if (!document.hidden) chart.draw(Date.now());
}, 1000);
chart.draw(Date.now());
list.draw();
apply(undefined, false);
const tooLate = new Promise((resolve) => setTimeout(resolve, TYPES_MS));
void Promise.race([listTypes(), tooLate]).then(() => {
  if (askedAt === 0) ask(first.place?.since);
});
