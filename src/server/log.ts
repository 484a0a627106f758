/**
 * The server's log: one line on stderr for each stream that is over, and for whatever went wrong.
 *
 * @module
 */
import type { StreamEnd } from "../http/options.ts";

/** How the log is written: as text, as one JSON object a line, or not at all but for what went wrong. */
export type LogFormat = "text" | "json" | "off";

/** A log. */
export interface Log {
  /** A stream is over. That a client left is as good an end as any. */
  streamEnded(end: StreamEnd): void;
  /** A request for a stream was refused. */
  refused(refusal: Refusal): void;
  /** Something went wrong that does not stop the server: an error, or what there is to say of it. */
  problem(what: unknown): void;
  /** Nothing went wrong, but something could. */
  warning(message: string): void;
}

/** A request for a stream that was refused. */
export interface Refusal {
  /** The error code of the response, if it has one. */
  readonly code: string | undefined;
  /** The HTTP status of the response. */
  readonly status: number;
  /** The address it came from, where that is known. */
  readonly address: string | undefined;
}

/**
 * Makes a log. What it writes of a request is its address and nothing else: a query or a header may hold a key.
 *
 * @param write takes one line, without its end
 */
export function createLog(
  format: LogFormat,
  write: (line: string) => void = (line) => console.error(line),
): Log {
  const put = (level: string, message: string, fields: Fields) => {
    write(format === "json" ? asJson(level, message, fields) : asText(level, message, fields));
  };
  const info = (message: string, fields: Fields) => {
    if (format !== "off") put("info", message, fields);
  };
  return {
    streamEnded: ({ reason, format, address, seconds, events, bytes }) =>
      info("stream ended", { reason, format, address, seconds: Number(seconds.toFixed(3)), events, bytes }),
    refused: ({ code, status, address }) =>
      info("stream refused", { reason: "rejected", code, status, address }),
    problem: (what) => put("error", what instanceof Error ? what.stack ?? what.message : `${what}`, {}),
    warning: (message) => put("warn", message, {}),
  };
}

type Fields = Readonly<Record<string, string | number | undefined>>;

function asJson(level: string, message: string, fields: Fields): string {
  return JSON.stringify({ time: new Date().toISOString(), level, message, ...fields });
}

function asText(level: string, message: string, fields: Fields): string {
  const known = Object.entries(fields).filter(([, value]) => value !== undefined);
  return [new Date().toISOString(), level, message, ...known.map(([key, value]) => `${key}=${value}`)].join(
    " ",
  );
}
