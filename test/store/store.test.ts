import * as assert from "uvu/assert";
import * as v from "valibot";
import { defineEvents } from "../../src/mod.ts";
import { type EventsSnapshot, eventsStore, type EventsStoreOptions } from "../../src/store/mod.ts";
import { makeEndpoint, type TestEndpoint, untilIdle } from "../support/endpoint.ts";
import { until, within } from "../support/harness.ts";
import { randomOf } from "../support/hostile_proxy.ts";
import { ends, line, NDJSON, scripted, streams } from "../support/scripted.ts";
import { suite } from "../support/suite.ts";

const test = suite("store");

const ticks = defineEvents({ tick: v.number() });
type Ticks = typeof ticks.schemas;

/** An endpoint in this process, the requests that it had, and the options of a store of it. */
function makeTicks(events = 1000) {
  const made = makeEndpoint(ticks, { history: { events } });
  const requests: URL[] = [];
  const fetch = (url: string, init: RequestInit) => {
    requests.push(new URL(url));
    return made.app.request(url, init);
  };
  return { ...made, requests, options: { catalogue: ticks, fetch, reconnect: { min: 0.01 } } };
}

const URL_OF_TICKS = "http://localhost/events";

/** Publishes these numbers. */
function publish({ channel }: Pick<TestEndpoint<Ticks>, "channel">, ...numbers: readonly number[]): void {
  for (const n of numbers) channel.publish("tick", n);
}

/** The option `reduce` of a list of numbers. */
const append = (state: readonly number[], event: { readonly type: string; readonly event?: unknown }) =>
  event.type === "tick" ? [...state, event.event as number] : state;

/** Makes a store of numbers, and a list of what it shows. */
function follow(options: EventsStoreOptions<readonly number[], Ticks>) {
  const store = eventsStore(URL_OF_TICKS, { initial: [], reduce: append, ...options });
  const shown: EventsSnapshot<readonly number[], { readonly type: string }>[] = [];
  const unsubscribe = store.subscribe((snapshot) => shown.push(snapshot));
  return {
    store,
    shown,
    unsubscribe,
    /** Waits until the state is this. */
    shows: (...numbers: readonly number[]) =>
      until(() => `${store.get().state}` === `${numbers}`, `it shows ${numbers}`).catch((error) => {
        throw new Error(`${error.message}, not ${store.get().state}`);
      }),
    is: (status: string) => until(() => store.get().status === status, `it is ${status}`),
  };
}

test("eventsStore() connects with its first subscriber, disconnects with its last, and resumes with the next", async () => {
  const there = makeTicks();
  const { store, shown, unsubscribe, shows, is } = follow({ ...there.options, last: 2 });
  assert.is(shown[0], store.initial);
  await is("live");
  publish(there, 1, 2, 3);
  await shows(1, 2, 3);
  assert.equal(store.get().events.map(({ type, event }) => [type, event]), [["tick", 2], ["tick", 3]]);
  unsubscribe();
  await untilIdle(there);
  publish(there, 4);
  const statuses: string[] = [];
  const end = store.subscribe(({ status }) => statuses.push(status));
  await shows(1, 2, 3, 4);
  assert.is(statuses[0], "connecting");
  end();
  await untilIdle(there);
  assert.equal(there.requests.map(({ searchParams }) => searchParams.has("since")), [false, true]);
});

test("subscribe() requests nothing for a subscriber that leaves in the same task", async () => {
  const there = makeTicks();
  const { store, unsubscribe, is } = follow(there.options);
  unsubscribe();
  await new Promise((resolve) => setTimeout(resolve));
  assert.is(there.requests.length, 0);
  const end = store.subscribe(() => {});
  await is("live");
  end();
  await untilIdle(there);
});

test("subscribe() after an unsubscribe in the same task keeps the connection", async () => {
  const there = makeTicks();
  const { store, unsubscribe, shows, is } = follow(there.options);
  unsubscribe();
  const unsubscribeAgain = store.subscribe(() => {});
  await is("live");
  unsubscribeAgain();
  const end = store.subscribe(() => {});
  publish(there, 1);
  await shows(1);
  assert.is(there.requests.length, 1);
  end();
  await untilIdle(there);
});

