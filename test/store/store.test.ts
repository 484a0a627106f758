import * as assert from "uvu/assert";
import { eventsStore, type EventsStoreOptions } from "../../src/store/mod.ts";
import { untilIdle } from "../support/endpoint.ts";
import { until, within } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { append, follow, makeTicks, publish, URL_OF_TICKS } from "./ticks.ts";

const test = suite("store");

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

test("a subscriber that throws keeps nothing from the others, and its error is uncaught; one that throws at once is none", async () => {
  const there = makeTicks();
  const { store, unsubscribe, shows, is } = follow(there.options);
  let calls = 0;
  const end = store.subscribe(() => {
    if (++calls > 1) throw new Error("in a subscriber");
  });
  const later: unknown[] = [];
  const endLater = store.subscribe(({ state }) => later.push(state));
  const place = globalThis as { reportError?: (error: unknown) => void };
  const { reportError } = place;
  const errors: unknown[] = [];
  place.reportError = (error) => errors.push(error);
  try {
    await is("live");
    publish(there, 1);
    await shows(1);
  } finally {
    if (reportError === undefined) delete place.reportError;
    else place.reportError = reportError;
  }
  assert.equal(later.at(-1), [1]);
  assert.ok(errors.length > 0 && errors.every((error) => (error as Error).message === "in a subscriber"));
  for (const one of [end, endLater, unsubscribe]) one();
  await untilIdle(there);
  assert.throws(
    () =>
      store.subscribe(() => {
        throw new Error("at once");
      }),
    "at once",
  );
  await untilIdle(there);
  assert.is(there.requests.length, 1);
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
