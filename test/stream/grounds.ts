/**
 * Grounds: transports of the streams of the properties, each with its time.
 *
 * @module
 */
import { connect } from "node:net";
import * as assert from "uvu/assert";
import { within } from "../support/harness.ts";
import { inVirtualTime } from "../support/virtual_time.ts";
import type { Life } from "./model.ts";

export type Way = "cancel" | "abort" | "both";
export const WAYS: readonly Way[] = ["cancel", "abort", "both"];

/** One open stream. */
export interface Stream {
  /** Returns the next bytes; `undefined` after the end. Rejects if the stream was cut off. */
  read(): Promise<Uint8Array | undefined>;
  leave(way: Way): Promise<void> | void;
}

export interface Ground {
  open(life: Life, path: string, headers: Record<string, string>): Stream;
  /** Whether bytes arrive as they were sent, so that each chunk ends with an event. */
  readonly keepsChunks: boolean;
  now(): number;
  /** Lets this many milliseconds pass, and the timers in them fire. */
  elapse(ms: number): Promise<void>;
  /** Returns the outcome of the promise. Rejects if it never settles. */
  settled<T>(promise: Promise<T>): Promise<T>;
}

function openHere({ app }: Life, path: string, headers: Record<string, string>): Stream {
  const abort = new AbortController();
  const opening = (async () => {
    const response = await app.request(path, { headers, signal: abort.signal });
    assert.is(response.status, 200);
    return response.body!.getReader();
  })();
  opening.catch(() => {}); // The next read rejects with it.
  return {
    read: async () => (await (await opening).read()).value,
    leave: async (way) => {
      if (way !== "cancel") abort.abort();
      if (way !== "abort") await (await opening).cancel().catch(() => {}); // It may have been cut off.
    },
  };
}

/** Streams over sockets that are read only on demand, in real time. */
export function onSockets(port: number): Ground {
  return {
    open: (_, path, headers) => openSocket(port, path, headers),
    keepsChunks: false,
    now: () => performance.now(),
    elapse: (ms) => new Promise((resolve) => void setTimeout(resolve, Math.min(ms, 15))),
    settled: (promise) => within(promise, "the outcome", 5000),
  };
}

function openSocket(port: number, path: string, headers: Record<string, string>): Stream {
  const socket = connect(port, "127.0.0.1");
  const lines = [`GET ${path} HTTP/1.1`, "Host: localhost"];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  socket.write(lines.join("\r\n") + "\r\n\r\n");
  const body = httpBody();
  let failure: Error | undefined;
  let wake = () => {};
  socket.on("data", (bytes: Uint8Array) => {
    socket.pause();
    try {
      body.push(bytes);
    } catch (error) {
      failure = error as Error;
    }
    wake();
  });
  socket.on("error", () => {}); // The close event follows.
  socket.once("close", () => {
    failure ??= new Error("the connection was cut");
    wake();
  });
  return {
    read: async () => {
      while (true) {
        const bytes = body.shift();
        if (bytes !== undefined) return bytes;
        if (body.isOver()) {
          socket.destroy();
          return undefined;
        }
        if (failure !== undefined) throw failure;
        await new Promise<void>((resolve) => {
          wake = resolve;
          socket.resume();
        });
      }
    },
    leave: (way) => {
      if (way === "cancel") socket.end();
      if (way === "abort") socket.resetAndDestroy();
      else socket.destroy();
    },
  };
}

/** Reads a response and its body (RFC 9112, sections 6 and 7), as far as they have arrived. */
function httpBody() {
  const parts: Uint8Array[] = [];
  let rest: Uint8Array = new Uint8Array(0);
  /** The length of the chunk that has begun, with the line end after it; or of the whole body. */
  let length: number | undefined;
  let stage: "head" | "chunks" | "whole" | "over" = "head";

  function takeLine(end: string): string | undefined {
    const at = Buffer.from(rest).indexOf(end);
    if (at < 0) return undefined;
    const line = new TextDecoder().decode(rest.subarray(0, at));
    rest = rest.subarray(at + end.length);
    return line;
  }

  function takeHead(): boolean {
    const head = takeLine("\r\n\r\n")?.toLowerCase();
    if (head === undefined) return false;
    const [, whole] = /\r\ncontent-length: (\d+)/.exec(head) ?? [];
    assert.ok(head.startsWith("http/1.1 200"), head);
    assert.ok(whole !== undefined || head.includes("\r\ntransfer-encoding: chunked"), head);
    stage = whole === undefined ? "chunks" : "whole";
    length = whole === undefined ? undefined : Number(whole);
    return true;
  }

  function takeChunk(): boolean {
    if (length === undefined) {
      const size = takeLine("\r\n");
      if (size === undefined) return false;
      assert.match(size, /^[0-9a-f]+$/i);
      length = Number.parseInt(size, 16) + 2;
    }
    if (rest.length < length) return false;
    assert.equal([...rest.subarray(length - 2, length)], [13, 10], "a chunk is as long as it says");
    if (length > 2) parts.push(rest.subarray(0, length - 2));
    else stage = "over";
    rest = rest.subarray(length);
    length = undefined;
    return true;
  }

  function takeWhole(): boolean {
    if (rest.length < length!) return false;
    parts.push(rest.subarray(0, length));
    rest = rest.subarray(length!);
    stage = "over";
    return true;
  }

  const takeNext = { head: takeHead, chunks: takeChunk, whole: takeWhole, over: () => false };
  return {
    push: (bytes: Uint8Array) => {
      rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
      while (takeNext[stage]()) { /* Takes the next part. */ }
      assert.ok(stage !== "over" || rest.length === 0, "nothing arrives after the end");
    },
    shift: () => parts.shift(),
    isOver: () => stage === "over",
  };
}

/** Streams in this process, in virtual time. */
export async function inThisProcess(use: (ground: Ground) => Promise<void>): Promise<void> {
  await inVirtualTime(({ now, elapse, settled }) => {
    return use({ open: openHere, keepsChunks: true, now, elapse, settled });
  });
}
