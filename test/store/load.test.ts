import * as assert from "uvu/assert";
import { eventsStore } from "../../src/store/mod.ts";
import { untilIdle } from "../support/endpoint.ts";
import { until } from "../support/harness.ts";
import { randomOf } from "../support/hostile_proxy.ts";
import { ends, line, NDJSON, scripted, streams } from "../support/scripted.ts";
import { suite } from "../support/suite.ts";
import { append, follow, makeTicks, publish } from "./ticks.ts";

const test = suite("store: load");

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

/** Returns a `load` whose states are -1, -2 and so on. */
function countedLoad(): () => { state: readonly number[] } {
  let loads = 0;
  return () => ({ state: [-++loads] });
}

/** Leaves an endpoint that keeps three events, and comes back when it has forgotten some. Returns what ends that. */
async function returnAfterLoss(
  there: ReturnType<typeof makeTicks>,
  { store, unsubscribe }: Pick<ReturnType<typeof follow>, "store" | "unsubscribe">,
): Promise<() => void> {
  unsubscribe();
  await untilIdle(there);
  publish(there, 2, 3, 4, 5, 6);
  return store.subscribe(() => {});
}

test("load() is called again after events_lost, and the events since then follow", async () => {
  const there = makeTicks(3);
  const { store, unsubscribe, shows } = follow({ ...there.options, load: countedLoad() });
  await shows(-1);
  publish(there, 1);
  await shows(-1, 1);
  const end = await returnAfterLoss(there, { store, unsubscribe });
  await shows(-2);
  publish(there, 7);
  await shows(-2, 7);
  assert.equal(store.get().events.map(({ event }) => event), [7]);
  end();
  await untilIdle(there);
});

test("load() whose cursor the server does not know is called again after a wait, of which the snapshot says why", async () => {
  const there = makeTicks();
  let loads = 0;
  const { shown, unsubscribe, shows } = follow({
    ...there.options,
    reconnect: { min: 0.1, jitter: false }, // More than a frame, so that it is shown.
    load: ({ cursor }) => ({ state: [-++loads], cursor: loads < 3 ? "another-1" : cursor }),
  });
  await shows(-3);
  const waiting = shown.filter(({ status }) => status === "waiting");
  assert.ok(waiting.length >= 2);
  for (const { error, retryAt } of waiting) {
    assert.match(error!.message, /its cursor is not of this server/);
    assert.ok(retryAt! > 0);
  }
  unsubscribe();
  await untilIdle(there);
});

test("a loss while the store is paused leaves the number of events that are pending", async () => {
  const there = makeTicks(3);
  const { store, unsubscribe, shows } = follow({ ...there.options, load: countedLoad() });
  await shows(-1);
  store.pause();
  publish(there, 1);
  await until(() => store.get().pending === 1, "one is pending");
  const end = await returnAfterLoss(there, { store, unsubscribe });
  await until(() => there.requests.length > 1 && store.get().status === "live", "it is loaded again");
  assert.equal([store.get().pending, store.get().state], [1, [-1]]);
  publish(there, 7);
  await until(() => store.get().pending === 2, "another one is pending");
  store.resume();
  assert.equal([store.get().pending, store.get().state], [0, [-2, 7]]);
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

test.run();
