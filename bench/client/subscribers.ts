/**
 * The load client where there is no C compiler (or no epoll): subscribers.c in JavaScript, with the same
 * arguments and the same lines on stdin and stdout. See there.
 */
import { Buffer } from "node:buffer";
import { writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import process from "node:process";
import { createInterface } from "node:readline";
import { alignClock, microseconds } from "../servers/event.ts";
import { lineEnd, type Reader, Reference } from "./reference.ts";

const CONNECTING_AT_ONCE = 64;
const QUIET_MS = 100;
const LISTEN_ON_MS = 60;
const NEWLINE = 10;

const [port, path, format, ...rest] = process.argv.slice(2);
const [count = 0, stalled = 0, wantStart = 0, latency = 0] = rest.map(Number);
const referenceFile = rest[4] ?? "";
const sse = format === "sse";

/** Written at once, as the process may end right after. */
function say(message: object): void {
  writeFileSync(1, JSON.stringify(message) + "\n");
}

function fault(text: string): never {
  say({ fault: text });
  process.exit(1);
}

/**
 * The bytes of a connection's buffer: few for one that will stall, else enough for the largest reads. The
 * kernel's own buffers are out of reach from here, where the native client makes them small: they swallow the
 * first megabytes.
 */
function bufferBytes(number: number): number {
  return number < stalled ? 4096 : Math.min(2 ** 18, Math.ceil(2 ** 28 / count));
}

const reference = new Reference(sse, latency === 1, fault);
let armed = false;
let opened = 0;
let heads = 0;
let started = 0;
let lastByteAt = 0;
let expected = -1;
let progressAt = 0;

class Connection {
  readonly reader: Reader;
  #socket: Socket | undefined;
  #state: "head" | "size" | "data" | "end" | "identity" = "head";
  #text = ""; // what has come of the head, or of a chunk's size
  #chunkLeft = 0;
  #preamble = 0;
  #preambleEnd = 0;

  constructor(number: number) {
    this.reader = { number, position: 0, measured: 0, inHeartbeat: false };
  }

  open(): void {
    const { number } = this.reader;
    const buffer = Buffer.allocUnsafeSlow(bufferBytes(number));
    const callback = (length: number): boolean => {
      this.#feed(buffer.subarray(0, length));
      return true;
    };
    const accept = sse ? "text/event-stream" : "application/x-ndjson";
    this.#socket = connect({
      host: "127.0.0.1",
      port: Number(port),
      noDelay: true,
      onread: { buffer, callback },
    });
    this.#socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAccept: ${accept}\r\nTE: chunked\r\n\r\n`,
    );
    this.#socket.on("error", (error) => fault(`connection ${number}: ${error.message}`));
    this.#socket.on("close", () => fault(`connection ${number}: closed by the server`));
  }

  begin(): void {
    const { number } = this.reader;
    if (this.#preamble && this.#preambleEnd !== NEWLINE) {
      fault(`connection ${number}: the start does not end a line`);
    }
    if (number < stalled) this.#socket?.pause();
  }

  /** Takes HTTP/1.1 apart, however it was cut into reads. */
  #feed(bytes: Buffer): void {
    lastByteAt = Date.now();
    for (let i = 0; i < bytes.length;) {
      const inBody = this.#state === "data" || this.#state === "identity";
      const end = this.#state === "data"
        ? Math.min(bytes.length, i + this.#chunkLeft)
        : inBody
        ? bytes.length
        : lineEnd(bytes, i);
      if (inBody) this.#takeBody(bytes.subarray(i, end));
      else this.#takeText(bytes.toString("latin1", i, end));
      i = end;
    }
  }

  #takeText(text: string): void {
    const { number } = this.reader;
    this.#text += text;
    if (!this.#text.endsWith(this.#state === "head" ? "\r\n\r\n" : "\n")) return;
    if (this.#state === "head") {
      if (!this.#text.startsWith("HTTP/1.1 200")) fault(`connection ${number}: ${this.#text.slice(0, 12)}`);
      this.#state = /\r\ntransfer-encoding: chunked\r\n/i.test(this.#text) ? "size" : "identity";
      heads++;
      openMore();
    } else if (this.#state === "size") {
      this.#chunkLeft = parseInt(this.#text, 16);
      if (!this.#chunkLeft) fault(`connection ${number}: the server ended the response`);
      this.#state = "data";
    } else this.#state = "size";
    this.#text = "";
  }

  #takeBody(bytes: Buffer): void {
    this.#chunkLeft -= bytes.length;
    if (this.#state === "data" && this.#chunkLeft === 0) this.#state = "end";
    if (armed) {
      if (!reference.take(this.reader, bytes)) return;
      progressAt = microseconds();
      answerExpected();
      return;
    }
    if (this.#preamble === 0) started++;
    this.#preamble += bytes.length;
    this.#preambleEnd = bytes[bytes.length - 1] ?? 0;
  }
}

const connections = Array.from({ length: count }, (_, number) => new Connection(number));

function openMore(): void {
  while (opened < count && opened - heads < CONNECTING_AT_ONCE) connections[opened++]?.open();
}

/** How many of those who read do not have so many events. */
function behind(events: number): number {
  const end = reference.endOf(events);
  return connections.filter(({ reader }) => reader.number >= stalled && reader.position < end).length;
}

function answerExpected(): void {
  if (expected < 0 || reference.events < expected || behind(expected) > 0) return;
  expected = -1;
  say({ reached: reference.events, at: progressAt });
}

function finish(): void {
  const { events, heartbeats } = reference;
  writeFileSync(referenceFile, reference.stream);
  const [p50, p99, max] = [.5, .99, 1].map((share) => reference.latencyQuantile(share));
  say({ finished: events, heartbeats, behind: behind(events), p50, p99, max });
  process.exit(0);
}

alignClock();
openMore();
const starting = setInterval(() => {
  if (heads < count || (wantStart && started < count) || Date.now() - lastByteAt < QUIET_MS) return;
  clearInterval(starting);
  for (const connection of connections) connection.begin();
  armed = true;
  say({ connected: count });
}, 10);

createInterface({ input: process.stdin })
  .on("line", (line) => {
    if (line.startsWith("expect ")) {
      expected = Number(line.slice(7));
      answerExpected();
    } else if (line === "mark") reference.forgetLatencies();
    else if (line === "finish") setTimeout(finish, LISTEN_ON_MS);
  })
  .on("close", () => process.exit(0));
