/**
 * Schemas of several libraries: each validates the same events, with its own messages and the same places.
 *
 * @module
 */
import { type } from "arktype";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { z } from "zod";
import { createChannel, defineEvents, eventsEndpoint, EventsError } from "../../src/mod.ts";
import { createApp } from "../../src/server/app.ts";
import { suite } from "../support/suite.ts";

const test = suite("schema libraries");

/** The same catalogue three times: an order has an id, and lines of a name and an amount above 0. */
const CATALOGUES = {
  valibot: defineEvents({
    order: v.object({
      id: v.string(),
      lines: v.array(v.object({ name: v.string(), amount: v.pipe(v.number(), v.minValue(1)) })),
    }),
    closed: null,
  }),
  zod: defineEvents({
    order: z.object({
      id: z.string(),
      lines: z.array(z.object({ name: z.string(), amount: z.number().min(1) })),
    }),
    closed: null,
  }),
  arktype: defineEvents({
    order: type({ id: "string", lines: type({ name: "string", amount: "number >= 1" }).array() }),
    closed: null,
  }),
} as const;

const ORDER = { id: "o-1", lines: [{ name: "tea", amount: 2 }] };

for (const [library, catalogue] of Object.entries(CATALOGUES)) {
  test(`defineEvents() takes schemas of ${library}: publish() validates, with the place of each issue`, async () => {
    const channel = createChannel(catalogue as typeof CATALOGUES.valibot);
    channel.publish("order", ORDER);
    channel.publish("closed");
    const wrong = { id: 7, lines: [{ name: "tea", amount: 2 }, { name: "cup", amount: 0 }] };
    try {
      channel.publish("order", wrong as unknown as typeof ORDER);
      assert.unreachable();
    } catch (error) {
      assert.instance(error, EventsError);
      const { issues } = error as EventsError;
      assert.equal(issues.map(({ path }) => path).sort(), ["event.id", "event.lines.1.amount"]);
      for (const { message } of issues) assert.ok(message.length > 0);
    }
    const endpoint = eventsEndpoint(channel);
    const post = (body: unknown) =>
      endpoint.request("/", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
      });
    assert.is((await post({ type: "order", event: ORDER })).status, 202);
    const refused = await (await post([{ type: "closed" }, { type: "order", event: wrong }])).json();
    assert.equal(
      refused.error.details.map(({ index, path }: { index: number; path: string }) => `${index} ${path}`)
        .sort(),
      ["1 event.id", "1 event.lines.1.amount"],
    );
    const published = channel.read(0, 1e6).entries.map((entry) => channel.parse(entry).event);
    assert.equal(published, [ORDER, undefined, ORDER], "a schema checks, and changes nothing");
  });

  test(`GET /openapi.json describes the schemas of ${library}`, async () => {
    const channel = createChannel(catalogue as typeof CATALOGUES.valibot);
    const source = { channel, version: "1", startPayload: () => ({}), onConnect: () => () => {} };
    const app = createApp(source, { heartbeat: 5 });
    const { components } = await (await app.request("/openapi.json")).json();
    const { properties } = components.schemas["order.payload"];
    assert.equal(Object.keys(properties).sort(), ["id", "lines"]);
    assert.is(properties.lines.items.properties.name.type, "string");
  });
}

test("defineEvents() rejects schemas that answer by a promise, at once or when they first do", () => {
  const later = () => defineEvents({ later: v.objectAsync({ n: v.number() }) as never });
  assert.throws(later, /"later" is not a synchronous schema/);
  assert.throws(() => defineEvents({ odd: {} as never }), /"odd" is not a synchronous schema/);
  const sometimes = defineEvents({
    even: {
      "~standard": {
        version: 1,
        vendor: "mine",
        validate: (value) => value === undefined ? { value } : Promise.resolve({ value }),
      },
    },
  });
  assert.throws(
    () => createChannel(sometimes).publish("even", 2),
    (error: unknown) => error instanceof EventsError && error.code === "InvalidCatalogue",
  );
});

test("defineEvents() takes schemas whose check throws, and publish() and POST report what it threw", async () => {
  // deno-lint-ignore no-explicit-any
  const lengthOf = (value: any) => value.items.length > 0;
  const schemas = {
    "v.custom": v.custom<unknown>(lengthOf),
    "z.custom": z.custom<unknown>(lengthOf),
    "z.refine": z.any().refine(lengthOf),
    "z.transform": z.unknown().transform(lengthOf),
    "z.preprocess": z.preprocess(lengthOf, z.boolean()),
  };
  for (const [name, schema] of Object.entries(schemas)) {
    const channel = createChannel(defineEvents({ list: schema }));
    channel.publish("list", { items: [1] });
    assert.throws(
      () => channel.publish("list", 5),
      (error: EventsError) =>
        error.code === "InvalidEvent" && /event: could not be checked: .*length/.test(error.message),
      name,
    );
    const response = await eventsEndpoint(channel).request("/", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: '{"type":"list","event":5}',
    });
    assert.is(response.status, 400, name);
    assert.is(channel.last, 1);
  }
});

test("defineEvents() or publish() rejects a schema that answers by a promise", () => {
  const isInvalid = (error: EventsError) => error.code === "InvalidCatalogue";
  const synchronous = v.string();
  const asynchronous = v.pipeAsync(synchronous, v.checkAsync(() => Promise.resolve(true)));
  assert.throws(() => defineEvents({ e: z.any().refine(() => Promise.resolve(true)) }), isInvalid);
  assert.throws(
    () => defineEvents({ e: asynchronous as unknown as typeof synchronous }),
    isInvalid,
  );
  const channel = createChannel(defineEvents({ e: z.string().refine(() => Promise.resolve(true)) }));
  assert.throws(() => channel.publish("e", "x"), isInvalid);
});

test("defineEvents() rejects an asynchronous schema of Zod 3, or of Zod in a bundle without the names of classes", () => {
  for (
    const message of [
      "Async refinement encountered during synchronous parse operation. Use .parseAsync instead.",
      "Encountered Promise during synchronous parse. Use .parseAsync() instead.",
    ]
  ) {
    const validate = (value: unknown) => Promise.resolve({ value });
    const safeParse = () => {
      throw new Error(message);
    };
    const schema = { "~standard": { version: 1, vendor: "zod", validate }, safeParse } as const;
    assert.throws(() => defineEvents({ later: schema }), /"later" is not a synchronous schema/);
  }
});

test.run();
