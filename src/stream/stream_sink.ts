/**
 * The sink that is the source of a response's stream: where the bytes go on every server.
 *
 * @module
 */
import type { Hub } from "./hub.ts";
import { segmentsOf } from "./segments.ts";
import type { Sink } from "./sink.ts";
import type { Subscriber } from "./subscriber.ts";

/** A sink, and the source of the `ReadableStream` that is its body. */
export class StreamSink implements Sink, UnderlyingDefaultSource<Uint8Array> {
  readonly body: ReadableStream<Uint8Array>;
  readonly #hub: Hub;
  readonly #subscriber: Subscriber;
  readonly #parks: boolean;
  /** Set by {@linkcode start}, which the constructor of the stream calls. */
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #unpark: (() => void) | undefined;
  #signal: AbortSignal | undefined;
  /** Whether segments are being enqueued; the stream may ask for more after each. */
  #isWriting = false;

  /**
   * Makes a sink and its stream.
   *
   * @param parks whether `pull` stays pending while there is nothing to send, so that the stream does not ask again after
   *   each chunk that is enqueued
   */
  constructor(hub: Hub, subscriber: Subscriber, parks: boolean) {
    this.#hub = hub;
    this.#subscriber = subscriber;
    this.#parks = parks;
    this.body = new ReadableStream(this);
  }

  /** Takes the stream's controller: called by the stream. */
  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller;
  }

  /** Lets the subscriber go on: called by the stream when it wants more. */
  pull(): Promise<void> | undefined {
    this.#hub.pull(this.#subscriber);
    if (this.#parks && this.#hasRoom()) return new Promise((resolve) => this.#unpark = resolve);
  }

  /** Removes the subscriber: called by the stream when its reader cancels. */
  cancel(): void {
    this.#hub.leave(this.#subscriber);
  }

  listenTo(signal: AbortSignal): void {
    if (signal.aborted) return this.handleEvent();
    this.#signal = signal;
    signal.addEventListener("abort", this, { once: true });
  }

  /** Removes the subscriber: called by the signal. */
  handleEvent(): void {
    this.#hub.leave(this.#subscriber);
  }

  get pending(): number {
    return -(this.#controller.desiredSize ?? 0);
  }

  pollReady(): boolean {
    if (this.#isWriting) return false;
    const isReady = this.#hasRoom();
    if (!isReady && this.#unpark !== undefined) {
      this.#unpark(); // It has fallen behind: from now on it has to ask.
      this.#unpark = undefined;
    }
    return isReady;
  }

  write(bytes: Uint8Array): void {
    this.#isWriting = true;
    for (const segment of segmentsOf(bytes)) this.#controller.enqueue(segment);
    this.#isWriting = false;
  }

  end(): void {
    this.#controller.close();
  }

  abort(reason: string): void {
    this.#controller.error(reason);
  }

  release(): void {
    this.#signal?.removeEventListener("abort", this);
  }

  #hasRoom(): boolean {
    return (this.#controller.desiredSize ?? 0) > 0;
  }
}
