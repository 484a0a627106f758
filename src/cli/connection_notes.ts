/**
 * What commands say about their connection: each trouble once, and that it is over.
 *
 * @module
 */
import type { EventsError, Status } from "../client/mod.ts";
import { printable } from "../text/printable.ts";
import { reasonOf, type Remote } from "./remote.ts";

/** Makes a function that returns what is to be said about a change of the status, if anything is. */
export function createNotes(remote: Remote): (status: Status) => string | undefined {
  let trouble: string | undefined;
  let wasOpen = false;
  return (status) => {
    if (status.type === "waiting") {
      const before = trouble;
      trouble = describeFailure(status.cause, remote);
      return trouble === before ? undefined : `${trouble}; trying again`;
    }
    if (status.type !== "open") return undefined;
    const isGap = wasOpen && !status.resumed;
    const isNews = isGap || trouble !== undefined;
    wasOpen = true;
    trouble = undefined;
    return isNews ? `connected${isGap ? " again, but events between may be missing" : ""}` : undefined;
  };
}

/** Returns the cause in one line. */
export function describeFailure(cause: EventsError, remote: Remote): string {
  const { place, keyHint } = remote;
  switch (cause.code) {
    case "Unauthorized":
      return `${printable(cause.message)}: ${keyHint}`;
    case "CertificateRejected":
      return `${printable(cause.message)}: --cacert FILE or --insecure accepts it`;
    case "ConnectionFailed":
      return `cannot reach ${place}: ${printable(reasonOf(cause.cause))}`;
    case "ConnectionLost":
      return cause.cause === undefined
        ? printable(cause.message)
        : `lost ${place}: ${printable(reasonOf(cause.cause))}`;
    case "RetriesExhausted":
      return `gave up: ${describeFailure(cause.cause as EventsError, remote)}`;
    default:
      return printable(cause.message);
  }
}
