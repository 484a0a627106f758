/**
 * Tribler's events endpoint: the catalogue of events of each generation, and the session that publishes them.
 *
 * @module
 */
export { triblerEvents } from "./events.ts";
export type { TriblerSchemas } from "./events.ts";
export { tribler74Events } from "./events_7_4.ts";
export type { CircuitRemoved, Tribler74Schemas } from "./events_7_4.ts";
export { tribler75Events } from "./events_7_5.ts";
export type { ReportedError, Tribler75Schemas } from "./events_7_5.ts";
export { tribler712Events } from "./events_7_12.ts";
export type { Tribler712Schemas } from "./events_7_12.ts";
export { tribler8Events } from "./events_8.ts";
export type { Tribler8Schemas, Tribler8Start } from "./events_8.ts";
export type * from "./payloads.ts";
export type { Generation, GenerationSchemas } from "./generations.ts";
export { createSession } from "./session.ts";
export type { Completion, Emitted, Session, SessionOptions } from "./session.ts";
