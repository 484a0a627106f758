/**
 * The sink that takes a response of `node:http` over from its stream, as soon as nothing stands between the two.
 *
 * @module
 */
import type { Hub } from "./hub.ts";
import type { NodeResponse, NodeSocket } from "./node_response.ts";
import { segmentsOf } from "./segments.ts";
import type { Sink } from "./sink.ts";
import type { StreamSink } from "./stream_sink.ts";
import type { Subscriber } from "./subscriber.ts";

/**
 * The most segments that may be on their way through the stream when another is written. A stream holds one write, and
 * the adapter reads up to three before it writes the head; a middleware that keeps more back does not pass them on.
 */
const MAX_UNDER_WAY = 16;

const NONE: readonly Uint8Array[] = [];

/**
 * A sink that begins with the stream and moves to the socket behind it: there the bytes that all subscribers share are
 * framed once, and a delivery costs one write instead of a promise, a read and three writes.
 *
 * The first bytes go the ordinary way, so the head of the response is what the application and its middleware make of
 * it. Once the very objects that were put into the stream have arrived at the response, and the response has confirmed
 * that they have left it, the stream is ended unseen and released, and what follows is written to the socket. If
 * something else arrives, the sink stays with the stream. A middleware that changes only some of the body looks like
 * one that changes nothing, so this is for applications without such middleware.
 *
 * The confirmation is the callback of `write`, which Node promises to call when the chunk is flushed. Until then bytes on
 * the socket would overtake it: Node corks the message (from 26.9 on) or the socket until the next tick, and middleware
 * or a pipelined response before it can hold it back longer.
 */
export class SocketSink implements Sink {
  readonly #hub: Hub;
  readonly #subscriber: Subscriber;
  readonly #response: NodeResponse;
  /** Where the bytes go until they go to the socket. */
  #stream: StreamSink | undefined;
  #socket: NodeSocket | undefined;
  #isFull = false;
  /** The segments of the last write that the socket was not given, because it was full. */
  #unsent = NONE;
  /** What was put into the stream and has not arrived at the response; `undefined` once it stays with the stream. */
  #underWay: Uint8Array[] | undefined;
  /** Whether what goes out is known to be what was put into the stream. */
  #hasArrived = false;
  /** Whether all that was put into the stream has arrived at the response, which has not confirmed it. */
  #isFlushing = false;
  /** Ends the response while its own `end` is ignored. */
  #end: NodeResponse["end"] | undefined;

  /** Makes a sink over a stream to which nothing was written yet, and the response it will arrive at. */
  constructor(hub: Hub, subscriber: Subscriber, stream: StreamSink, response: NodeResponse) {
    this.#hub = hub;
    this.#subscriber = subscriber;
    this.#stream = stream;
    this.#response = response;
    // If the application wants to see what is written there, all of it has to go the ordinary way.
    if (!Object.hasOwn(response, "write")) this.#watchArrivals();
  }

  get body(): ReadableStream<Uint8Array> | undefined {
    return this.#stream?.body;
  }

