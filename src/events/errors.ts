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
  /** A query parameter or a header has an invalid value, or a client's address cannot be fetched. */
  | "InvalidParameter"
  /** The channel was closed: it accepts no events and ends its streams (503). */
  | "ChannelClosed"
  /** The storage of the channel is unreachable or rejects events: nothing was published (503). */
  | "ChannelUnavailable"
  /** It is unknown whether the events were published: repeat the request with the same `Idempotency-Key` (503). */
  | "PublishUnconfirmed"
  /** The stream that a channel's events are to be stored in exists, with an incompatible configuration. */
  | "StreamMismatch"
  /** The file of a channel is open already, in another process or another channel of this one. */
  | "FileInUse"
  /** The file of a channel exists, and is something else. */
  | "FileMismatch"
  /** The file of a channel is torn, or parts of it cannot be read. */
  | "FileDamaged"
  /** Events cannot be erased from a channel of this kind. */
  | "EraseNotSupported"
  /** The runtime lacks what the channel needs. */
  | "RuntimeNotSupported"
  /** The route does not support the method (405). */
  | "MethodNotAllowed"
  /** None of the media types the client accepts is available (406). */
  | "NotAcceptable"
  /** A request body is over the size limit. */
  | "PayloadTooLarge"
  /** No part of a request body arrived for too long (408). */
  | "RequestTimeout"
  /** A request body broke off before its end: the client disconnected, or violated the framing of HTTP (400). */
  | "BodyIncomplete"
  /** A request body is of a media type that cannot be read. */
  | "UnsupportedMediaType"
  /** A client received no response: the server is unreachable, or the connection broke before a response arrived. */
  | "ConnectionFailed"
  /** The certificate of the server, or that of the client, is not accepted: a retry would not change that. */
  | "CertificateRejected"
  /**
   * A part of the code could not be loaded: the bundle of a newer release has replaced that of the client, or packages that
   * a channel needs are not installed.
   */
  | "ModuleNotLoaded"
  /** A client's stream ended or was aborted. */
  | "ConnectionLost"
  /** A client waited too long: for a response, or for the next byte of an open stream. */
  | "Timeout"
  /** The server cannot serve a client now, but may later (408, 425, 429, 5xx). */
  | "Unavailable"
  /** A client has reached its limit of attempts. */
  | "RetriesExhausted"
  /** The request has no valid credentials: the server needs a key or a token (401). */
  | "Unauthorized"
  /** The credentials of the request are valid, but do not allow this (403). */
  | "Forbidden"
  /** The `Host` of a request is not a name of the server, which has no key (403). */
  | "ForbiddenHost"
  /** A page of another site tried to publish (403). */
  | "CrossSiteRequest"
  /** The limit of open streams is reached, in all or to one address (503). */
  | "TooManyConnections"
  /** The limit of idempotency keys is reached (503). */
  | "TooManyIdempotencyKeys"
  /** An idempotency key was used before with another body (422). */
  | "IdempotencyKeyReused"
  /** The server isolates requests, which then cannot share a channel, as a plain Cloudflare Worker: use a Durable Object (501). */
  | "RequestsIsolated"
  /** The server is shutting down (503). */
  | "ShuttingDown"
  /** The server rejected a client's request, and a retry would not change that (other 4xx). */
  | "RequestRejected"
  /** The server redirects a client, which does not follow, because the headers may hold a key. */
  | "Redirected"
  /** The response to a client is not a stream of events. */
  | "UnexpectedResponse"
  /** A server sent a line that is not an event. */
  | "InvalidLine"
  /** A server sent a line over the size limit. */
  | "LineTooLong";

/** One issue of one event: which event, where in it, and what is wrong there. */
export interface Issue {
  /** The place of the event in its batch, from 0; 0 for a single one. */
  readonly index: number;
  /** The dotted path inside the event's dictionary (`event.files.0.1`); empty for the dictionary itself. */
  readonly path: string;
  /** A description of what is wrong. */
  readonly message: string;
}

/** The one error class of the package: match on its `code`. */
export class EventsError extends Error {
  /** The name of the class, as it stands in a stack trace. */
  override readonly name = "EventsError";
  /** What went wrong, as a stable name. */
  readonly code: EventsErrorCode;
  /** For `InvalidEvent`: every issue found, in order. */
  readonly issues: readonly Issue[];
  /** For an `InvalidEvent` of a client: the event, as it was received. */
  readonly event: unknown;
  /** For a response that a client cannot use: its HTTP status. */
  readonly status: number | undefined;
  /** For a response that a client cannot use: the `code` in its body, if it has one. */
  readonly serverCode: string | undefined;

  /** Recognizes also the errors of another copy of this package, as an application may have two. */
  static override [Symbol.hasInstance](value: unknown): value is EventsError {
    return value instanceof Error && value.name === "EventsError" && "code" in value;
  }

  /**
   * Makes the error.
   *
   * @param code what went wrong, as a stable name
   * @param message what was wrong, where, and what to do about it
   * @param options `issues`, the issues of the rejected events; `event`, `status` and `serverCode`, what a client
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
