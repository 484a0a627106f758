/**
 * The view: everything that a person has chosen on the page. All of it stands in the address of the page, so that a view
 * can be reloaded, kept as a bookmark and sent to others.
 *
 * @module
 */

import { type Accepts, parseFilter } from "../text/filter.ts";
import { lastTimeOfDay } from "../text/local_time.ts";

/** A range of time, in milliseconds since 1970; it includes both ends. */
export interface TimeRange {
  readonly from: number;
  readonly to: number;
}

/** How much of the past the chart shows. */
export const CHART_SPANS = ["5m", "1h", "all"] as const;
export type ChartSpan = (typeof CHART_SPANS)[number];

/** What is shown. */
export interface View {
  /** The types asked of the server; empty for all. */
  readonly types: readonly string[];
  /** The subjects asked of the server; empty for all. */
  readonly subjects: readonly string[];
  /** Where to start: a cursor, a time, a duration back, `earliest` or `latest`; `undefined` for the last events. */
  readonly since: string | undefined;
  /** How many events to start with if `since` is `undefined`. */
  readonly last: number;
  /** The filter, as it was typed. */
  readonly text: string;
  /** The range of time that the list is limited to. */
  readonly range: TimeRange | undefined;
  /** The id of the event whose details are open. */
  readonly event: string | undefined;
  /** The time of that event, from which a link to it starts. */
  readonly eventTime: string | undefined;
  readonly span: ChartSpan;
}

/** What the page asks of the endpoint. */
export interface Question {
  readonly types: readonly string[];
  readonly subjects: readonly string[];
  /** Exactly one of the two is set. */
  readonly since?: string;
  readonly last?: number;
}

/** Number of events that the page opens with. */
export const DEFAULT_LAST = 200;

const NAMES = ["types", "subject", "since", "last", "filter", "from", "to", "event", "at", "chart"] as const;

/** Reads the view from the query of an address. What is malformed counts as absent. */
export function parseView(search: string): View {
  const query = new URLSearchParams(search);
  const text = (name: (typeof NAMES)[number]) => query.get(name) || undefined;
  const [from, to] = [Date.parse(text("from") ?? ""), Date.parse(text("to") ?? "")];
  const last = Number(text("last"));
  const chart = CHART_SPANS.find((span) => span === text("chart"));
  return {
    types: texts(query.getAll("types").join(",").split(",")),
    subjects: texts(query.getAll("subject")),
    since: timeOfDay(text("since")),
    last: Number.isSafeInteger(last) && last > 0 ? last : DEFAULT_LAST,
    text: text("filter") ?? "",
    range: from <= to ? { from, to } : undefined,
    event: text("event"),
    eventTime: text("at"),
    span: chart ?? "5m",
  };
}

/** Returns the texts that are not empty, each once. */
function texts(all: readonly string[]): string[] {
  return [...new Set(all)].filter((text) => text !== "");
}

/** Returns when it was this time of day here for the last time. */
export function lastTimeAt(name: "noon" | "midnight"): string {
  return new Date(lastTimeOfDay(name, Date.now())!).toISOString();
}

/** Reads what a person may write in an address, as the choice on the page says it. */
function timeOfDay(since: string | undefined): string | undefined {
  return since === "noon" || since === "midnight" ? lastTimeAt(since) : since;
}

/**
 * Writes the view as the query of an address; empty for the view that the page opens with.
 *
 * @param others a query whose other parameters are kept: a proxy may need them
 */
export function formatView(view: View, others: string = ""): string {
  const query = new URLSearchParams(others);
  for (const name of NAMES) query.delete(name);
  const set = (name: (typeof NAMES)[number], value: string | undefined) => {
    if (value !== undefined && value !== "") query.set(name, value);
  };
  set("types", view.types.join(","));
  for (const subject of view.subjects) query.append("subject", subject);
  set("since", view.since);
  if (view.last !== DEFAULT_LAST) set("last", `${view.last}`);
  set("filter", view.text);
  if (view.range !== undefined) {
    set("from", new Date(view.range.from).toISOString());
    set("to", new Date(view.range.to).toISOString());
  }
  set("event", view.event);
  if (view.event !== undefined) set("at", view.eventTime);
  if (view.span !== "5m") set("chart", view.span);
  // They need no escape in a query (RFC 3986, section 3.4), and are easier to read without.
  const written = `${query}`.replaceAll("%2C", ",").replaceAll("%3A", ":").replaceAll("%2F", "/");
  return written === "" ? "" : `?${written}`;
}

/** Returns what the view asks of the endpoint. */
export function questionOf({ types, subjects, since, last }: View): Question {
  return since === undefined ? { types, subjects, last } : { types, subjects, since };
}

/** Writes a duration back, such as `-5m`, in words: "5 minutes", or "hour" for one; `undefined` for another start. */
export function durationText(since: string): string | undefined {
  const [, amount, unit] = /^-(\d+)([smhd])$/.exec(since) ?? [];
  const name = { s: "second", m: "minute", h: "hour", d: "day" }[unit!];
  return name && (amount === "1" ? name : `${amount} ${name}s`);
}

/** Returns how much of the past the chart shows of a start that was chosen. */
export function spanOf(since: string | undefined): ChartSpan {
  if (since === undefined || since === "latest" || since === "-5m") return "5m";
  return since === "-10m" || since === "-1h" ? "1h" : "all";
}

/** Whether a type is among those asked of the server, which may be patterns. */
export function asksForType({ types }: Pick<View, "types">, type: string): boolean {
  return types.length === 0 ||
    types.some((one) => one.endsWith("*") ? type.startsWith(one.slice(0, -1)) : one === type);
}

/** Returns what the view selects among the events that the page has; `undefined` for all of them. */
export function selectionOf({ text, range }: Pick<View, "text" | "range">): Accepts | undefined {
  const accepts = parseFilter(text);
  if (range === undefined) return accepts;
  const { from, to } = range;
  return (event) => event.time >= from && event.time <= to && accepts?.(event) !== false;
}

/** Makes a view that was sent start where its range or its event is, which may be older than the last events. */
export function startingAtItsTime(view: View): View {
  const { since, range, event, eventTime } = view;
  const times = [range?.from, event === undefined ? undefined : Date.parse(eventTime ?? "")];
  const first = Math.min(...times.filter((time) => time !== undefined && !Number.isNaN(time)) as number[]);
  return since !== undefined || first === Infinity ? view : { ...view, since: new Date(first).toISOString() };
}

/** Returns the query of a link to one event: the page opens it, and shows what came after. */
export function linkTo(id: string, time: number, others: string = ""): string {
  return formatView({ ...parseView(""), event: id, eventTime: new Date(time).toISOString() }, others);
}
