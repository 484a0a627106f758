/**
 * Outlets: where a subscriber's bytes go. The controller of the response's stream, and on Node, as soon as nothing
 * stands between the two, the response of `node:http` itself.
 *
 * @module
 */
import type { Outlet } from "./feed.ts";

/** As much of Node's sockets as is used here. */
interface Socket {
  write(bytes: Uint8Array): boolean;
  on(event: "drain", listener: () => void): unknown;
  off(event: "drain", listener: () => void): unknown;
}

/** As much of Node's `ServerResponse` as is used here. */
export interface Outgoing {
  write(chunk: Uint8Array, ...rest: unknown[]): boolean;
  on(event: "close", listener: () => void): unknown;
  off(event: "close", listener: () => void): unknown;
  destroy(): unknown;
  /** Whether it was ended: what is written to its socket now would be another response's. */
  readonly writableEnded: boolean;
  /** Whether its body goes out in chunks (RFC 9112, section 7.1). */
  readonly chunkedEncoding?: boolean;
  /** The connection it goes out on, while it has one. */
  readonly socket: Socket | null;
}

/** An outlet over a stream of bytes. */
export interface StreamOutlet extends Outlet {
  /**
   * To be returned by the stream's `pull`, when the subscriber has been given all there is: while it is pending the
   * stream does not ask again after each chunk that is pushed, which is most of what a chunk costs on Deno.
   */
  parked(): Promise<void> | undefined;
}

/** An outlet over the controller of a stream of bytes. */
export function streamOutlet(controller: ReadableStreamDefaultController<Uint8Array>): StreamOutlet {
  let unpark: (() => void) | undefined;

  return {
    get ready() {
      const ready = (controller.desiredSize ?? 0) > 0;
      if (!ready && unpark !== undefined) {
        unpark(); // It has fallen behind: from now on it has to ask.
        unpark = undefined;
      }
      return ready;
    },
    parked: () => (controller.desiredSize ?? 0) > 0 ? new Promise((resolve) => unpark = resolve) : undefined,
    write: (bytes) => controller.enqueue(bytes),
    end: () => controller.close(),
    cut: (reason) => controller.error(reason),
    release: () => {},
  };
}

/**
 * An outlet that starts with the stream and goes over to the socket behind it: there the bytes that all subscribers
 * share are framed once, and a delivery costs one write instead of a promise, a read and three writes.
 *
 * The first bytes go the ordinary way, so the head of the response is whatever the application and its middleware
 * make it. Once the very objects that were put into the stream have arrived at the response, what follows is written
 * there; if something else arrives, it stays with the stream. A middleware that looks at the body and changes some
 * of it cannot be told from one that does not, so this is for applications that have none.
 *
 * @param stream the outlet over the stream, nothing written to it yet
 * @param onReady called when the outlet takes more again
 */
export function socketOutlet(stream: Outlet, outgoing: Outgoing, onReady: () => void): Outlet {
  /** What was put into the stream and has not arrived at the response. */
  const underWay: Uint8Array[] = [];
  let socket: Socket | undefined;
  let ready = true;

  function onDrain(): void {
    ready = true;
    onReady();
  }

  const write = outgoing.write;
  outgoing.write = (chunk, ...rest) => {
    const arrived = underWay[0] === chunk;
    underWay.shift();
    if (!arrived || underWay.length === 0) outgoing.write = write;
    const result = write.call(outgoing, chunk, ...rest);
    if (arrived && underWay.length === 0 && outgoing.chunkedEncoding && outgoing.socket !== null) {
      socket = outgoing.socket;
      ready = result;
      socket.on("drain", onDrain);
    }
    return result;
  };

  return {
    get ready() {
      return socket === undefined ? stream.ready : ready;
    },
    write: (bytes) => {
      if (socket !== undefined) {
        if (outgoing.writableEnded || outgoing.socket !== socket) throw new Error("the response is over");
        ready = socket.write(framed(bytes));
      } else {
        underWay.push(bytes);
        stream.write(bytes);
      }
    },
    end: () => stream.end(),
    cut: (reason) => {
      // An error in the stream would be written into the response by the server, for the client to read.
      if (reason instanceof Error) console.error(reason);
      outgoing.destroy();
    },
    release: () => socket?.off("drain", onDrain),
  };
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
