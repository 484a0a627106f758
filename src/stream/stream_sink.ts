/**
 * The outlet of a response's stream: where a subscriber's bytes go, whatever the server.
 *
 * @module
 */
import type { Hub, Sink, Subscriber } from "./hub.ts";
import { segmentsOf } from "./segments.ts";

/**
 * The source of a response's stream, which is the outlet of its subscriber. Once the stream was made with it, which
 * gives it its controller, it takes bytes; what else it does it does for its subscriber.
 *
 * A class, because there is one for each connection: what it can do costs nothing there, where as many functions
 * made anew would be a good part of what an idle connection weighs.
 */
export class StreamSink implements Sink, UnderlyingDefaultSource<Uint8Array> {
  readonly #feed: Hub;
  readonly #parks: boolean;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #subscriber: Subscriber | undefined;
  #unpark: (() => void) | undefined;
  #signal: AbortSignal | undefined;
  /** Whether pieces are being given to the stream, which may ask for more after each. */
  #isWriting = false;

  /**
   * An outlet for a subscriber of the feed.
   *
   * @param parks whether `pull` is left pending while there is nothing to give, so that the stream does not ask again
   *   after each chunk that is pushed
   */
  constructor(feed: Hub, parks: boolean) {
    this.#feed = feed;
    this.#parks = parks;
  }

  /** Takes the stream's controller: called once by the stream. */
  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller;
  }

  /** Lets the subscriber go on: called by the stream when it wants more. */
  pull(): Promise<void> | undefined {
    this.#feed.pull(this.#subscriber!);
    if (this.#parks && this.#hasRoom()) return new Promise((resolve) => this.#unpark = resolve);
  }

  /** The reader has left: called by the stream. */
  cancel(): void {
    this.#feed.leave(this.#subscriber!);
  }

  /** Names the subscriber whose outlet this is. */
  serve(subscriber: Subscriber): void {
    this.#subscriber = subscriber;
  }

  /** Listens to a signal that tells when the reader has left, until the subscriber leaves. */
  listenTo(signal: AbortSignal): void {
    if (signal.aborted) return this.handleEvent();
    this.#signal = signal;
    signal.addEventListener("abort", this, { once: true });
  }

  /** The reader has left, or the response is over: called by whatever can tell. */
  handleEvent(): void {
    this.#feed.leave(this.#subscriber!);
    try {
      this.end();
    } catch {
      // It was closed, cancelled or cut.
    }
  }

  get ready(): boolean {
    if (this.#isWriting) return false;
    const ready = this.#hasRoom();
    if (!ready && this.#unpark !== undefined) {
      this.#unpark(); // It has fallen behind: from now on it has to ask.
      this.#unpark = undefined;
    }
    return ready;
  }

  get pending(): number {
    return -(this.#controller!.desiredSize ?? 0);
  }

  write(bytes: Uint8Array): void {
    this.#isWriting = true;
    for (const piece of segmentsOf(bytes)) this.#controller!.enqueue(piece);
    this.#isWriting = false;
  }

  end(): void {
    this.#controller!.close();
  }

  abort(reason: string): void {
    this.#controller!.error(reason);
  }

  release(): void {
    this.#signal?.removeEventListener("abort", this);
  }

  #hasRoom(): boolean {
    return (this.#controller!.desiredSize ?? 0) > 0;
  }
}
