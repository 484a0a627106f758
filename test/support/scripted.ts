/**
 * A server on bare sockets that answers each request with the next reply of its script, and the text of streams.
 *
 * @module
 */
import { type AddressInfo, createServer, type Socket } from "node:net";

/** The part of a request that the tests look at. */
export interface ScriptedRequest {
  readonly path: string;
  readonly method: string;
  readonly query: URLSearchParams;
  /** The value of a header by its name in lower case. */
  readonly headers: ReadonlyMap<string, string>;
}

/** What the server does with one request. */
export type Reply = (socket: Socket, request: ScriptedRequest) => unknown;

/** A scripted server. */
export interface Script {
  readonly url: string;
  readonly port: number;
  /** The requests so far. */
  readonly requests: readonly ScriptedRequest[];
  /**
   * Returns the number of open connections that have sent a request. (On Node 20 `fetch` replaces an aborted connection by
   * an idle one, and closes that after 4 s.)
   */
  open(): number;
}

/** Runs `use` with a server that answers each request with the next reply, and none after the last reply. */
export async function scripted<T>(
  replies: readonly Reply[],
  use: (script: Script) => Promise<T>,
): Promise<T> {
  const requests: ScriptedRequest[] = [];
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
      requests.push(one);
      busy.add(socket);
      replies[requests.length - 1]?.(socket, one);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  try {
    return await use({ url: `http://127.0.0.1:${port}/events`, port, requests, open: () => busy.size });
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

function requestOf(head: string): ScriptedRequest {
  const [first = "", ...lines] = head.split("\r\n\r\n")[0]!.split("\r\n");
  const [, method = "", path = ""] = /^(\w+) (\S+)/.exec(first) ?? [];
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  return { method, path, query: new URL(path, "http://x").searchParams, headers: new Map(headers) };
}

/** Headers by name. */
export type Head = Readonly<Record<string, string>>;

/** Sends a whole response, and closes the connection. */
export function answers(status: number, headers: Head = {}, body: string = ""): Reply {
  const length = { Connection: "close", "Content-Length": `${bytesOf(body)}` };
  return (socket) =>
    socket.end(
      headOf(status, status === 204 ? { Connection: "close", ...headers } : { ...headers, ...length }) + body,
    );
}

/** Sends the beginning of a stream, and keeps it open. */
export function streams(contentType: string | undefined, ...texts: string[]): Reply {
  return (socket) => void socket.write(streamOf(contentType, texts));
}

/** Sends the beginning of a stream, and cuts the connection. Bun may drop what it has received then. */
export function cuts(contentType: string, ...texts: string[]): Reply {
  const body = texts.join("");
  const head = headOf(200, { "Content-Type": contentType, "Content-Length": `${bytesOf(body) + 1000}` });
  return (socket) => socket.end(head + body);
}

/** Sends a whole stream, and ends the response. */
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
