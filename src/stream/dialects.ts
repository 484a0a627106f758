/**
 * Dialects: the wire formats of Tribler's releases, for their own front ends.
 *
 * | dialect | one event | what its front end does |
 * | --- | --- | --- |
 * | 7.4 | `{"type", "event", "id", "time"}` and a line end | calls a handler with `event`, which must be there |
 * | 7.5 – 7.11 | `data: {"type", "event"}` and an empty line | splits at empty lines, cuts off `data:`, parses the rest |
 * | 7.12 – 7.14 | `data: {"topic", "args", "kwargs"}` and an empty line | the same, and calls a function with `kwargs` |
 * | 8 | `event: TOPIC`, `data: KWARGS`, `id: CURSOR` and an empty line | is an `EventSource` |
 *
 * @module
 */
import { dictionaryHead } from "../events/event.ts";
import {
  type Line,
  payloadText,
  SSE_HEARTBEAT,
  type WireFormat,
  writeIdBlock,
  writeRetry,
} from "./wire_format.ts";

/** The name of a dialect: the first release of Tribler that speaks it. */
export type Dialect = "7.1" | "7.4" | "7.5" | "7.12" | "8";

/**
 * The format of each dialect. That of 7.1 is what this package speaks anyway: NDJSON or server-sent events, as the client
 * asks for.
 */
export const DIALECTS: Readonly<Record<Exclude<Dialect, "7.1">, WireFormat>> = {
  "7.4": {
    name: "tribler-7.4",
    mediaTypes: ["application/x-ndjson"],
    preamble: "",
    write: writeWithEvent,
    writeControl: writeWithEvent,
    linesPerEvent: 1,
    heartbeat: "\n",
    encodePosition: () => "",
    closing: () => "",
  },
  "7.5": bareBlocks(
    "tribler-7.5",
    (line) => `{"type":"${line.type}","event":${payloadText(line) ?? "null"}}`,
  ),
  "7.12": bareBlocks("tribler-7.12", (line) => {
    const payload = payloadText(line);
    const isNamed = payload?.startsWith("{") ?? false;
    const args = payload === undefined || isNamed ? "" : payload;
    return `{"topic":"${line.type}","args":[${args}],"kwargs":${isNamed ? payload : "{}"}}`;
  }),
  "8": {
    name: "tribler-8",
    mediaTypes: ["text/event-stream"],
    preamble: "",
    write: writeNamedBlock,
    writeControl: writeNamedBlock,
    linesPerEvent: 4,
    heartbeat: SSE_HEARTBEAT,
    encodePosition: writeIdBlock,
    closing: writeRetry,
  },
};

/** The dictionary with `"event":null` where its type has no payload. */
function writeWithEvent(line: Line): string {
  const { type, subject, json } = line;
  if (payloadText(line) !== undefined) return json + "\n";
  const head = dictionaryHead(type, subject);
  return `${head},"event":null${json.slice(head.length)}\n`;
}

/**
 * A format of blocks with nothing but one line of data. Any other line in a block breaks the front end, and so would a
 * heartbeat; control events other than `events_start` are left out.
 */
function bareBlocks(name: string, dataOf: (line: Line) => string): WireFormat {
  const write = (line: Line) => `data: ${dataOf(line)}\n\n`;
  return {
    name,
    mediaTypes: ["text/event-stream"],
    preamble: "",
    write,
    writeControl: (line) => line.type === "events_start" ? write(line) : "",
    linesPerEvent: 2,
    heartbeat: "",
    encodePosition: () => "",
    closing: () => "",
  };
}

function writeNamedBlock(line: Line): string {
  return `event: ${line.type}\ndata: ${payloadText(line) ?? "{}"}\nid: ${line.id}\n\n`;
}
