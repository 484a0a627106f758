/**
 * Helpers of all tests: waits with a limit, a server on a free port, and a client on a bare socket.
 *
 * @module
 */
import { connect, createServer, type Socket } from "node:net";
import { type Fetch, listen } from "../../src/server/listen.ts";
import { countTimers } from "./timers.ts";

/** Timers of the waits of a test, which {@linkcode timersLeftBy} does not count. */
const { setTimeout, clearTimeout } = globalThis;

/** The default limit of a wait. */
const DEFAULT_LIMIT_MS = 30_000;

/** Returns the outcome of the promise. Rejects with the label if that takes too long. */
export async function within<T>(
  promise: Promise<T>,
  label: string,
  ms: number = DEFAULT_LIMIT_MS,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${label}`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits until the condition holds. It is checked every few milliseconds. */
export async function until(
  condition: () => unknown,
  label: string,
  ms: number = DEFAULT_LIMIT_MS,
): Promise<void> {
  for (const end = Date.now() + ms; !(await condition());) {
    if (Date.now() > end) throw new Error(`waited ${ms} ms until ${label}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** An application with `fetch`, such as a Hono app. */
interface App {
  fetch(request: Request, ...rest: never[]): Response | Promise<Response>;
}

/** Serves the app on a free port while `use` runs. After that open connections are cut. */
export async function serving(app: App, use: (url: string, port: number) => Promise<void>): Promise<void> {
  const server = await listen(app.fetch as Fetch, { host: "127.0.0.1", port: 0 });
  try {
    await use(`http://127.0.0.1:${server.port}`, server.port);
  } finally {
    await server.stop(0);
  }
}

/**
 * Finds a free port that the system does not assign by itself.
 *
 * Systems assign ports from 32 768 on (Linux) or 49 152 on to outgoing connections, and to servers on port 0. Such a port may
 * be taken while a test restarts its server.
 */
export async function findFreePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = 15_000 + Math.floor(Math.random() * 17_000);
    if (await isFree(port)) return port;
  }
  throw new Error("no port from 15000 to 31999 is free");
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const isListening = await new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => resolve(true));
  });
  if (isListening) await new Promise((resolve) => server.close(resolve));
  return isListening;
}

/** The lines of a streamed response, heartbeats (empty lines) included. */
export interface Lines {
  /** Returns the next line without its end; `undefined` after the last. */
  next(): Promise<string | undefined>;
  /** Returns the next line that is not empty, parsed. Rejects if the stream has ended. */
  event(): Promise<Dictionary>;
  /** Returns the next events, as many as `count`. */
  events(count: number): Promise<Dictionary[]>;
  /** Returns all events to the end of the stream. */
  rest(): Promise<Dictionary[]>;
  /** Disconnects. */
  close(): Promise<void>;
}

/** An event as it was read, not validated. */
export interface Dictionary {
  readonly type: string;
  readonly subject?: string;
  // deno-lint-ignore no-explicit-any
  readonly event?: any;
  readonly id: string;
  readonly time: string;
}

/** Opens a stream by `fetch()`. Rejects if the response is not 200. */
export async function openLines(url: string, init: RequestInit = {}): Promise<Lines> {
  const controller = new AbortController();
  const response = await within(
    fetch(url, { signal: controller.signal, ...init }),
    `a response from ${url}`,
  );
  if (response.status !== 200 || response.body === null) {
    throw new Error(`${url} answers ${response.status}: ${await response.text()}`);
  }
  const lines = linesOf(response.body);
  const close = async () => {
    await lines.close();
    controller.abort(); // Before Bun 1.4 a body that is cancelled leaves the connection open.
  };
  return { ...lines, close };
}

/** Returns the lines of a body. */
export function linesOf(body: ReadableStream<Uint8Array>): Lines {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const lines: string[] = [];
  let rest = "";
  let done = false;

  async function next(): Promise<string | undefined> {
    while (lines.length === 0 && !done) {
      const read = await within(reader.read(), "a line");
      if (read.done) {
        done = true;
        if (rest !== "") throw new Error(`the stream ends in the middle of a line: ${rest}`);
      } else {
        const parts = (rest + decoder.decode(read.value, { stream: true })).split("\n");
        rest = parts.pop()!;
        lines.push(...parts);
      }
    }
    return lines.shift();
  }

  /** Returns the next line that is not empty, parsed; `undefined` after the last. */
  async function eventOrEnd(): Promise<Dictionary | undefined> {
    // Heartbeats do not make the wait longer.
    for (const end = Date.now() + DEFAULT_LIMIT_MS; Date.now() < end;) {
      const line = await next();
      if (line === undefined) return undefined;
      if (line !== "") return JSON.parse(line);
    }
    throw new Error(`waited ${DEFAULT_LIMIT_MS} ms for an event`);
  }

  async function event(): Promise<Dictionary> {
    const event = await eventOrEnd();
    if (event === undefined) throw new Error("the stream has ended");
    return event;
  }

  return {
    next,
    event,
    events: async (count) => {
      const events = [];
      while (events.length < count) events.push(await event());
      return events;
    },
    rest: async () => {
      const events = [];
      for (let event; (event = await eventOrEnd()) !== undefined;) events.push(event);
      return events;
    },
    close: () => reader.cancel(),
  };
}

/** A client on a bare socket. */
export interface Wire {
  readonly socket: Socket;
  /** All bytes received so far, as text. */
  received(): string;
  /** All bytes received so far. */
  bytes(): Uint8Array;
  write(bytes: string | Uint8Array): void;
  /** Resolves when the server has closed the connection. */
  readonly closed: Promise<void>;
}

/** Opens a connection on a bare socket. */
export async function openWire(port: number): Promise<Wire> {
  const socket = connect(port, "127.0.0.1");
  const chunks: Uint8Array[] = [];
  socket.on("data", (chunk: Uint8Array) => chunks.push(chunk));
  socket.on("error", () => {}); // Some tests are about resets.
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  await within(new Promise<void>((resolve) => socket.once("connect", () => resolve())), "a connection");
  return {
    socket,
    received: () => Buffer.concat(chunks).toString("utf8"),
    bytes: () => Buffer.concat(chunks),
    write: (bytes) => void socket.write(bytes),
    closed,
  };
}

/**
 * Counts the timers that `use` leaves behind.
 *
 * @param atLeast the shortest timer that counts, in milliseconds: `fetch` on Node has short ones of its own
 * @returns the number of timers set while it ran that were neither cleared nor fired
 */
export async function timersLeftBy(use: () => Promise<void>, atLeast: number = 0): Promise<number> {
  const timers = countTimers(atLeast);
  try {
    await use();
    // A timer that fires soon and is not set again was not left behind (Node's adapter has one of 500 ms).
    for (const end = Date.now() + 1000; timers.running() > 0 && Date.now() < end;) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return timers.running();
  } finally {
    timers.end();
  }
}
