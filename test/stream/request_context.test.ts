/**
 * A filter of the application runs in the context of its request, whatever causes the events to be read.
 *
 * @module
 */
import type { Context, MiddlewareHandler } from "hono";
import { contextStorage, getContext } from "hono/context-storage";
import { AsyncLocalStorage } from "node:async_hooks";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { defineEvents, type EndpointOptions, type MemoryChannel } from "../../src/mod.ts";
import { makeEndpoint } from "../support/endpoint.ts";
import { type Lines, openLines, serving, timersLeftBy, until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";

const catalogue = defineEvents({ message: v.object({ to: v.string(), n: v.number() }) });
type Options = EndpointOptions<typeof catalogue.schemas>;
type Message = { readonly event: { readonly to: string } };

const test = suite("stream: request context");

interface User {
  readonly name: string;
}

const users = new AsyncLocalStorage<User>();

const fromAsyncLocalStorage = () => users.getStore()?.name;
const fromHono = () => getContext<{ Variables: { user: string } }>().get("user");

/** Gives each request its user, as an application with sessions does. */
const identify: MiddlewareHandler = async (c, next) => {
  const name = c.req.query("user")!;
  c.set("user", name);
  await users.run({ name }, next);
};

/** The default options of the endpoints. */
const OPTIONS = { heartbeat: null, middleware: [contextStorage(), identify] };

/** Publishes this many messages: the first one and every second one after it to bob, the others to ann. */
function publish(channel: MemoryChannel<typeof catalogue.schemas>, count: number): void {
  for (let i = 0; i < count; i++) {
    const n = channel.last + 1;
    channel.publish("message", { to: n % 2 === 0 ? "ann" : "bob", n });
  }
}

async function opened(url: string, user: string, query = ""): Promise<Lines> {
  const lines = await openLines(`${url}/events?user=${user}${query}`);
  assert.is((await lines.event()).type, "events_start");
  return lines;
}

/** Reads this many messages, which are all to this user. */
async function readOwn(lines: Lines, user: string, count: number): Promise<number[]> {
  return (await lines.events(count)).map(({ type, event }) => {
    assert.equal([type, event.to], ["message", user]);
    return event.n;
  });
}

for (
  const [source, name] of [[fromAsyncLocalStorage, "AsyncLocalStorage"], [fromHono, "getContext()"]] as const
) {
  const isOwn = ({ event }: Message) => event.to === source();
  const kinds: [what: string, options: Options][] = [
    ["filter", { filter: isOwn }],
    ["authorize().filter", { authorize: () => ({ filter: isOwn }) }],
    ["filter with writeToSocket", { filter: isOwn, writeToSocket: true }],
  ];
  for (const [what, options] of kinds) {
    test(`${what} finds the user of its own request in ${name}, live and replayed`, async () => {
      const left = await timersLeftBy(async () => {
        const { app, endpoint, channel } = makeEndpoint(catalogue, { ...OPTIONS, ...options });
        await serving(app, async (url) => {
          publish(channel, 10);
          const ann = await opened(url, "ann", "&since=earliest");
          const bob = await opened(url, "bob", "&since=earliest");
          assert.equal(await readOwn(ann, "ann", 5), [2, 4, 6, 8, 10]);
          assert.equal(await readOwn(bob, "bob", 5), [1, 3, 5, 7, 9]);
          for (let round = 0; round < 5; round++) {
            publish(channel, 20);
            await readOwn(bob, "bob", 10);
            await readOwn(ann, "ann", 10);
          }
          // Bob's stream was the second; after the first has ended it still reads in its own context.
          await ann.close();
          await until(() => endpoint.stats().subscribers === 1, "ann has disconnected");
          publish(channel, 20);
          await readOwn(bob, "bob", 10);
          await bob.close();
          await until(
            () => endpoint.stats().subscribers + channel.stats().readers === 0,
            "both have disconnected",
          );
        });
      }, 600);
      assert.is(left, 0);
    });
  }

  test(`filter finds the user of its own request in ${name} after slow reads and long replays`, async () => {
    const { app, endpoint, channel } = makeEndpoint(catalogue, { ...OPTIONS, filter: isOwn });
    publish(channel, 30_000); // More than one turn reads, and more than the cache of chunks holds.
    await serving(app, async (url) => {
      const ann = await opened(url, "ann", "&since=earliest");
      const bob = await opened(url, "bob", "&since=earliest");
      for (let round = 0; round < 15; round++) {
        publish(channel, 100);
        await readOwn(ann, "ann", 1000);
        await readOwn(bob, "bob", 1000);
      }
      await ann.close();
      await bob.close();
      await until(() => endpoint.stats().subscribers === 0, "both have disconnected");
    });
  });

  test(`authorize() returns a later filter that finds the user of its own request in ${name}`, async () => {
    let asked = 0;
    const authorize = (c: Context) => {
      asked++;
      const user = c.req.query("user");
      // From the second call on the filter takes the user from the context, not from the request.
      return asked <= 2 ? { filter: ({ event }: Message) => event.to === user } : { filter: isOwn };
    };
    const { app, endpoint, channel } = makeEndpoint(catalogue, { ...OPTIONS, authorize, heartbeat: 0.05 });
    await serving(app, async (url) => {
      const ann = await opened(url, "ann");
      const bob = await opened(url, "bob");
      await until(() => asked > 6, "both have been asked for again");
      publish(channel, 20);
      await readOwn(ann, "ann", 10);
      await readOwn(bob, "bob", 10);
      await ann.close();
      await bob.close();
      await until(() => endpoint.stats().subscribers === 0, "both have disconnected");
    });
  });
}

test("authorize() returns a filter later that runs in the context of its request", async () => {
  const asked = new Map<string, number>();
  const authorize = (c: Context) => {
    const user = c.req.query("user")!;
    asked.set(user, (asked.get(user) ?? 0) + 1);
    return asked.get(user) === 1 || { filter: ({ event }: Message) => event.to === fromAsyncLocalStorage() };
  };
  const { app, endpoint, channel } = makeEndpoint(catalogue, { ...OPTIONS, authorize, heartbeat: 0.05 });
  await serving(app, async (url) => {
    const ann = await opened(url, "ann");
    const bob = await opened(url, "bob");
    await until(() => [...asked.values()].every((times) => times > 2), "both have been asked for again");
    publish(channel, 20);
    await readOwn(ann, "ann", 10);
    await readOwn(bob, "bob", 10);
    await ann.close();
    await bob.close();
    await until(() => endpoint.stats().subscribers === 0, "both have disconnected");
  });
});

test("authorize() ends a stream with a filter as any other", async () => {
  let isAllowed = true;
  const { app, endpoint, channel } = makeEndpoint(catalogue, {
    ...OPTIONS,
    authorize: () => isAllowed && { filter: ({ event }: Message) => event.to === fromAsyncLocalStorage() },
    heartbeat: 0.1,
  });
  await serving(app, async (url) => {
    const ann = await opened(url, "ann", "&since=earliest");
    publish(channel, 4);
    await readOwn(ann, "ann", 2);
    isAllowed = false;
    assert.equal(await ann.rest(), []);
    assert.is(endpoint.stats().formats["ndjson"]!.ended.unauthorized, 1);
    isAllowed = true;
    const bob = await opened(url, "bob", "&since=earliest");
    publish(channel, 2);
    channel.close();
    assert.equal((await bob.rest()).map(({ event }) => event.n), [1, 3, 5]);
    const late = await opened(url, "ann", "&since=earliest&follow=false");
    assert.equal((await late.rest()).map(({ event }) => event.n), [2, 4, 6]);
  });
});

test("filter cuts off its own stream alone when it throws", async () => {
  const errors: unknown[] = [];
  const { app, endpoint, channel } = makeEndpoint(catalogue, {
    ...OPTIONS,
    filter: ({ event }) => {
      if (fromAsyncLocalStorage() === "ann") throw new Error("no rights known");
      return event.to === fromAsyncLocalStorage();
    },
    onError: (error) => void errors.push(error),
  });
  await serving(app, async (url) => {
    const ann = await opened(url, "ann");
    const bob = await opened(url, "bob");
    publish(channel, 2);
    assert.ok(await ann.event().then(() => false, () => true), "it is cut off");
    await readOwn(bob, "bob", 1);
    assert.is(errors.length, 1);
    await bob.close();
    await until(() => endpoint.stats().subscribers === 0, "both have disconnected");
  });
});

test.run();
