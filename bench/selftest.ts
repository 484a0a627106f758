/**
 * Shows, before anything is measured, that the load client and the check refuse what a broken server would
 * send.
 */
import { Buffer } from "node:buffer";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { checkStream } from "./check.ts";
import { type Bench, LoadClient } from "./client.ts";
import { dictionary, FIRST, START_LINE, tick } from "./servers/event.ts";

const EVENTS = 20;
const SUBSCRIBERS = 4;
const HEAD = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/** What one of the subscribers is sent instead of the published lines. */
type Change = (lines: string[]) => string[];

const sound: Record<string, Change> = {
  "nothing wrong": (lines) => lines,
  "heartbeats": (lines) => lines.flatMap((line, i) => i % 3 === 0 ? ["\n", line] : [line]),
};

const broken: Record<string, Change> = {
  "an event twice": (lines) => lines.toSpliced(7, 0, lines[7] ?? ""),
  "the last event twice": (lines) => [...lines, lines.at(-1) ?? ""],
  "an event missing": (lines) => lines.toSpliced(7, 1),
  "the last event missing": (lines) => lines.slice(0, -1),
  "two events swapped": (lines) => lines.toSpliced(7, 2, lines[8] ?? "", lines[7] ?? ""),
  "half a line": (lines) => lines.toSpliced(7, 1, (lines[7] ?? "").slice(0, 60) + "\n"),
  "a heartbeat inside a line": (lines) => lines.with(7, (lines[7] ?? "").replace(",", ",\n")),
};

function httpChunk(body: string): string {
  return `${Buffer.byteLength(body).toString(16)}\r\n${body}\r\n`;
}

/**
 * Serves the lines to all, through `change` to the subscribers numbered in `victims`; resolves with the
 * check's verdict.
 */
async function verdict(bench: Bench, change: Change, victims: number[]): Promise<Error | undefined> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => {}).once("data", () => {
      socket.write(HEAD + httpChunk(START_LINE));
      sockets.push(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const address = { port, path: "/", format: "ndjson", startsAtOnce: true } as const;
  const subscribers = { count: SUBSCRIBERS, stalled: 0, latency: false };
  const client = new LoadClient(bench, address, subscribers);
  try {
    await client.connected();
    const lines = Array.from({ length: EVENTS }, (_, i) => dictionary(tick(FIRST + i, 0, 210)) + "\n");
    sockets.forEach((socket, i) => {
      // Cut at an odd place, so that neither HTTP chunks nor lines end where a read does.
      const bytes = (victims.includes(i) ? change(lines) : lines).map(httpChunk).join("");
      socket.write(bytes.slice(0, 1234));
      setTimeout(() => socket.write(bytes.slice(1234)), 20);
    });
    await client.expect(EVENTS, 0.5);
    const { arrived, stream } = await client.finish();
    if (arrived.behind > 0) throw new Error(`${arrived.behind} behind`);
    checkStream(stream, "ndjson", FIRST, EVENTS);
    return undefined;
  } catch (error) {
    return error as Error;
  } finally {
    await client.end();
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

/** Throws if a fault goes unnoticed, at one subscriber or at all, or a sound stream is refused. */
export async function selfTest(bench: Bench): Promise<number> {
  const everybody = Array.from({ length: SUBSCRIBERS }, (_, i) => i);
  const cases = [[0], [SUBSCRIBERS - 1], everybody].flatMap((victims) => [
    ...Object.entries(sound).map(async ([name, change]) => {
      const error = await verdict(bench, change, victims);
      if (error) throw new Error(`self-test: ${name}, but it was refused`, { cause: error });
    }),
    ...Object.entries(broken).map(async ([name, change]) => {
      if (!await verdict(bench, change, victims)) throw new Error(`self-test: ${name} went unnoticed`);
    }),
  ]);
  await Promise.all(cases);
  return cases.length;
}
