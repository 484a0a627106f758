/**
 * The client: the events of a server as an async iterable that reconnects and resumes, each event once.
 *
 * It reads the streams of this package and of Tribler 7.0 to 8, with `fetch` and web streams alone.
 *
 * This table says what happens in each case:
 *
 * | what happens | what follows |
 * | --- | --- |
 * | 200, and a media type that can be a stream of events | the stream |
 * | 204 | the end: done, and no more attempts (WHATWG HTML 9.2) |
 * | another 2xx, 3xx, another media type | `UnexpectedResponse` or `Redirected`, closed; a redirect is never followed, because the headers may hold a key |
 * | 401 | if `headers` is a function, once more at once with `unauthorized: true`; otherwise, and the second time in a row, `Unauthorized`, closed |
 * | 408, 425, 429, 5xx | again, not before `Retry-After` |
 * | another 4xx | `RequestRejected` with the server's code and message, closed |
 * | no connection, no response in time, or one cut off in its head | again |
 * | a certificate that is not accepted | `CertificateRejected`, closed; browsers do not say so: again |
 * | a port that `fetch` refuses, such as 6667 | `InvalidParameter`, closed |
 * | `https` to a port that does not speak TLS | `InvalidParameter`, closed; browsers do not say so: again |
 * | a part of a bundle that is gone, which is needed for SSE or `bigint` | `ModuleNotLoaded`, closed |
 * | the stream ends, is cut off, or is silent for too long | again, after the last event that was handed out |
 * | a browser hides the page | disconnected; when the page is shown again: again, after the last event that was handed out |
 * | 200 with one JSON document that is no event | `UnexpectedResponse`, closed |
 * | a line that is not an event, or too long | `InvalidLine`, `LineTooLong`, closed |
 *
 * "Again" waits a random part of 0.5 s, which doubles with each failure in a row up to 30 s, in addition to what the server
 * asked for (`Retry-After`, or `retry:` in SSE; at most an hour). A connection that lived for 5 s, without the silence that ended it, ends the
 * row. After `maxAttempts` failed attempts in a row the error is `RetriesExhausted`, closed. With `reconnect: false` nothing is
 * retried: a stream that ends whole is done, and everything else is its error.
 *
 * @example
 * ```ts
 * import { connect } from "events-endpoint/client";
 *
 * const connection = connect("http://127.0.0.1:8085/events", { signal: AbortSignal.timeout(1000) });
 * for await (const event of connection) console.log(event.type, event.event, connection.lastId);
 * ```
 *
 * @module
 */
export { connect } from "./connect.ts";
export type { Dictionary } from "./frame.ts";
export type {
  ClientEvent,
  Connection,
  ConnectOptions,
  Exact,
  HeadersLike,
  HeadersRequest,
  ReceivedEvent,
  ReconnectOptions,
  Status,
} from "./options.ts";
export { EventsError } from "../events/errors.ts";
export type { EventsErrorCode, Issue } from "../events/errors.ts";
