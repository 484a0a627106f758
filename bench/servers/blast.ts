/**
 * Not a peer: a source that does nothing but write, all events of a turn as one piece of bytes made once, to
 * show how much the load client takes. It follows plans as every other server does.
 */
import { Buffer } from "node:buffer";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { takePlans } from "./control.ts";
import { dictionary, START_LINE, type Tick } from "./event.ts";

const HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";

const subscribers = new Set<Socket>();
let lines = "";

function httpChunk(body: string): string {
  return `${Buffer.byteLength(body).toString(16)}\r\n${body}\r\n`;
}

const server = createServer((socket) => {
  socket.on("error", () => {}).on("close", () => subscribers.delete(socket));
  socket.once("data", () => {
    socket.write(HEAD + httpChunk(START_LINE));
    subscribers.add(socket);
  });
});

function flush(): void {
  const piece = Buffer.from(httpChunk(lines));
  lines = "";
  for (const socket of subscribers) socket.write(piece);
}

function publish(tick: Tick): void {
  if (lines === "") setImmediate(flush);
  lines += dictionary(tick) + "\n";
}

server.listen(0, "127.0.0.1", () => takePlans((server.address() as AddressInfo).port, publish));
