/**
 * The hook for React: {@linkcode useEvents}.
 *
 * @example
 * ```ts
 * import { createElement, type ReactElement } from "react";
 * import { useEvents } from "events-endpoint/react";
 *
 * export function Connection(): ReactElement {
 *   const { status, error } = useEvents("/events");
 *   return createElement("p", null, error === undefined ? status : `${status}: ${error.message}`);
 * }
 * ```
 *
 * @module
 */
export { useEvents } from "./use_events.ts";
export type { UsedEvents } from "./use_events.ts";