test("subscribe() calls back once for all events of a frame, or of the option interval", async () => {
  const there = makeTicks();
  const { store, shown, unsubscribe, is } = follow({ ...there.options, last: 5, interval: 0.2 });
  await is("live");
  const [before, began] = [shown.length, performance.now()];
  for (let n = 1; n <= 1000; n++) {
    publish(there, n);
    if (n % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await until(() => store.get().state.length === 1000, "all are shown");
  const most = 2 + (performance.now() - began) / 200;
  assert.ok(shown.length - before <= most, `${shown.length - before} updates, and not ${most} at most`);
  assert.is(store.get().events.length, 5);
  unsubscribe();
  await untilIdle(there);
});

test("pause() keeps what is shown and counts what arrives; resume() shows it", async () => {
  const there = makeTicks();
  const { store, unsubscribe, shows, is } = follow(there.options);
  await is("live");
  publish(there, 1);
  await shows(1);
  const { events } = store.get();
  store.pause();
  assert.is(store.get().isPaused, true);
  publish(there, 2, 3);
  await until(() => store.get().pending === 2, "two are pending");
  assert.equal([store.get().state, store.get().events === events], [[1], true]);
  store.resume();
  assert.equal([store.get().state, store.get().pending, store.get().isPaused], [[1, 2, 3], 0, false]);
  unsubscribe();
  await untilIdle(there);
});

test("load() is called with the position, and the events after it follow, those during load() too", async () => {
  const there = makeTicks();
  publish(there, 1);
  const calls: (string | undefined)[] = [];
  const { store, unsubscribe, shows, is } = follow({
    ...there.options,
    load: async ({ cursor }) => {
      calls.push(cursor);
      publish(there, 2);
      await new Promise((resolve) => setTimeout(resolve, 20));
      publish(there, 3);
      return { state: [-1] };
    },
  });
  await shows(-1, 2, 3);
  await is("live");
  publish(there, 4);
  await shows(-1, 2, 3, 4);
  assert.equal(store.get().events.map(({ event }) => event), [2, 3, 4]);
  assert.match(calls[0]!, /-1$/);
  assert.is(calls.length, 1);
  assert.is(there.requests.length, 1);
  unsubscribe();
  await untilIdle(there);
});

test("load() that returns the cursor of its state has each event once, whatever is published meanwhile", async () => {
  const there = makeTicks();
  const published: number[] = [];
  let cursor: string | undefined;
  const next = () => {
    cursor = there.channel.publish("tick", published.length + 1);
    published.push(published.length + 1);
  };
  const { unsubscribe, shows } = follow({
    ...there.options,
    load: async () => {
      next();
      await new Promise((resolve) => setTimeout(resolve, 10));
      next();
      const loaded = { state: [...published], cursor };
      next();
      await new Promise((resolve) => setTimeout(resolve, 10));
      next();
      return loaded;
    },
  });
  await shows(1, 2, 3, 4);
  next();
  await shows(1, 2, 3, 4, 5);
  unsubscribe();
  await untilIdle(there);
});

/** Cuts a response off after this many bytes. */
function cutAfter(response: Response, bytes: number): Response {
  let left = bytes;
  const cut = new TransformStream<Uint8Array, Uint8Array>({
    transform: (chunk, controller) => {
      controller.enqueue(chunk.subarray(0, left));
      left -= chunk.byteLength;
      if (left <= 0) controller.error(new Error("cut"));
    },
  });
  return new Response(response.body!.pipeThrough(cut), response);
}

test("eventsStore() with load() shows only exact states, wherever connections are cut, and also after losses", async () => {
  const random = randomOf(20);
  const there = makeTicks(20);
  const published: number[] = [];
  let cursor: string | undefined;
  let loads = 0;
  const pause = () => new Promise((resolve) => setTimeout(resolve, random() * 3));
  const { shown, unsubscribe, shows } = follow({
    ...there.options,
    reconnect: { min: 0.005, max: 0.02 },
    interval: 0,
    fetch: async (url, init) => cutAfter(await there.app.request(url, init), 150 + random() * 1500),
    load: async () => {
      loads++;
      await pause();
      const loaded = { state: [...published], cursor };
      await pause();
      if (random() < 0.1) throw new Error("no database");
      return loaded;
    },
  });
  while (published.length < 1000) {
    // Now and then more than the channel holds.
    for (let left = random() < 0.02 ? 50 : random() * 5; left > 0; left--) {
      published.push(published.length);
      cursor = there.channel.publish("tick", published.length - 1);
    }
    await pause();
  }
  await shows(...published);
  for (const { state } of shown) assert.ok(state.every((n, index) => n === index), `${state}`);
  assert.ok(loads > 5 && shown.length > 5, `${loads} loads, ${shown.length} states`);
  unsubscribe();
  await untilIdle(there);
});

test("load() is called again after events_lost, and the events since then follow", async () => {
  const there = makeTicks(3);
  let loads = 0;
  const { store, unsubscribe, shows } = follow({
    ...there.options,
    load: () => ({ state: [-++loads] }),
  });
  await shows(-1);
  publish(there, 1);
  await shows(-1, 1);
  unsubscribe();
  await untilIdle(there);
  publish(there, 2, 3, 4, 5, 6);
  const end = store.subscribe(() => {});
  await shows(-2);
  publish(there, 7);
  await shows(-2, 7);
  assert.equal(store.get().events.map(({ event }) => event), [7]);
  end();
  await untilIdle(there);
});

test("load() is called again when a server without cursors is back", async () => {
  await scripted([
    ends(NDJSON, line("events_start"), line("tick", undefined, 1)),
    streams(NDJSON, line("events_start"), line("tick", undefined, 2)),
    streams(NDJSON, line("events_start"), line("tick", undefined, 3)),
  ], async ({ url }) => {
    let loads = 0;
    const store = eventsStore(url, {
      reconnect: { min: 0.01 },
      initial: [],
      reduce: append,
      load: () => ({ state: [-++loads] as readonly number[] }),
    });
    const end = store.subscribe(() => {});
    // Its second connection is the one that shows the gap: the state is read on a third.
    await until(() => `${store.get().state}` === "-2,3", "the state was loaded again");
    end();
  });
});

test("load() that fails is tried again as the option reconnect says; the reason is the error of the snapshot", async () => {
  const there = makeTicks();
  let loads = 0;
  const load = () => {
    if (++loads < 3) throw new Error(`no database ${loads}`);
    return { state: [0] };
  };
  const reconnect = { min: 0.1, jitter: false }; // More than a frame, so that it is shown.
  const { shown, unsubscribe, shows } = follow({ ...there.options, reconnect, load });
  await shows(0);
  const waiting = shown.find(({ status }) => status === "waiting");
  assert.match(waiting!.error!.message, /no database/);
  assert.ok(waiting!.retryAt! > 0);
  unsubscribe();
  await untilIdle(there);
  loads = -10;
  const failing = follow({ ...there.options, reconnect: { min: 0.01, maxAttempts: 2 }, load });
  await failing.is("error");
  assert.match(failing.store.get().error!.message, "no database -8");
  assert.is(loads, -8);
  failing.unsubscribe();
  await untilIdle(there);
});

test("an unsubscribe while load() runs aborts its signal, and the next subscriber loads", async () => {
  const there = makeTicks();
  const signals: AbortSignal[] = [];
  const { store, unsubscribe, shows } = follow({
    ...there.options,
    load: ({ signal }) => {
      signals.push(signal);
      return signals.length === 1 ? new Promise<never>(() => {}) : { state: [0] };
    },
  });
  await until(() => signals.length === 1, "it loads");
  assert.is(store.get().status, "connecting");
  unsubscribe();
  await untilIdle(there);
  assert.ok(signals[0]!.aborted);
  const end = store.subscribe(() => {});
  await shows(0);
  end();
  await untilIdle(there);
});

test("a store is ended after the option limit, waiting without a server, and has the error that is not retried", async () => {
  const there = makeTicks();
  publish(there, 1, 2, 3);
  const limited = follow({ ...there.options, last: 2, limit: 2 });
  await limited.is("ended");
  assert.equal(limited.store.get().state, [2, 3]);
  limited.unsubscribe();

  const away = follow({ ...there.options, fetch: () => Promise.reject(new TypeError("no server")) });
  await away.is("waiting");
  assert.match(away.store.get().error!.message, "no server");
  away.unsubscribe();

  const refused = follow({ ...there.options, fetch: () => new Response("", { status: 404 }) });
  await refused.is("error");
  assert.match(refused.store.get().error!.message, "answers 404");
  refused.unsubscribe();

  const thrown = follow({
    ...there.options,
    since: "earliest",
    reduce: () => {
      throw new RangeError("mine");
    },
  });
  await thrown.is("error");
  assert.instance(thrown.store.get().error, RangeError);
  thrown.unsubscribe();
  await untilIdle(there);
});

test("eventsStore() rejects mistaken options by name, and takes a relative URL where there is no page", async () => {
  const make = (options: object) => () => eventsStore("/events", options as EventsStoreOptions);
  assert.throws(make({ reducer: append }), 'eventsStore: there is no option "reducer": did you mean reduce?');
  assert.throws(make({ signal: AbortSignal.timeout(1) }), 'eventsStore: there is no option "signal"');
  assert.throws(make({ reduce: append }), "add the option initial");
  assert.throws(make({ initial: 0, load: append, since: "earliest" }), "load and since are two places");
  assert.throws(make({ interval: -1 }), "interval must be a number of seconds from 0 on, not -1");
  assert.throws(make({ last: 0 }), "last must be a whole number from 1 on");
  assert.throws(() => eventsStore("http://[", {}), '"http://[" is not an address');
  assert.equal(make({})().get(), {
    state: undefined,
    events: [],
    status: "connecting",
    error: undefined,
    retryAt: undefined,
    isPaused: false,
    pending: 0,
  });
  const wrong = eventsStore(URL_OF_TICKS, {
    ...makeTicks().options,
    initial: 0,
    load: (() => 1) as unknown as () => { state: number },
  });
  const failure = new Promise<Error>((resolve) => {
    const end = wrong.subscribe(({ error }) => error && queueMicrotask(() => resolve((end(), error))));
  });
  assert.match((await within(failure, "it fails")).message, "load must return { state }");
});

test.run();
