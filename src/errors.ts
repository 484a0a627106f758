/**
 * The one error class of the package.
 *
 * @module
 */

/** What went wrong, as a stable name: match on this, never on a message. */
export type EventsErrorCode =
  /** A catalogue's name or schema cannot be used. */
  | "InvalidCatalogue"
  /** An event does not fit the catalogue or cannot be JSON; nothing was published. */
  | "InvalidEvent"
  /** A cursor is malformed, or names a position the channel has not reached. */
  | "InvalidCursor"
  /** A filter names no type of the catalogue. */
  | "UnknownEventType"
  /** A query parameter has a value that means nothing. */
  | "InvalidParameter"
  /** The channel was closed: it takes no events and holds no streams open. */
  | "ChannelClosed"
  /** None of the media types the client accepts can be had. */
  | "NotAcceptable"
  /** A request body is over the size limit. */
  | "PayloadTooLarge"
  /** A request body is of a media type that cannot be read. */
  | "UnsupportedMediaType";

/** One fault of one event: which event, where in it, and what is wrong there. */
export interface Fault {
  /** The place of the event in its batch, from 0; 0 for a single one. */
  readonly index: number;
  /** The dotted path inside the event's dictionary (`event.files.0.1`); empty for the dictionary itself. */
  readonly path: string;
  /** What is wrong, in words. */
  readonly message: string;
}

/** The error thrown by everything in this package that refuses something. */
export class EventsError extends Error {
  /** The name of the class, as it stands in a stack trace. */
  override readonly name = "EventsError";
  /** What went wrong, as a stable name. */
  readonly code: EventsErrorCode;
  /** For `InvalidEvent`: every fault found, in order. */
  readonly faults: readonly Fault[];

  /**
   * Makes the error.
   *
   * @param code what went wrong, as a stable name
   * @param message what was wrong, where, and what to do about it
   * @param options `faults`, the faults of the events refused; `cause`, the error behind this one
   */
  constructor(
    code: EventsErrorCode,
    message: string,
    options: { readonly faults?: readonly Fault[]; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.faults = options.faults ?? [];
  }
}
