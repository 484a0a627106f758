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
  /** A query parameter, or a header, has a value that means nothing. */
  | "InvalidParameter"
  /** The channel was closed: it takes no events and holds no streams open. */
  | "ChannelClosed"
  /** Where the channel keeps its events cannot be reached, or takes none: nothing was published (503). */
  | "ChannelUnavailable"
  /** Whether events were published nobody knows: send the same again with the same `Idempotency-Key` (503). */
  | "PublishUnconfirmed"
  /** The stream that is to keep a channel's events is there, and of another kind. */
  | "StreamMismatch"
  /** The route does not support the method (405). */
  | "MethodNotAllowed"
  /** None of the media types the client accepts is available (406). */
  | "NotAcceptable"
  /** A request body is over the size limit. */
  | "PayloadTooLarge"
  /** Nothing has come of a request body for too long (408). */
  | "RequestTimeout"
  /** A request body broke off before its end: its client has left, or does not keep to the framing of HTTP (400). */
  | "BodyIncomplete"
  /** A request body is of a media type that cannot be read. */
  | "UnsupportedMediaType"
  /** A client got no answer: the server cannot be reached, or the connection broke before it said anything. */
  | "ConnectionFailed"
  /** A client's stream ended or was cut. */
  | "ConnectionLost"
  /** Nothing came for longer than a client was to wait: no answer, or no byte of an open stream. */
  | "Timeout"
  /** The server cannot answer a client now, but may later (408, 425, 429, 5xx). */
  | "Unavailable"
  /** A client has tried as often as it was to. */
  | "RetriesExhausted"
  /** Who asks is not known, or may not: a server that wants a key or token was not told one it takes (401). */
  | "Unauthorized"
  /** Who asks is known, and may not do this (403). */
  | "Forbidden"
  /** A request came to a server without a key under a name that is not its own (403). */
  | "ForbiddenHost"
  /** A page of another site wants to publish (403). */
  | "CrossSiteRequest"
  /** As many streams are open as may be, in all or to one address (503). */
  | "TooManyConnections"
  /** As many idempotency keys are remembered as may be (503). */
  | "TooManyIdempotencyKeys"
  /** An idempotency key comes again with another body (422). */
  | "IdempotencyKeyReused"
  /** The server is about to stop (503). */
  | "ShuttingDown"
  /** The server refuses a client's request, and asking again would not change that (other 4xx). */
  | "RequestRejected"
  /** The server sends a client elsewhere. Nobody follows: the headers may hold a key. */
  | "Redirected"
  /** What a client was answered is no stream of events. */
  | "UnexpectedResponse"
  /** A server sent a line that is no event. */
  | "InvalidLine"
  /** A server sent a line over the size limit. */
  | "LineTooLong";

/** One fault of one event: which event, where in it, and what is wrong there. */
export interface Issue {
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
  readonly issues: readonly Issue[];
  /** For an `InvalidEvent` of a client: the event, as it was received. */
  readonly event: unknown;
  /** For an answer that a client cannot use: its HTTP status. */
  readonly status: number | undefined;
  /** For an answer that a client cannot use: the `code` in its body, where it has one. */
  readonly serverCode: string | undefined;

  /**
   * Makes the error.
   *
   * @param code what went wrong, as a stable name
   * @param message what was wrong, where, and what to do about it
   * @param options `issues`, the issues of the events refused; `event`, `status` and `serverCode`, what a client
   *   received; `cause`, the error behind this one
   */
  constructor(
    code: EventsErrorCode,
    message: string,
    options: {
      readonly issues?: readonly Issue[];
      readonly event?: unknown;
      readonly status?: number;
      readonly serverCode?: string | undefined;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.issues = options.issues ?? [];
    this.event = options.event;
    this.status = options.status;
    this.serverCode = options.serverCode;
  }
}
