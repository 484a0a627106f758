/**
 * Status text: the state of the connection, and the number of lost events.
 *
 * @module
 */
import type { EventsError, Status } from "../client/mod.ts";
import { lossReason } from "../text/loss_text.ts";
import { placeInTime } from "./row_text.ts";

/** A space that is as wide as a digit. */
const FIGURE_SPACE = "\u2007";

/** The texts for the state of a connection. */
export interface StatusText {
  /** Its state, which has a colour of its own. */
  readonly state: "live" | "waiting" | "broken";
  readonly text: string;
  /** The text for screen readers, without what changes every second. */
  readonly spoken: string;
}

/**
 * Describes a status.
 *
 * @param retryAt the time of the next attempt, in milliseconds since 1970
 * @param now the current time, in milliseconds since 1970
 */
export function statusText(status: Status, retryAt: number, now: number): StatusText {
  switch (status.type) {
    case "open": {
      const { version } = (status.start?.event ?? {}) as { version?: unknown };
      const text = `Live${typeof version === "string" ? `, version ${version}` : ""}`;
      return { state: "live", text, spoken: text };
    }
    case "connecting":
      return plain("waiting", status.attempt === 1 ? "Connecting" : "Connecting again");
    case "lost":
      return plain("waiting", `Reconnecting: ${reason(status.cause)}`);
    case "waiting": {
      const seconds = Math.max(0, Math.ceil((retryAt - now) / 1000));
      const spoken = `Reconnecting: ${reason(status.cause)}`;
      return {
        state: "waiting",
        text: `${spoken} (${attemptTime(seconds, ")")}`,
        spoken,
      };
    }
    case "closed":
      return plain("broken", status.cause === undefined ? "Not connected" : reason(status.cause));
  }
}

/**
 * Says at the end of a text when the next attempt begins, as wide for each time: what stands in the middle, or breaks into
 * lines, stays where it is.
 */
export function attemptTime(seconds: number, end: string): string {
  return seconds === 0
    ? `now${end}${FIGURE_SPACE.repeat(2)}`
    : `in\u00a0${`${seconds}`.padStart(2, FIGURE_SPACE)}\u00a0s${end}`;
}

function plain(state: StatusText["state"], text: string): StatusText {
  return { state, text, spoken: text };
}

/** Whether a server is there and takes no connection now. */
export function isBusy({ code, serverCode }: EventsError): boolean {
  return code === "Unavailable" && serverCode !== "ShuttingDown";
}

function reason(cause: EventsError): string {
  switch (cause.code) {
    case "ConnectionFailed":
      return "the server cannot be reached";
    case "ConnectionLost":
      return "the connection was lost";
    case "Timeout":
      return "the server is silent";
    case "Unauthorized":
      return "The server requires an API key";
    case "Unavailable":
      return isBusy(cause) ? "the server is busy" : "the server is shutting down";
    case "RequestRejected":
      return "The server rejected the question";
    default:
      return cause.message;
  }
}

/** Events that were lost at one place of the stream. */
export interface Loss {
  /** How many; `undefined` if that is not known. */
  readonly count: number | undefined;
  readonly reason: string;
  /** When that was reported, in milliseconds since 1970. */
  readonly time: number;
}

/** Describes losses: how many events, when and why; returns an empty text if there are none. */
export function lossesText(losses: readonly Loss[]): string {
  const last = losses.at(-1);
  if (last === undefined) return "";
  const count = losses.reduce((sum, { count = 0 }) => sum + count, 0);
  const isMore = losses.some(({ count }) => count === undefined);
  const amount = count === 0
    ? "Some events lost"
    : `${isMore ? "At least " : ""}${count.toLocaleString("en")} ${count === 1 ? "event" : "events"} lost`;
  const when = losses.length === 1 ? "" : ` ${losses.length} times, last`;
  return `${amount}${when} at ${placeInTime(last.time)}: ${lossReason(last.reason)}`;
}
