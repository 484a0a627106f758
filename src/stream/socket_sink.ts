/**
 * An outlet that takes a response of `node:http` over from its stream, as soon as nothing stands between the two.
 *
 * @module
 */
import type { Hub, Sink, Subscriber } from "./hub.ts";
import type { StreamSink } from "./stream_sink.ts";
import { segmentsOf } from "./segments.ts";

/** As much of Node's sockets as is used here. */
interface Socket {
  write(bytes: Uint8Array): boolean;
  once(event: "drain", listener: () => void): unknown;
  destroy(): unknown;
}

/** As much of Node's `ServerResponse` as is used here. */
export interface NodeResponse {
  write(chunk: Uint8Array, ...rest: unknown[]): boolean;
  end(...rest: unknown[]): unknown;
  on(event: "close", listener: () => void): unknown;
  destroy(): unknown;
  /** Whether it is over, or its connection is gone. */
  readonly destroyed?: boolean;
  /** Whether it was ended. */
  readonly writableEnded: boolean;
  /** Whether its body goes out in chunks (RFC 9112, section 7.1). */
  readonly chunkedEncoding?: boolean;
  /** The connection it goes out on, while it has one. */
  readonly socket: Socket | null;
}

/**
 * An outlet that starts with the stream and goes over to the socket behind it: there the bytes that all subscribers
 * share are framed once, and a delivery costs one write instead of a promise, a read and three writes.
 *
 * The first bytes go the ordinary way, so the head of the response is whatever the application and its middleware
 * make it. Once the very objects that were put into the stream have arrived at the response, the stream is ended
 * unseen and let go, with all that hangs on it, and what follows is written to the socket; if something else arrives,
 * it stays with the stream. A middleware that looks at the body and changes some of it cannot be told from one that
 * does not, so this is for applications that have none.
 */
export class SocketSink implements Sink {
  readonly #feed: Hub;
  readonly #outgoing: NodeResponse;
  /** Where the bytes go until they go to the socket. */
  #stream: StreamSink | undefined;
  #socket: Socket | undefined;
  #subscriber: Subscriber | undefined;
  #full = false;
  /** What of the last write the socket has not been given, because it has not taken what comes before. */
  #rest: readonly Uint8Array[] = [];
  /** What was put into the stream and has not arrived at the response. */
  #underWay: Uint8Array[] | undefined = [];
  /** Whether what goes out is known to be what was put into the stream. */
  #hasArrived = false;
  /** Ends the response, for as long as its own `end` is not to be listened to. */
  #end: NodeResponse["end"] | undefined;

  /** An outlet over the stream, to which nothing was written yet, and the response it will arrive at. */
  constructor(feed: Hub, stream: StreamSink, outgoing: NodeResponse) {
    this.#feed = feed;
    this.#stream = stream;
    this.#outgoing = outgoing;
    // Somebody else reads what is written there: it goes the ordinary way, for them to see all of it.
    if (Object.hasOwn(outgoing, "write")) return;
    const { write } = outgoing;
    outgoing.write = (chunk, ...rest) => {
      const arrived = this.#underWay?.shift() === chunk;
      const hasArrived = arrived && this.#underWay?.length === 0;
      this.#hasArrived = hasArrived;
      if (!arrived || hasArrived) {
        outgoing.write = write;
        this.#underWay = undefined;
      }
      const taken = write.call(outgoing, chunk, ...rest);
      if (hasArrived && outgoing.chunkedEncoding && outgoing.socket !== null) {
        this.#takeOver(outgoing.socket, taken);
      }
      return taken;
    };
  }

  /** Names the subscriber whose outlet this is. */
  serve(subscriber: Subscriber): void {
    this.#subscriber = subscriber;
    this.#stream?.serve(subscriber);
  }

  /** The response is over, or its connection is gone. */
  handleEvent(): void {
    this.#feed.leave(this.#subscriber!);
    this.#stream?.handleEvent();
  }

  get ready(): boolean {
    return this.#stream?.ready ?? !this.#full;
  }

  get pending(): number {
    return this.#stream?.pending ?? this.#rest.length;
  }

  write(bytes: Uint8Array): void {
    if (this.#stream !== undefined) {
      this.#underWay?.push(...segmentsOf(bytes));
      return this.#stream.write(bytes);
    }
    if (this.#isOver()) throw new Error("the response is over");
    this.#writeAll(segmentsOf(framed(bytes)));
  }

  end(): void {
    if (this.#stream !== undefined) {
      this.#underWay = undefined; // It ends the ordinary way.
      return this.#stream.end();
    }
    (this.#end ?? this.#outgoing.end).call(this.#outgoing);
  }

  abort(reason: string): void {
    // What goes out may be somebody else's response by now, who has dropped ours.
    if (this.#stream !== undefined && !this.#hasArrived) return this.#stream.abort(reason);
    this.#outgoing.destroy();
  }

  release(): void {
    this.#underWay = undefined; // What has not been taken over by now never is.
  }

  #takeOver(socket: Socket, taken: boolean): void {
    const outgoing = this.#outgoing;
    const stream = this.#stream!;
    this.#stream = undefined;
    this.#socket = socket;
    // Whoever carries the stream to the response ends the response after it, which is not over for that.
    const end = this.#end = outgoing.end;
    outgoing.end = () => {
      this.#end = undefined;
      outgoing.end = end;
      return outgoing;
    };
    stream.end();
    // From now on the stream asks for nothing any more.
    if (taken) this.#feed.pull(this.#subscriber!);
    else this.#waitForRoom();
  }

  /** Writes the pieces for as long as the socket takes them, and the rest when it takes more. */
  #writeAll(pieces: readonly Uint8Array[]): void {
    let written = 0;
    while (written < pieces.length && !this.#full) {
      if (!this.#socket!.write(pieces[written++]!)) this.#waitForRoom();
    }
    this.#rest = pieces.slice(written);
  }

  #waitForRoom(): void {
    this.#full = true;
    this.#socket!.once("drain", () => this.#goOn());
  }

  #goOn(): void {
    // Where somebody else has ended it within a chunk, nothing could be read of what would follow on the connection.
    if (this.#rest.length > 0 && this.#isOver()) return void this.#socket!.destroy();
    this.#full = false;
    this.#writeAll(this.#rest);
    if (!this.#full) this.#feed.pull(this.#subscriber!);
  }

  /** Whether what is written to the socket now would be another response's. */
  #isOver(): boolean {
    const { writableEnded, socket } = this.#outgoing;
    return writableEnded || socket !== this.#socket;
  }
}

const frames = new WeakMap<Uint8Array, Uint8Array>();

/** The bytes as one chunk of a chunked body; the same frame for the same bytes. */
function framed(bytes: Uint8Array): Uint8Array {
  let frame = frames.get(bytes);
  if (frame === undefined) {
    const head = new TextEncoder().encode(`${bytes.length.toString(16)}\r\n`);
    frame = new Uint8Array(head.length + bytes.length + 2);
    frame.set(head);
    frame.set(bytes, head.length);
    frame.set([0x0d, 0x0a], head.length + bytes.length);
    frames.set(bytes, frame);
  }
  return frame;
}
