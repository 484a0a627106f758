/**
 * The server's log: one line on stderr for each stream that ended or was refused, and for each problem.
 *
 * @module
 */
import type { StreamEnd } from "../http/options.ts";

/** How the log is written: as text, as one JSON object a line, or `off` for errors and warnings alone, as text. */
export type LogFormat = "text" | "json" | "off";

/** A log. */
export interface Log {
  /** Logs a stream that ended. A client that disconnects is no error. */
  streamEnded(end: StreamEnd): void;
  /** Logs a request that got no stream. */
  refused(request: RefusedRequest): void;
  /** Logs an error that does not stop the server: what was thrown, or a message. */
  problem(problem: unknown): void;
  /** Logs what has not failed yet, but may. */
  warning(message: string): void;
  /** Logs what was done. */
  notice(message: string): void;
}

/** A request that got no stream. */
export interface RefusedRequest {
  /** The error code of the response, if it has one. */
  readonly code: string | undefined;
  /** The HTTP status of the response. */
  readonly status: number;
  /** The address of the client; `undefined` if it is not known. */
  readonly address: string | undefined;
}

/**
 * Makes a log. Of a request it writes the address and nothing else: a query or a header may hold a key.
 *
 * @param write writes one line, which comes without a line end
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
    streamEnded: ({ reason, format, address, name, seconds, events, bytes }) => {
      const fields = { seconds: Number(seconds.toFixed(3)), events, bytes };
      info("stream ended", { reason, format, address, key: name, ...fields });
    },
    refused: ({ code, status, address }) =>
      info("stream refused", { reason: "rejected", code, status, address }),
    problem: (problem) =>
      put("error", problem instanceof Error ? problem.stack ?? problem.message : `${problem}`, {}),
    warning: (message) => put("warn", message, {}),
    notice: (message) => info(message, {}),
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
