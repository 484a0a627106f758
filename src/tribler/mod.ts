/**
 * Tribler's events endpoint: its catalogue of events, and the session that publishes them.
 *
 * @module
 */
export { triblerEvents } from "./events.ts";
export type { TriblerSchemas } from "./events.ts";
export type * from "./payloads.ts";
export { createSession } from "./session.ts";
export type { Completion, Emitted, Session, SessionOptions } from "./session.ts";
