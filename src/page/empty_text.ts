/**
 * Why the list is empty, and what to do about it.
 *
 * @module
 */
import type { Status } from "../client/mod.ts";
import { unclearTerms } from "../text/filter.ts";
import { placeInTime } from "./row_text.ts";
import { attemptTime, isBusy } from "./status_text.ts";
import { durationText, type View } from "./view.ts";

/** What can be done about an empty list; each has a button. */
export type Remedy = "key" | "retry" | "clear-filter" | "clear-range" | "all-events" | "earliest" | "newest";

/** What the others change in the view. */
export const REMEDY_VIEWS: Readonly<Record<Exclude<Remedy, "key" | "retry">, Partial<View>>> = {
  "clear-filter": { text: "", range: undefined },
  "clear-range": { range: undefined },
  "all-events": { types: [], subjects: [], text: "", range: undefined },
  earliest: { since: "earliest", span: "all" },
  newest: { since: undefined, event: undefined, range: undefined },
};

/** The text for an empty list. */
export interface EmptyText {
  readonly why: string;
  readonly what: string;
  readonly remedies: readonly Remedy[];
}

/** What an empty list is explained from. */
export interface Emptiness {
  readonly view: View;
  readonly status: Status;
  /** Number of events kept, of which none matches, without those held back. */
  readonly kept: number;
  /** Number of events held back by a pause. */
  readonly held: number;
  /** When the oldest of them was published, in milliseconds since 1970; `undefined` if there is none. */
  readonly oldestKept: number | undefined;
  /** Whether the server reported that it no longer keeps events that were asked for. */
  readonly isExpired: boolean;
  /** Number of seconds until the next attempt. */
  readonly retrySeconds: number;
}

/** Explains an empty list. */
export function emptyText(
  { view, status, kept, held, oldestKept, isExpired, retrySeconds }: Emptiness,
): EmptyText {
  const { types, subjects, since, text, range } = view;
  const asked = [
    types.length === 0
      ? []
      : [types.length === 1 ? `of the type ${types[0]}` : `of the ${types.length} chosen types`],
    subjects.length === 0 ? [] : [`about ${subjects.map((subject) => shortSubject(subject)).join(", ")}`],
  ].flat().join(" ");
  const isFiltered = text !== "" || range !== undefined;
  if (range !== undefined && text === "" && kept > 0) {
    const when = `from ${placeInTime(range.from)} to ${placeInTime(range.to)}`;
    const why = `No events ${asked === "" ? "" : `${asked} `}${when}.`;
    const what = oldestKept !== undefined && range.to < oldestKept
      ? `The page keeps the newest ${kept.toLocaleString("en")} events, which are later.`
      : "The chart shows when there were some.";
    return { why, what, remedies: ["clear-range"] };
  }
  if (isFiltered && kept > 0) {
    const amount = kept === 1 ? "The one event" : `None of the ${kept.toLocaleString("en")} events`;
    const why = `${amount} ${asked === "" ? "" : `${asked} `}${kept === 1 ? "does not match" : "matches"}.`;
    const unclear = unclearTerms(text).join(" ");
    if (unclear !== "") {
      const what = "No event matches it. The button ? explains the words of the filter.";
      return { why: `The filter does not understand ${unclear}`, what, remedies: ["clear-filter"] };
    }
    const isAll = since === "earliest";
    const what = isAll
      ? "These are all that the server keeps. New ones are shown if they match."
      : "The filter looks at what the page has, and ? explains its words. The server may have older events.";
    return { why, what, remedies: isAll ? ["clear-filter"] : ["clear-filter", "earliest"] };
  }
  const fromStatus = statusReason(status, retrySeconds);
  if (fromStatus !== undefined) return fromStatus;
  if (held > 0) return { why: "The list is paused.", what: "Resume shows what is new.", remedies: [] };
  if (isExpired) {
    return {
      why: "The events of that time are gone: the server no longer keeps them.",
      what: asked === "" ? "It keeps later ones." : `Later ones ${asked} are shown as they happen.`,
      remedies: ["newest"],
    };
  }
  if (asked !== "") {
    const isAll = since === "earliest" || since === undefined;
    return {
      why: isAll ? `The server has no events ${asked}.` : `No events ${asked} ${sinceText(since)}.`,
      what: "They are shown here as soon as they happen.",
      remedies: isAll ? ["all-events"] : ["earliest", "all-events"],
    };
  }
  if (since !== undefined && since !== "earliest") {
    const what = "New ones are shown here as they happen.";
    return {
      why: since === "latest" ? "Nothing yet." : `Nothing ${sinceText(since)}.`,
      what,
      remedies: ["earliest"],
    };
  }
  return {
    why: "No events yet.",
    what: "The server has none. They are shown here as they happen.",
    remedies: [],
  };
}

/** Explains what the connection is to blame for. */
function statusReason(status: Status, retrySeconds: number): EmptyText | undefined {
  switch (status.type) {
    case "open":
      return undefined;
    case "connecting":
      return { why: "Asking the server…", what: "", remedies: [] };
    case "lost":
    case "waiting":
      return {
        why: isBusy(status.cause) ? "The server is busy." : "The server is away.",
        what: `The page goes on where it was, and tries again ${attemptTime(retrySeconds, ".")}`,
        remedies: ["retry"],
      };
    case "closed": {
      const { cause } = status;
      if (cause?.code === "Unauthorized") {
        return {
          why: "A key is missing.",
          what: "The server shows its events to those who have one.",
          remedies: ["key"],
        };
      }
      if (cause === undefined) return { why: "The page is not connected.", what: "", remedies: ["retry"] };
      return {
        why: cause.serverCode === "InvalidCursor"
          ? "The server does not know the place in the address where the events were to start."
          : "The server rejected the question.",
        what: cause.serverCode === "InvalidCursor" ? "" : cause.message,
        remedies: cause.serverCode === "InvalidCursor" ? ["newest", "earliest"] : ["retry", "all-events"],
      };
    }
  }
}

/** Says since when events were asked for. */
function sinceText(since: string): string {
  const duration = durationText(since);
  if (duration !== undefined) return `in the last ${duration}`;
  const time = Date.parse(since);
  if (Number.isNaN(time)) return since === "latest" ? "yet" : "since then";
  return `since ${placeInTime(time)}`;
}

function shortSubject(subject: string): string {
  return subject.length > 24 ? `${subject.slice(0, 8)}…` : subject;
}
