/**
 * Sinks: where the bytes of one subscriber go.
 *
 * @module
 */

/**
 * One open response. The hub writes to it only after {@linkcode pollReady} has said yes.
 *
 * Sinks are classes, because there is one for each connection: closures made anew would be a good part of what an idle
 * connection weighs.
 */
export interface Sink {
  /** The body of the response; `undefined` once the bytes take another way. */
  readonly body: ReadableStream<Uint8Array> | undefined;
  /** A number that changes when the client takes some of what was written, as far as that can be seen. */
  readonly pending: number;
  /** Reports whether it takes more bytes now. If not, it calls `hub.pull` as soon as it does. */
  pollReady(): boolean;
  /** Sends the bytes, which are shared and never changed. Does not call `hub.pull` before it returns. */
  write(bytes: Uint8Array): void;
  /** Ends the response after what was written. */
  end(): void;
  /**
   * Cuts the response off, with whatever of it is still unread.
   *
   * @param reason a server may show this text where it shows errors
   */
  abort(reason: string): void;
  /** Reports the subscriber as disconnected when the signal aborts. */
  listenTo(signal: AbortSignal): void;
  /** Called once, when nothing more will be written. */
  release(): void;
}