  get pending(): number {
    if (this.#isFlushing) return 0;
    return this.#stream?.pending ?? this.#unsent.length;
  }

  pollReady(): boolean {
    if (this.#stream === undefined) return !this.#isFull;
    return this.#stream.pollReady() && !this.#isFlushing;
  }

  write(bytes: Uint8Array): void {
    if (this.#stream !== undefined) {
      const segments = segmentsOf(bytes);
      if (this.#underWay !== undefined && this.#underWay.length > MAX_UNDER_WAY) this.#underWay = undefined;
      this.#underWay?.push(...segments);
      return this.#stream.write(bytes);
    }
    if (this.#isOver()) throw new Error("the response is over");
    this.#writeAll(segmentsOf(framed(bytes)));
  }

  end(): void {
    if (this.#stream !== undefined) return this.#stream.end();
    if (this.#response.destroyed) return;
    (this.#end ?? this.#response.end).call(this.#response);
  }

  abort(reason: string): void {
    // What goes out may be another response, with which a middleware has replaced this one.
    if (this.#stream !== undefined && !this.#hasArrived) return this.#stream.abort(reason);
    this.#response.destroy();
  }

  listenTo(signal: AbortSignal): void {
    this.#stream?.listenTo(signal);
  }

  release(): void {
    this.#underWay = undefined; // It is too late to take the response over.
    this.#stream?.release();
  }

  /** Compares what is written to the response with what was put into the stream. */
  #watchArrivals(): void {
    const response = this.#response;
    const { write } = response;
    this.#underWay = [];
    response.write = (chunk, ...rest) => {
      const isOurs = this.#underWay?.shift() === chunk;
      if (isOurs && this.#underWay!.length > 0) return write.call(response, chunk, ...rest);
      response.write = write;
      this.#hasArrived = isOurs;
      if (!isOurs || !response.chunkedEncoding || response.socket === null) {
        this.#underWay = undefined;
        return write.call(response, chunk, ...rest);
      }
      this.#isFlushing = true;
      const callback = rest.find((argument) => typeof argument === "function");
      return write.call(response, chunk, (error?: unknown) => {
        callback?.(error);
        this.#onFlushed(error);
      });
    };
  }

  #onFlushed(error: unknown): void {
    const { socket } = this.#response;
    this.#isFlushing = false;
    if (error || socket === null || this.#underWay === undefined) this.#underWay = undefined;
    else this.#takeOver(socket);
    this.#hub.pull(this.#subscriber);
  }

  #takeOver(socket: NodeSocket): void {
    const response = this.#response;
    const stream = this.#stream!;
    this.#stream = undefined;
    this.#underWay = undefined;
    this.#socket = socket;
    // What carries the stream to the response ends the response after it, but this one is not over.
    const end = this.#end = response.end;
    response.end = () => {
      this.#end = undefined;
      response.end = end;
      return response;
    };
    stream.release();
    stream.end(); // It does not ask for more from now on.
  }

  /** Writes the segments as long as the socket takes them, and the rest when it takes more. */
  #writeAll(segments: readonly Uint8Array[]): void {
    let written = 0;
    while (written < segments.length && !this.#isFull) {
      if (!this.#socket!.write(segments[written++]!)) this.#waitForRoom();
    }
    this.#unsent = written < segments.length ? segments.slice(written) : NONE;
  }

  #waitForRoom(): void {
    this.#isFull = true;
    this.#socket!.once("drain", () => this.#resume());
  }

  #resume(): void {
    // If it was ended within a chunk, nothing that follows on the connection could be read.
    if (this.#unsent.length > 0 && this.#isOver()) return void this.#socket!.destroy();
    this.#isFull = false;
    this.#writeAll(this.#unsent);
    if (!this.#isFull) this.#hub.pull(this.#subscriber);
  }

  /** Whether what is written to the socket now would be part of another response. */
  #isOver(): boolean {
    const { writableEnded, socket } = this.#response;
    return writableEnded || socket !== this.#socket;
  }
}

/** Bytes of this size or more keep their frame: readers that replay come to the same ones at different times. */
const KEPT_FRAME_BYTES = 16 * 1024;

const frames = new WeakMap<Uint8Array, Uint8Array>();
/** The smaller bytes that were framed last in this turn: what is delivered to all goes to one reader after the other. */
let lastBytes: Uint8Array | undefined;
let lastFrame: Uint8Array | undefined;

/** The bytes as one chunk of a chunked body; the same frame for the same bytes. */
function framed(bytes: Uint8Array): Uint8Array {
  if (bytes === lastBytes) return lastFrame!;
  const isKept = bytes.length >= KEPT_FRAME_BYTES;
  const known = isKept ? frames.get(bytes) : undefined;
  if (known !== undefined) return known;
  const frame = frameOf(bytes);
  if (isKept) frames.set(bytes, frame);
  else keepForThisTurn(bytes, frame);
  return frame;
}

/** Keeps a frame until the turn ends: what is kept longer may be of an event that is erased then. */
function keepForThisTurn(bytes: Uint8Array, frame: Uint8Array): void {
  if (lastBytes === undefined) queueMicrotask(() => lastBytes = lastFrame = undefined);
  [lastBytes, lastFrame] = [bytes, frame];
}

/** Frames bytes: their length in hexadecimal digits, and a line end before and after them (RFC 9112, section 7.1). */
function frameOf(bytes: Uint8Array): Uint8Array {
  const size = bytes.length.toString(16);
  const frame = new Uint8Array(size.length + bytes.length + 4);
  for (let i = 0; i < size.length; i++) frame[i] = size.charCodeAt(i);
  frame.set(LINE_END, size.length);
  frame.set(bytes, size.length + 2);
  frame.set(LINE_END, frame.length - 2);
  return frame;
}

const LINE_END = [0x0d, 0x0a];
