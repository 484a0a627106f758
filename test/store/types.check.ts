/**
 * The contract of the types of stores, for the compiler alone: nothing here is run. A line under `@ts-expect-error` that
 * compiles is an error, and so is any other line that does not.
 *
 * @module
 */
import * as v from "valibot";
import { defineEvents } from "../../src/mod.ts";
import { useEvents } from "../../src/react/mod.ts";
import {
  type EventsSnapshot,
  type EventsStore,
  eventsStore,
  type EventsStoreOptions,
} from "../../src/store/mod.ts";

const shop = defineEvents({ order_placed: v.object({ total: v.number() }), shop_closed: null });

/** Returns the types of a store with a catalogue: of its state, and of its events. */
export function typed(): [number, number | undefined] {
  const store = eventsStore("/events", {
    catalogue: shop,
    initial: 0,
    reduce: (sum, event) => {
      // @ts-expect-error only an order has a total
      event.event?.total;
      return event.type === "order_placed" ? sum + event.event.total : sum;
    },
    load: ({ cursor, signal }) => ({ state: signal.aborted ? 0 : 1, cursor }),
  });
  const { state, events } = store.get();
  const last = events.at(-1);
  // @ts-expect-error there is no such type
  if (last?.type === "order_lost") return [0, 0];
  return [state, last?.type === "order_placed" ? last.event.total : undefined];
}

/** Without a catalogue only the type of an event is known; without `initial` there is no state. */
export function untyped(): undefined {
  const { state, events, pause } = useEvents("/events", { last: 10 });
  const type: string | undefined = events[0]?.type;
  pause();
  // @ts-expect-error its payload may be anything
  events[0]?.event.total;
  return type === "x" ? undefined : state;
}

/** Options can be written down for a state, and a store handed on. */
export const options: EventsStoreOptions<readonly string[]> = {
  initial: [],
  reduce: (types, { type }) => [...types, type],
  // @ts-expect-error a loaded state has the type of the state
  load: () => ({ state: [1] }),
};
export const store: Pick<EventsStore<readonly string[], unknown>, "get"> = eventsStore("/events", options);
export const snapshot: EventsSnapshot<readonly string[], { readonly type: string }> = useEvents(
  "/events",
  options,
);

// @ts-expect-error the signal of a store is its last subscriber
eventsStore("/events", { signal: AbortSignal.timeout(1) });
// @ts-expect-error a reduce returns the state
eventsStore("/events", { initial: 0, reduce: () => "1" });
