/**
 * A server on bare sockets that answers each request by the next line of its script, and clients' streams as they
 * stand on the wire.
 *
 * @module
 */
import { type AddressInfo, createServer, type Socket } from "node:net";

/** A request, as far as the tests look at it. */
export interface Asked {
  readonly path: string;
  readonly query: URLSearchParams;
  /** The value of a header by its name in lower case. */
  readonly headers: ReadonlyMap<string, string>;
}

/** What the server does with one request: it writes what it wants, and ends or cuts the connection. */
export type Reply = (socket: Socket, asked: Asked) => unknown;

/** What goes on at a scripted server. */
export interface Script {
  readonly url: string;
  readonly port: number;
  /** The requests so far. */
  readonly asked: readonly Asked[];
  /**
   * How many connections are open that a request came by. (On Node 20 `fetch` puts an idle one in the place of one
   * that was aborted, and closes it after 4 s.)
   */
  open(): number;
}

/** Runs `use` with a server that answers each request by the next reply, and those beyond the script not at all. */
export async function scripted<T>(
  replies: readonly Reply[],
  use: (script: Script) => Promise<T>,
): Promise<T> {
  const asked: Asked[] = [];
  const sockets = new Set<Socket>();
  const busy = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => {
      sockets.delete(socket);
      busy.delete(socket);
    });
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.once("data", (request: Uint8Array) => {
      const one = requestOf(new TextDecoder().decode(request));
      asked.push(one);
      busy.add(socket);
      replies[asked.length - 1]?.(socket, one);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  try {
    return await use({ url: `http://127.0.0.1:${port}/events`, port, asked, open: () => busy.size });
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

function requestOf(head: string): Asked {
  const [first = "", ...lines] = head.split("\r\n\r\n")[0]!.split("\r\n");
  const path = /^\w+ (\S+)/.exec(first)?.[1] ?? "";
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  return { path, query: new URL(path, "http://x").searchParams, headers: new Map(headers) };
}

/** Headers by name. */
export type Head = Readonly<Record<string, string>>;

/** A whole answer, and then the connection is closed. */
export function answers(status: number, headers: Head = {}, body: string = ""): Reply {
  const length = { Connection: "close", "Content-Length": `${bytesOf(body)}` };
  return (socket) =>
    socket.end(
      headOf(status, status === 204 ? { Connection: "close", ...headers } : { ...headers, ...length }) + body,
    );
}

/** The beginning of a stream, which is then held open. */
export function streams(contentType: string | undefined, ...texts: string[]): Reply {
  return (socket) => void socket.write(streamOf(contentType, texts));
}

/** The same, and then the connection is cut. Bun may forget what it has received then. */
export function cuts(contentType: string, ...texts: string[]): Reply {
  const body = texts.join("");
  const head = headOf(200, { "Content-Type": contentType, "Content-Length": `${bytesOf(body) + 1000}` });
  return (socket) => socket.end(head + body);
}

/** The same, and then the response ends as it should. */
export function ends(contentType: string, ...texts: string[]): Reply {
  return answers(200, { "Content-Type": contentType }, texts.join(""));
}

function streamOf(contentType: string | undefined, texts: readonly string[]): string {
  const type: Head = contentType === undefined ? {} : { "Content-Type": contentType };
  return headOf(200, { ...type, "Transfer-Encoding": "chunked" }) + texts.map(chunkOf).join("");
}

/** A chunk of a body (RFC 9112, section 7.1). */
export function chunkOf(text: string): string {
  return text === "" ? "" : `${bytesOf(text).toString(16)}\r\n${text}\r\n`;
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

function headOf(status: number, headers: Head): string {
  const lines = Object.entries({ Connection: "close", ...headers }).map(([name, value]) =>
    `${name}: ${value}`
  );
  return [`HTTP/1.1 ${status} Scripted`, ...lines].join("\r\n") + "\r\n\r\n";
}

export const NDJSON = "application/x-ndjson";
export const SSE = "text/event-stream";

/** A line of NDJSON. */
export function line(type: string, id?: string, event?: unknown): string {
  return `${JSON.stringify({ type, event, id })}\n`;
}

/** The first line of every stream. */
export function start(id: string, heartbeat: number | null = null): string {
  return line("events_start", id, { heartbeat });
}
