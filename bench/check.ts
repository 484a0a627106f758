/** Whether a stream is what was published: every event once, in order, each a whole dictionary. */
import type { Format } from "./servers.ts";

interface Dictionary {
  type?: unknown;
  event?: { n?: unknown };
  id?: unknown;
  time?: unknown;
}

/** The value of a field of an SSE event; one space after the colon does not belong to it. */
function field(block: string, name: string): string | undefined {
  const line = block.split("\n").find((line) => line.startsWith(name + ":"));
  return line?.slice(name.length + 1).replace(/^ /, "");
}

function readSse(block: string): string {
  const data = field(block, "data");
  if (data === undefined) throw new Error("no data");
  const { id, type } = JSON.parse(data) as Dictionary;
  if (field(block, "id") !== id || field(block, "event") !== type) {
    throw new Error("id or event is not the dictionary's");
  }
  return data;
}

/** Throws at the first event that is not the one expected there. */
export function checkStream(stream: string, format: Format, first: number, published: number): void {
  const end = format === "sse" ? "\n\n" : "\n";
  const pieces = stream.split(end);
  if (pieces.pop() !== "") throw new Error("the stream ends inside an event");
  const ids = new Set<unknown>();
  pieces.forEach((piece, index) => {
    try {
      const { type, event, id, time } = JSON.parse(format === "sse" ? readSse(piece) : piece) as Dictionary;
      if (type !== "tick") throw new Error(`type ${String(type)}`);
      if (event?.n !== first + index) {
        throw new Error(`number ${String(event?.n)} instead of ${first + index}`);
      }
      if (Number.isNaN(Date.parse(String(time)))) throw new Error("no time");
      ids.add(id);
    } catch (cause) {
      throw new Error(`event ${index} of the stream: ${String(cause)}: ${piece.slice(0, 120)}`, { cause });
    }
  });
  if (ids.size !== pieces.length) throw new Error("an id came twice");
  if (pieces.length !== published) {
    throw new Error(`${pieces.length} events arrived, ${published} were published`);
  }
}
