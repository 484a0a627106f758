/**
 * The store: what the page of an app shows of a stream, for any framework or none. It has `subscribe`, as Svelte and Solid
 * take it. `events-endpoint/react` has the hook for React.
 *
 * @example
 * ```ts
 * import { eventsStore } from "events-endpoint/store";
 *
 * const store = eventsStore("http://127.0.0.1:8085/events", { last: 20 });
 * const unsubscribe = store.subscribe(({ events, status, error }) => {
 *   console.log(status, error?.message ?? "", events.at(-1)?.type ?? "no event yet");
 * });
 * setTimeout(unsubscribe, 1000);
 * ```
 *
 * @module
 */
export { eventsStore } from "./store.ts";
export type {
  EventsSnapshot,
  EventsStatus,
  EventsStore,
  EventsStoreOptions,
  Loaded,
  LoadRequest,
} from "./options.ts";
