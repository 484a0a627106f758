/**
 * The response of `node:http`, as far as it is used here: the core imports no module of a runtime.
 *
 * @module
 */

/** The part of Node's sockets that is used here. */
export interface NodeSocket {
  write(bytes: Uint8Array): boolean;
  once(event: "drain", listener: () => void): unknown;
  destroy(): unknown;
}

/** The part of Node's `ServerResponse` that is used here. */
export interface NodeResponse {
  /** Its last argument may be a callback, which is called when the chunk has left the process, or with an error. */
  write(chunk: Uint8Array, ...rest: unknown[]): boolean;
  end(...rest: unknown[]): unknown;
  on(event: "close", listener: () => void): unknown;
  destroy(): unknown;
  /** Whether it is closed. */
  readonly destroyed?: boolean;
  /** Whether it was ended. */
  readonly writableEnded: boolean;
  /** Whether its body goes out in chunks (RFC 9112, section 7.1); known once the head was written. */
  readonly chunkedEncoding?: boolean;
  /** The connection it goes out on; `null` while another response is before it, and after its end. */
  readonly socket: NodeSocket | null;
}
