/** Where `connect()` starts, and after how many events it ends. */
import * as assert from "uvu/assert";
import * as v from "valibot";
import { connect, type ConnectOptions, type Status } from "../../src/client/mod.ts";
import { createChannel, defineEvents, eventsEndpoint } from "../../src/mod.ts";
import { until as waitFor, within } from "../support/harness.ts";
import { suite } from "../support/suite.ts";

const test = suite("client: ranges");

const catalogue = defineEvents({ tick: v.object({ n: v.number() }) });

/** Reads from a channel with five ticks. Returns their numbers, and the queries of the requests. */
async function read(options: ConnectOptions, isCut = false): Promise<readonly [unknown[], string[]]> {
  const channel = createChannel(catalogue);
  for (let n = 1; n <= 5; n++) channel.publish("tick", { n });
  const endpoint = eventsEndpoint(channel);
  const queries: string[] = [];
  const fetch = async (url: string, init: RequestInit): Promise<Response> => {
    queries.push(new URL(url).search);
    const query = isCut && queries.length === 1 ? "&follow=false" : "";
    return await endpoint.request(`/${new URL(url).search}${query}`, init);
  };
  const numbers: unknown[] = [];
  const reading = (async () => {
    const reconnect = { min: 0.01, max: 0.01 };
    for await (
      const event of connect("http://localhost/events", { ...options, catalogue, fetch, reconnect })
    ) {
      if (event.type !== "tick") throw new Error(event.type);
      numbers.push(event.event.n);
      if (isCut && event.event.n === 5) channel.publish("tick", { n: 6 });
    }
  })();
  await within(reading, "the end of the loop");
  return [numbers, queries];
}

test("connect() starts at a time, and resumes after the last event it received", async () => {
  const since = new Date(Date.now() - 3_600_000);
  const [numbers, [first, second]] = await read({ since, limit: 6 }, true);
  assert.equal(numbers, [1, 2, 3, 4, 5, 6]);
  assert.is(first, `?since=${encodeURIComponent(since.toISOString())}`);
  assert.match(second!, /^\?since=[0-9a-z]+-5$/);
  assert.equal(await read({ since: "-10m", limit: 2 }), [[1, 2], ["?since=-10m"]]);
});

test("connect() starts with the last events, and ends after `limit` events", async () => {
  assert.equal(await read({ last: 2, limit: 2 }), [[4, 5], ["?last=2"]]);
  assert.equal(await read({ since: "earliest", limit: 1 }), [[1], ["?since=earliest"]]);
  const [numbers, [, second]] = await read({ last: 3, limit: 4 }, true);
  assert.equal(numbers, [3, 4, 5, 6]);
  assert.match(second!, /^\?since=[0-9a-z]+-5$/);
});

test("connect() ends at a time that has passed, and after the event with a cursor", async () => {
  const past = new Date(Date.now() - 60_000);
  const [none, [first, second, third]] = await read({ since: "earliest", until: past });
  assert.equal(none, []);
  const until = `until=${encodeURIComponent(past.toISOString())}&bookmarks=true`;
  assert.is(first, `?${until}&since=earliest`);
  assert.match(second!, /&since=[0-9a-z]+-0$/, "204 tells the end from one of a server that stops");
  assert.is(third, undefined);
  const channel = createChannel(catalogue);
  const ids = [1, 2, 3].map((n) => channel.publish("tick", { n }));
  const fetch = (url: string, init: RequestInit) =>
    eventsEndpoint(channel).request(`/${new URL(url).search}`, init);
  const numbers: unknown[] = [];
  for await (
    const event of connect("http://localhost/events", { since: "earliest", until: ids[1]!, catalogue, fetch })
  ) if (event.type === "tick") numbers.push(event.event.n);
  assert.equal(numbers, [1, 2]);
});

test("connect() ends at a time to come, in silence, and with events that a filter hides", async () => {
  const channel = createChannel(catalogue);
  const endpoint = eventsEndpoint(channel, {
    filter: (event) => event.type !== "tick" || event.event.n === 1,
  });
  let requests = 0;
  const statuses: string[] = [];
  const fetch = (url: string, init: RequestInit) => {
    requests++;
    return endpoint.request(`/${new URL(url).search}`, init);
  };
  const until = new Date(Date.now() + 300);
  const numbers: unknown[] = [];
  const onStatus = ({ type }: Status) => void statuses.push(type);
  const reading = (async () => {
    for await (const event of connect("http://localhost/events", { until, catalogue, fetch, onStatus })) {
      if (event.type === "tick") numbers.push(event.event.n);
      channel.publish("tick", { n: 2 });
    }
  })();
  await within(waitFor(() => statuses.includes("open"), "it is open"), "it is open");
  channel.publish("tick", { n: 1 });
  await within(reading, "the end of the loop");
  assert.equal(numbers, [1]);
  assert.ok(Date.now() >= until.getTime());
  assert.equal([requests, statuses], [2, ["connecting", "open", "connecting", "closed"]]);
});

test("connect() resumes a stream that ends before its time, as at the restart of a server", async () => {
  const channel = createChannel(catalogue);
  channel.publish("tick", { n: 1 });
  const until = new Date(Date.now() + 500);
  let requests = 0;
  const fetch = async (url: string, init: RequestInit) => {
    if (++requests > 1) return await eventsEndpoint(channel).request(`/${new URL(url).search}`, init);
    const response = await eventsEndpoint(channel).request(`/${new URL(url).search}&follow=false`, init);
    channel.publish("tick", { n: 2 });
    return response;
  };
  const numbers: unknown[] = [];
  const reconnect = { min: 0.01, max: 0.01 };
  for await (
    const event of connect("http://localhost/events", {
      since: "earliest",
      until,
      catalogue,
      fetch,
      reconnect,
    })
  ) if (event.type === "tick") numbers.push(event.event.n);
  assert.equal(numbers, [1, 2]);
  assert.ok(Date.now() >= until.getTime());
});

test("connect() rejects places and numbers that are none", () => {
  const failure = (options: object): string => {
    try {
      connect("http://localhost/events", options);
      return "";
    } catch (error) {
      return (error as Error).message;
    }
  };
  assert.is(failure({ last: 0 }), "last must be a whole number from 1 on, not 0");
  assert.is(failure({ limit: NaN }), "limit must be a whole number from 1 on, not NaN");
  assert.is(
    failure({ until: new Date(NaN) }),
    "connect: until must be a string, or a valid Date, not an instance of Date",
  );
  assert.is(failure({ since: 5 }), "connect: since must be a string, or a valid Date, not 5");
});

test.run();
