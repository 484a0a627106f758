/**
 * A store of numbers, and the endpoint that it follows in this process.
 *
 * @module
 */
import * as v from "valibot";
import type { ClientEvent } from "../../src/client/mod.ts";
import { type Catalogue, defineEvents, type Schemas } from "../../src/mod.ts";
import {
  type EventsSnapshot,
  type EventsStore,
  eventsStore,
  type EventsStoreOptions,
} from "../../src/store/mod.ts";
import { makeEndpoint, type TestEndpoint } from "../support/endpoint.ts";
import { until } from "../support/harness.ts";

interface Ticks extends Schemas {
  readonly tick: v.NumberSchema<undefined>;
}

const ticks: Catalogue<Ticks> = defineEvents({ tick: v.number() });

type NumbersOptions = EventsStoreOptions<readonly number[], Ticks>;

/** An endpoint in this process, the requests that it had, and the options of a store of it. */
interface MadeTicks extends TestEndpoint<Ticks> {
  readonly requests: readonly URL[];
  readonly options: Required<Pick<NumbersOptions, "catalogue" | "fetch" | "reconnect">>;
}

/** A store of numbers, and what it has shown. */
interface Followed {
  readonly store: EventsStore<readonly number[], ClientEvent<Ticks>>;
  readonly shown: readonly EventsSnapshot<readonly number[], ClientEvent<Ticks>>[];
  readonly unsubscribe: () => void;
  /** Waits until the state is this. */
  shows(...numbers: readonly number[]): Promise<void>;
  /** Waits until the status is this. */
  is(status: string): Promise<void>;
}

/** Makes an endpoint that keeps this number of events. */
export function makeTicks(events: number = 1000): MadeTicks {
  const made = makeEndpoint(ticks, { history: { events } });
  const requests: URL[] = [];
  const fetch = (url: string, init: RequestInit) => {
    requests.push(new URL(url));
    return made.app.request(url, init);
  };
  return { ...made, requests, options: { catalogue: ticks, fetch, reconnect: { min: 0.01 } } };
}

export const URL_OF_TICKS = "http://localhost/events";

/** Publishes these numbers. */
export function publish(
  { channel }: Pick<TestEndpoint<Ticks>, "channel">,
  ...numbers: readonly number[]
): void {
  for (const n of numbers) channel.publish("tick", n);
}

/** The option `reduce` of a list of numbers. */
export const append = (
  state: readonly number[],
  event: { readonly type: string; readonly event?: unknown },
): readonly number[] => event.type === "tick" ? [...state, event.event as number] : state;

/** Makes a store of numbers, and a list of what it shows. */
export function follow(options: NumbersOptions): Followed {
  const store = eventsStore(URL_OF_TICKS, { initial: [], reduce: append, ...options });
  const shown: EventsSnapshot<readonly number[], ClientEvent<Ticks>>[] = [];
  const unsubscribe = store.subscribe((snapshot) => shown.push(snapshot));
  return {
    store,
    shown,
    unsubscribe,
    shows: (...numbers: readonly number[]) =>
      until(() => `${store.get().state}` === `${numbers}`, `it shows ${numbers}`).catch((error) => {
        throw new Error(`${error.message}, not ${store.get().state}`);
      }),
    is: (status: string) => until(() => store.get().status === status, `it is ${status}`),
  };
}
