/**
 * The hook.
 *
 * @module
 */
import { useEffect, useMemo, useRef, useSyncExternalStore } from "react";
import type { ClientEvent } from "../client/options.ts";
import type { Schemas } from "../events/catalogue.ts";
import type { EventsSnapshot, EventsStore, EventsStoreOptions } from "../store/options.ts";
import { eventsStore } from "../store/store.ts";

/** What {@linkcode useEvents} returns: what the store shows, and its two switches. */
export interface UsedEvents<State, E>
  extends EventsSnapshot<State, E>, Pick<EventsStore<State, E>, "pause" | "resume"> {
}

/** The options that may be functions, which most components make anew each time that they render. */
const FUNCTIONS = ["reduce", "load", "headers", "onUnknown", "onInvalid", "fetch"] as const;
/** The number of stores that a component may make in a second; more is a loop, of which it is told. */
const MAX_STORES_PER_SECOND = 20;

/** The stores that a component has made since a time of `performance.now()`. */
interface Made {
  count: number;
  since: number;
  lastKey: string;
  isTold: boolean;
}

/**
 * Follows the events of a server while a component is mounted.
 *
 * The component renders at most once per animation frame. Other values of the options make another store, which begins anew;
 * another function is called from then on. A catalogue with the same types counts as the same one. Values that differ each time,
 * such as a date of now, would connect again and again: the console says so.
 *
 * @param url the address of the events; it may be relative
 * @param options those of {@linkcode eventsStore}
 *
 * @example
 * ```ts
 * import { createElement, type ReactElement } from "react";
 * import { useEvents } from "events-endpoint/react";
 *
 * export function Orders(): ReactElement {
 *   const { state, status } = useEvents("/events", {
 *     types: ["order_placed"],
 *     initial: 0,
 *     reduce: (count) => count + 1,
 *   });
 *   return createElement("p", null, `${state} orders, ${status}`);
 * }
 * ```
 */
export function useEvents<State = undefined, S extends Schemas = Schemas, BigInts extends boolean = false>(
  url: string | URL,
  options: EventsStoreOptions<State, S, BigInts> = {},
): UsedEvents<State, ClientEvent<S, BigInts>> {
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });
  const key = keyOf(url, options);
  const made = useRef<Made>({ count: 0, since: 0, lastKey: "[]", isTold: false });
  const store = useMemo(() => {
    tellOfLoop(made.current, key);
    return eventsStore(url, withLatest(options, latest));
  }, [key]); // It stands for the URL and the options.
  const { subscribe, get, initial, pause, resume } = store;
  const snapshot = useSyncExternalStore(subscribe, get, () => initial);
  return useMemo(() => ({ ...snapshot, pause, resume }), [snapshot, pause, resume]);
}

/** Returns a text that differs where another store is needed. */
function keyOf(url: string | URL, options: object): string {
  const { catalogue, initial: _initial, ...rest } = options as EventsStoreOptions;
  const values = { ...rest, url: `${url}`, catalogue: catalogue?.types };
  return JSON.stringify(Object.entries(values).sort(), (_name, value) => {
    if (typeof value === "function") return "function";
    return value instanceof Headers ? [...value] : value;
  });
}

/** Notes another store. A component that makes one at each render would connect for ever, and nobody would see why. */
function tellOfLoop(made: Made, key: string): void {
  const now = performance.now();
  if (now - made.since > 1000) Object.assign(made, { count: 0, since: now });
  if (++made.count > MAX_STORES_PER_SECOND && !made.isTold) {
    made.isTold = true;
    const before = new Map<string, unknown>(JSON.parse(made.lastKey));
    const values: [string, unknown][] = JSON.parse(key);
    const names = values.filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before.get(name)))
      .map(([name]) => name);
    console.error(
      `useEvents: it connects again and again, because ${names.join(", ")} differs at each render. ` +
        "Make such a value outside of the component, or by useMemo().",
    );
  }
  made.lastKey = key;
}

/** Returns options whose functions are those of the latest render. */
function withLatest<Options extends object>(
  options: Options,
  latest: { readonly current: Options },
): Options {
  type Functions = Record<string, ((...args: readonly unknown[]) => unknown) | undefined>;
  const current = options as Functions;
  const functions = FUNCTIONS.filter((name) => typeof current[name] === "function").map((name) => {
    return [name, (...args: readonly unknown[]) => {
      const now = (latest.current as Functions)[name];
      return (typeof now === "function" ? now : current[name]!)(...args);
    }];
  });
  return { ...options, ...Object.fromEntries(functions) };
}
