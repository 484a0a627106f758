/**
 * Callbacks that are called while a stream is open, and at its end, run in the context of its request.
 *
 * @module
 */
import { Hono } from "hono";
import { contextStorage, getContext } from "hono/context-storage";
import { AsyncLocalStorage } from "node:async_hooks";
import * as assert from "uvu/assert";
import { createChannel, defineEvents, eventsEndpoint, type EventsSource } from "../../src/mod.ts";
import { openLines, serving, timersLeftBy, until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";

const catalogue = defineEvents({ tick: null });

const test = suite("http: request context");

const users = new AsyncLocalStorage<string>();
const contextOf = {
  AsyncLocalStorage: () => users.getStore(),
  "getContext()": () => getContext<{ Variables: { user: string } }>().get("user"),
};

/** An app whose requests have a user, named in the query. */
function appFor(endpoint: Hono): Hono<{ Variables: { user: string } }> {
  const app = new Hono<{ Variables: { user: string } }>();
  app.use(contextStorage());
  app.use(async (c, next) => {
    const name = c.req.query("user")!;
    c.set("user", name);
    await users.run(name, next);
  });
  return app.route("/events", endpoint);
}

for (const [name, currentUser] of Object.entries(contextOf)) {
  test(`authorize() finds the user of its own request in ${name} when it is asked again`, async () => {
    const asked: Record<string, unknown[]> = { ann: [], bob: [], eve: [] };
    const endpoint = eventsEndpoint(createChannel(catalogue), {
      heartbeat: 0.05,
      authorize: async (c) => {
        asked[c.req.query("user")!]!.push(currentUser());
        await null;
        return currentUser() !== "eve" || asked["eve"]!.length < 4;
      },
    });
    const left = await timersLeftBy(async () => {
      await serving(appFor(endpoint), async (url) => {
        const open = (user: string) => openLines(`${url}/events?user=${user}`);
        const [ann, bob, eve] = [await open("ann"), await open("bob"), await open("eve")];
        await eve.rest(); // Revoked at the fourth question: hers alone.
        await until(() => asked["ann"]!.length > 6 && asked["bob"]!.length > 6, "both were asked for again");
        await ann.close();
        await until(() => endpoint.stats().subscribers === 1, "ann has left");
        const before = asked["bob"]!.length;
        await until(() => asked["bob"]!.length > before + 3, "bob is still asked for");
        await bob.close();
        await until(() => endpoint.stats().subscribers === 0, "both have left");
      });
    }, 600);
    assert.is(left, 0);
    for (const [user, found] of Object.entries(asked)) {
      assert.ok(found.every((one) => one === user), `${user} was asked for as ${[...new Set(found)]}`);
    }
  });

  test(`onStreamEnd() and the end of onConnect() find the user of their own request in ${name}`, async () => {
    const ends: unknown[] = [];
    const channel = createChannel(catalogue);
    const source: EventsSource<typeof catalogue.schemas> = {
      channel,
      startPayload: () => ({ user: currentUser() }),
      onConnect: () => {
        const user = currentUser();
        return () => ends.push([user, currentUser()]);
      },
    };
    const endpoint = eventsEndpoint(source, { heartbeat: null, onStreamEnd: () => ends.push(currentUser()) });
    await serving(appFor(endpoint), async (url) => {
      const ann = await openLines(`${url}/events?user=ann`);
      const bob = await openLines(`${url}/events?user=bob`);
      assert.equal([(await ann.event()).event.user, (await bob.event()).event.user], ["ann", "bob"]);
      await ann.close();
      await until(() => ends.length === 2, "the end of ann's stream is reported");
      channel.close(); // Ends bob's stream, outside its context.
      assert.equal(await bob.rest(), []);
      await until(() => ends.length === 4, "the end of bob's stream is reported");
    });
    assert.equal(ends, [["ann", "ann"], "ann", ["bob", "bob"], "bob"]);
  });
}

test("onError() receives what onStreamEnd() throws, and the end of onConnect() is reported all the same", async () => {
  const errors: unknown[] = [];
  let connected = 0;
  const endpoint = eventsEndpoint({
    channel: createChannel(catalogue),
    startPayload: () => ({}),
    onConnect: () => {
      connected++;
      return () => void connected--;
    },
  }, {
    onStreamEnd: () => {
      throw new Error("mine");
    },
    onError: (error) => errors.push((error as Error).message),
  });
  await (await endpoint.request("/?follow=false")).text();
  await until(() => errors.length === 1, "the error is reported");
  assert.equal([errors, connected], [["mine"], 0]);
});

test.run();
