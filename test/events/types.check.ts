/**
 * The contract of the types, for the compiler alone: nothing here is run. A line under `@ts-expect-error` that compiles is an
 * error, and so is any other line that does not.
 *
 * @module
 */
import { type } from "arktype";
import { Hono } from "hono";
import { hc } from "hono/client";
import * as v from "valibot";
import { z } from "zod";
import {
  type ClientEvent,
  connect,
  type Connection,
  type ConnectOptions,
  type Dictionary,
  type Status,
} from "../../src/client/mod.ts";
import {
  type Batch,
  type Catalogue,
  type Channel,
  createChannel,
  defineEvents,
  type Draft,
  type EndpointOptions,
  type EventDictionary,
  type EventLog,
  eventsEndpoint,
  type EventsErrorCode,
  type EventsSource,
  type LossReason,
  type MemoryChannel,
  type PayloadArguments,
  type PayloadOf,
  type PublishableType,
  type PublishedEvent,
  type PublishOptions,
  type Schemas,
  type StartOf,
  type StreamEvent,
} from "../../src/mod.ts";
import {
  createSession,
  type Session,
  type Torrent,
  type TorrentFinished,
  triblerEvents,
  type TriblerSchemas,
  type TriblerStart,
} from "../../src/tribler/mod.ts";

/** Whether two types are the same; `any` is the same as itself alone. */
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;

/** The type that must not leak. */
// deno-lint-ignore no-explicit-any
type Any = any;

/** Compiles if the type is `true`. */
function sure<_ extends true>(): void {}
/** Compiles if the value is of exactly this type. */
function exactly<T>(): <U>(value: U, ...proof: Equal<T, U> extends true ? [] : [never]) => void {
  return () => {};
}

const shop = defineEvents({
  events_start: v.object({ shop: v.string(), open: v.boolean() }),
  placed: v.object({ id: v.string(), total: v.number(), gift: v.optional(v.boolean()) }),
  note: v.string(),
  pair: v.tuple([v.string(), v.number()]),
  kind: v.picklist(["a", "b"]),
  closed: null,
});
type Shop = typeof shop.schemas;
interface Placed {
  id: string;
  total: number;
  gift?: boolean | undefined;
}

const bare = defineEvents({ tick: v.object({ n: v.number() }), done: null });
type Bare = typeof bare.schemas;

/** Each of these must only compile. */
export const checks: readonly (() => void)[] = [
  function theHelpersTellTypesApart() {
    sure<Equal<string, string>>();
    // @ts-expect-error: any is not string
    sure<Equal<string, Any>>();
    // @ts-expect-error: any is not unknown
    sure<Equal<unknown, Any>>();
    // @ts-expect-error: a union is not one of its members
    sure<Equal<string, string | undefined>>();
    exactly<number>()(1 as number);
    // @ts-expect-error: a literal is not its general type
    exactly<number>()(1 as const);
  },

  function aCatalogueHasItsTypes() {
    exactly<Catalogue<Shop>>()(shop);
    sure<Equal<PublishableType<Shop>, "placed" | "note" | "pair" | "kind" | "closed">>();
    sure<Equal<PublishableType<Bare>, "tick" | "done">>();
    sure<Equal<Shop["closed"], null>>();
    // @ts-expect-error: a schema must be a schema
    defineEvents({ odd: 7 });
    // @ts-expect-error: undefined is neither a schema nor null
    defineEvents({ odd: undefined });
    // @ts-expect-error: a schema must be synchronous
    defineEvents({ later: v.objectAsync({ n: v.number() }) });
    // @ts-expect-error: a catalogue is read-only
    shop.schemas.closed = v.string();
    // @ts-expect-error: the list of types is read-only
    shop.types.push("more");
  },

  function schemasOfOtherLibrariesHaveTheirTypes() {
    const zod = defineEvents({ order: z.object({ id: z.string(), total: z.number() }), closed: null });
    const ark = defineEvents({ order: type({ id: "string", total: "number" }), closed: null });
    sure<Equal<PayloadOf<typeof zod.schemas, "order">, { id: string; total: number }>>();
    sure<Equal<PayloadOf<typeof ark.schemas, "order">, { id: string; total: number }>>();
    createChannel(zod).publish("order", { id: "o-1", total: 1 });
    createChannel(ark).publish("order", { id: "o-1", total: 1 });
    // @ts-expect-error: a total is a number
    createChannel(zod).publish("order", { id: "o-1", total: "1" });
    // @ts-expect-error: a total is a number
    createChannel(ark).publish("order", { id: "o-1", total: "1" });
    // @ts-expect-error: it has no payload
    createChannel(ark).publish("closed", {});
  },

  function aPayloadHasTheTypeOfItsSchema() {
    sure<Equal<PayloadOf<Shop, "placed">, Placed>>();
    sure<Equal<PayloadOf<Shop, "note">, string>>();
    sure<Equal<PayloadOf<Shop, "pair">, [string, number]>>();
    sure<Equal<PayloadOf<Shop, "kind">, "a" | "b">>();
    sure<Equal<PayloadOf<Shop, "closed">, undefined>>();
    sure<Equal<PayloadArguments<Shop, "note">, [payload: string, options?: PublishOptions]>>();
    sure<Equal<PayloadArguments<Shop, "closed">, [payload?: undefined, options?: PublishOptions]>>();
    // @ts-expect-error: there is no such type
    sure<Equal<PayloadOf<Shop, "nope">, undefined>>();
    // A transformation of the schema is never applied, so the type is that of its input.
    const changed = defineEvents({ at: v.pipe(v.string(), v.transform((text) => text.length)) });
    sure<Equal<PayloadOf<typeof changed.schemas, "at">, string>>();
  },

  function publishAcceptsThePayloadOfTheType() {
    const channel = createChannel(shop);
    exactly<MemoryChannel<Shop>>()(channel);
    exactly<string>()(channel.publish("placed", { id: "1", total: 2 }));
    channel.publish("placed", { id: "1", total: 2, gift: true });
    channel.publish("note", "text");
    channel.publish("pair", ["a", 1]);
    channel.publish("kind", "a");
    channel.publish("closed");
    channel.publish("closed", undefined);
    // @ts-expect-error: a field is missing
    channel.publish("placed", { id: "1" });
    // @ts-expect-error: a field is of another type
    channel.publish("placed", { id: "1", total: "2" });
    // @ts-expect-error: a literal has no unknown keys
    channel.publish("placed", { id: "1", total: 2, totl: 3 });
    // @ts-expect-error: the payload of another type
    channel.publish("note", { id: "1", total: 2 });
    // @ts-expect-error: null is not a payload
    channel.publish("note", null);
    // @ts-expect-error: undefined is not a payload
    channel.publish("note", undefined);
    // @ts-expect-error: the payload is missing
    channel.publish("note");
    // @ts-expect-error: there is no third argument
    channel.publish("note", "text", "more");
    // @ts-expect-error: not a member of the list
    channel.publish("kind", "c");
    // @ts-expect-error: the pair is too short
    channel.publish("pair", ["a"]);
    // @ts-expect-error: this type has no payload
    channel.publish("closed", {});
    // @ts-expect-error: null is not a payload of it
    channel.publish("closed", null);
    // @ts-expect-error: there is no such type
    channel.publish("nope");
    // @ts-expect-error: there is no such type with a payload
    channel.publish("nope", {});
    // @ts-expect-error: a type is a name
    channel.publish(7);
    // @ts-expect-error: a string is not a type
    channel.publish("note" as string, "text");
  },

  function aUnionOfTypesNeedsThePayloadOfEach() {
    const channel = createChannel(shop);
    const type = "note" as "note" | "closed";
    if (type === "note") channel.publish(type, "text");
    else channel.publish(type);
    // @ts-expect-error: one of the two needs a payload
    channel.publish("note" as "note" | "closed");
    // @ts-expect-error: the payload fits neither
    channel.publish("note" as "note" | "kind", 7);
  },

  function controlEventsCannotBePublished() {
    const channel = createChannel(shop);
    // @ts-expect-error: events_start cannot be published, although the catalogue has a schema of it
    channel.publish("events_start", { shop: "x", open: true });
    // @ts-expect-error: events_lost cannot be published
    channel.publish("events_lost", { reason: "slow_consumer", count: 1 });
    // @ts-expect-error: events_bookmark cannot be published
    channel.publish("events_bookmark");
    // @ts-expect-error: events_start cannot be published in a batch
    channel.publishBatch([{ type: "events_start", event: { shop: "x", open: true } }]);
    const tribler = createChannel(triblerEvents);
    // @ts-expect-error: events_start of Tribler cannot be published
    tribler.publish("events_start", { tribler_started: true, version: "7" });
  },

  function aSubjectIsDerivedOfThePayload() {
    const schemas = { order: v.object({ id: v.string() }), closed: null };
    defineEvents(schemas, {
      subject: { order: (order) => sure<Equal<typeof order, { id: string }>>() ?? `order/${order.id}` },
    });
    defineEvents(schemas, { subject: { closed: () => undefined } });
    defineEvents({ ...triblerEvents.schemas, ...schemas }, { subject: { ...triblerEvents.subject } });
    // @ts-expect-error: there is no such type
    defineEvents(schemas, { subject: { ordr: () => "order" } });
    // @ts-expect-error: the payload has no such key
    defineEvents(schemas, { subject: { order: ({ number }) => `order/${number}` } });
    // @ts-expect-error: a subject is a string
    defineEvents(schemas, { subject: { order: () => 42 } });
    // @ts-expect-error: a control event has none
    defineEvents({ ...schemas, events_start: null }, { subject: { events_start: () => "start" } });
    const channel = createChannel(defineEvents(schemas));
    channel.publish("order", { id: "42" }, { subject: "order/42" });
    channel.publish("closed", undefined, { subject: "shop" });
    channel.publishBatch([{ type: "closed", subject: "shop" }, { type: "closed", subject: undefined }]);
    // @ts-expect-error: a subject is a string
    channel.publish("closed", undefined, { subject: 42 });
    const [entry] = channel.read(0, 1).entries;
    sure<Equal<ReturnType<typeof channel.parse>["subject"], string | undefined>>();
    sure<Equal<NonNullable<typeof entry>["subject"], string | undefined>>();
  },

  function aDraftIsAUnion() {
    sure<
      Equal<
        Draft<Bare>,
        | { readonly type: "tick"; readonly subject?: string | undefined; readonly event: { n: number } }
        | { readonly type: "done"; readonly subject?: string | undefined; readonly event?: undefined }
      >
    >();
    const channel = createChannel(bare);
    exactly<string[]>()(channel.publishBatch([{ type: "tick", event: { n: 1 } }, { type: "done" }]));
    channel.publishBatch([]);
    channel.publishBatch([{ type: "done", event: undefined }] as const);
    const drafts: Draft<Bare>[] = [{ type: "done" }];
    drafts.push({ type: "tick", event: { n: 2 } });
    channel.publishBatch(drafts);
    // @ts-expect-error: the payload of another type
    channel.publishBatch([{ type: "tick", event: { x: 1 } }]);
    // @ts-expect-error: the payload is missing
    channel.publishBatch([{ type: "tick" }]);
    // @ts-expect-error: this type has no payload
    channel.publishBatch([{ type: "done", event: {} }]);
    // @ts-expect-error: there is no such type
    channel.publishBatch([{ type: "nope" }]);
    // @ts-expect-error: the channel sets the id
    channel.publishBatch([{ type: "done", id: "k3f9-1" }]);
    // @ts-expect-error: the channel sets the time
    channel.publishBatch([{ type: "done", time: "2026-01-01T00:00:00.000Z" }]);
    // @ts-expect-error: a draft is read-only
    drafts[0]!.type = "tick";
  },

  function aPublishedEventNarrowsByItsType() {
    const channel = createChannel(shop);
    const event = channel.parse(channel.read(0, 1).entries[0]!);
    exactly<PublishedEvent<Shop>>()(event);
    sure<Equal<typeof event["type"], PublishableType<Shop>>>();
    exactly<string>()(event.id);
    exactly<string>()(event.time);
    switch (event.type) {
      case "placed":
        exactly<Placed>()(event.event);
        exactly<number>()(event.event.total);
        break;
      case "note":
        exactly<string>()(event.event);
        break;
      case "pair":
        exactly<[string, number]>()(event.event);
        break;
      case "kind":
        exactly<"a" | "b">()(event.event);
        break;
      case "closed":
        exactly<undefined>()(event.event);
        break;
      default:
        exactly<never>()(event);
    }
    // @ts-expect-error: events_start is not a published event
    if (event.type === "events_start") return;
    // @ts-expect-error: the payload is unknown before the event is narrowed
    event.event.total;
    // @ts-expect-error: an event is read-only
    event.id = "";
  },

  function aStreamEventIsPublishedOrControl() {
    const event = {} as StreamEvent<Shop>;
    sure<
      Equal<
        typeof event["type"],
        PublishableType<Shop> | "events_start" | "events_lost" | "events_bookmark"
      >
    >();
    if (event.type === "events_start") {
      exactly<number | null>()(event.event.heartbeat);
      exactly<string>()(event.event.shop);
      exactly<boolean>()(event.event.open);
      // @ts-expect-error: the schema has no such field
      event.event.version;
    } else if (event.type === "events_lost") {
      exactly<LossReason>()(event.event.reason);
      exactly<number | null>()(event.event.count);
      // @ts-expect-error: the count is null if it is unknown
      const count: number = event.event.count;
      return count;
    } else if (event.type === "events_bookmark") {
      exactly<undefined>()(event.event);
    } else {
      exactly<PublishedEvent<Shop>>()(event);
    }
    exactly<string>()(event.id);
    sure<Equal<LossReason, "history_expired" | "unknown_epoch" | "slow_consumer">>();

    const plain = {} as StreamEvent<Bare>;
    if (plain.type === "events_start") {
      exactly<number | null>()(plain.event.heartbeat);
      exactly<unknown>()(plain.event["anything"]);
    }
  },

  function theDictionaryHasAnEventOnlyWithAPayload() {
    const closed: EventDictionary<"closed"> = { type: "closed", id: "k3f9-1", time: "" };
    const note: EventDictionary<"note", string> = { type: "note", event: "text", id: "k3f9-1", time: "" };
    // @ts-expect-error: without a payload there is no key event
    const odd: EventDictionary<"closed"> = { ...closed, event: {} };
    // @ts-expect-error: with a payload the key event is required
    const lacking: EventDictionary<"note", string> = closed;
    return [note, odd, lacking];
  },

  function theStartHasTheTypeOfItsSchema() {
    sure<Equal<StartOf<Shop>, { shop: string; open: boolean }>>();
    sure<Equal<StartOf<Bare>, Readonly<Record<string, unknown>>>>();
    sure<Equal<StartOf<TriblerSchemas>, TriblerStart>>();
    sure<
      Equal<NonNullable<EndpointOptions<Shop>["startPayload"]>, () => { shop: string; open: boolean }>
    >();

    const channel = createChannel(shop);
    eventsEndpoint(channel, { startPayload: () => ({ shop: "x", open: true }) });
    // @ts-expect-error: a field is missing
    eventsEndpoint(channel, { startPayload: () => ({ shop: "x" }) });
    // @ts-expect-error: a field is of another type
    eventsEndpoint(channel, { startPayload: () => ({ shop: "x", open: "yes" }) });
    // @ts-expect-error: startPayload is a function
    eventsEndpoint(channel, { startPayload: { shop: "x", open: true } });
    // @ts-expect-error: startPayload is synchronous
    eventsEndpoint(channel, { startPayload: () => Promise.resolve({ shop: "x", open: true }) });

    eventsEndpoint(createChannel(bare));
    eventsEndpoint(createChannel(bare), { startPayload: () => ({ anything: 1 }) });
    // @ts-expect-error: startPayload returns an object
    eventsEndpoint(createChannel(bare), { startPayload: () => 7 });
  },

  function anEndpointTakesAChannelOrASource() {
    const channel = createChannel(shop);
    const options: EndpointOptions<Shop> = { heartbeat: null, publish: false, maxBodyBytes: 1 };
    eventsEndpoint(channel, options);
    const source: EventsSource<Shop> = {
      channel,
      startPayload: () => ({ shop: "x", open: false }),
      onConnect: () => () => {},
    };
    eventsEndpoint(source);
    // @ts-expect-error: the payload of another catalogue
    eventsEndpoint<Shop>({ ...source, startPayload: () => ({ version: "7" }) });
    // @ts-expect-error: seconds are a number
    eventsEndpoint(channel, { heartbeat: "5" });
    // @ts-expect-error: an option is absent, not undefined
    eventsEndpoint(channel, { heartbeat: undefined });
    // @ts-expect-error: there is no such option
    eventsEndpoint(channel, { heartbeats: 5 });
    // @ts-expect-error: a catalogue is not a channel
    eventsEndpoint(shop);
    exactly<number>()(eventsEndpoint(channel).stats().subscribers);
  },

  function authorizeDecidesWhatARequestMayDo() {
    const channel = createChannel(shop);
    eventsEndpoint(channel, { authorize: () => true });
    eventsEndpoint(channel, { authorize: (c) => Promise.resolve(c.req.header("X") === "y" && {}) });
    eventsEndpoint(channel, { authorize: () => ({ expiresAt: new Date() }) });
    eventsEndpoint(channel, {
      authorize: () => ({ filter: (event) => event.type === "closed", expiresAt: Date.now() }),
    });
    // @ts-expect-error: authorize must return an answer
    eventsEndpoint(channel, { authorize: () => {} });
    // @ts-expect-error: not a type of this catalogue
    eventsEndpoint(channel, { authorize: () => ({ filter: (event) => event.type === "tick" }) });
    // @ts-expect-error: a filter is synchronous
    eventsEndpoint(channel, { authorize: () => ({ filter: () => Promise.resolve(true) }) });
    // @ts-expect-error: a time is a number or a date
    eventsEndpoint(channel, { authorize: () => ({ expiresAt: "2026-11-24" }) });
    eventsEndpoint(channel, {
      maxConnections: null,
      maxConnectionsPerAddress: null,
      idempotencyWindow: null,
    });
    // @ts-expect-error: maxDepth cannot be switched off
    eventsEndpoint(channel, { maxDepth: null });
  },

  function anyChannelIsAChannel() {
    // @ts-expect-error: a Channel of any catalogue would accept any event; code that only reads takes an EventLog
    const channel: Channel = createChannel(shop);
    const catalogue: Catalogue = shop;
    const log: EventLog = createChannel(shop);
    const read = async () => {
      for await (const batch of log.batches()) exactly<Batch>()(batch);
    };
    const generic = <S extends Schemas>(channel: Channel<S>) => {
      exactly<number>()(channel.last);
      return eventsEndpoint(channel);
    };
    // @ts-expect-error: a channel of one catalogue is not that of another
    const other: Channel<Bare> = createChannel(shop);
    return [channel, catalogue, read, generic, other];
  },

  function aSessionEmitsTriblersEvents() {
    const session = createSession({ version: "7.1.5" });
    exactly<Session>()(session);
    const finished = { infohash: "ab".repeat(20), name: "x" };
    exactly<string | undefined>()(session.emit("torrent_finished", finished));
    session.emit("torrent_finished", { ...finished, hidden: true });
    session.emit("shutdown", "text");
    session.emit("upgrader_started");
    session.emit("torrent_discovered", {
      infohash: "",
      timestamp: 1,
      name: "",
      files: [["a", 1]],
      trackers: [],
      dispersy_cid: "",
    });
    // @ts-expect-error: the payload is missing
    session.emit("torrent_finished");
    // @ts-expect-error: a field is missing
    session.emit("torrent_finished", { name: "x" });
    // @ts-expect-error: this type has no payload
    session.emit("upgrader_started", {});
    // @ts-expect-error: the payload is a string, not a dictionary
    session.emit("shutdown", { text: "x" });
    // @ts-expect-error: a file is a pair
    session.emit("torrent_discovered", { files: ["a", 1] });
    // @ts-expect-error: the session itself sends it
    session.emit("events_start", { tribler_started: true, version: "7" });
    // @ts-expect-error: there is no such type
    session.emit("torrent_removed", {});
    // @ts-expect-error: a session has a version
    createSession({});

    eventsEndpoint(session);
    sure<Equal<PayloadOf<TriblerSchemas, "torrent_finished">, TorrentFinished>>();
    const event = {} as StreamEvent<TriblerSchemas>;
    if (event.type === "search_result_torrent") exactly<Torrent>()(event.event.result);
    if (event.type === "shutdown") exactly<string>()(event.event);
    if (event.type === "upgrader_started") exactly<undefined>()(event.event);
    if (event.type === "events_start") exactly<boolean>()(event.event.tribler_started);
    sure<Equal<PublishableType<TriblerSchemas>, Exclude<keyof TriblerSchemas, "events_start">>>();
  },

  function aClientYieldsItsCatalogue() {
    const connection = connect("http://localhost/", { catalogue: shop, types: ["placed"] });
    exactly<Connection<ClientEvent<Shop>>>()(connection);
    exactly<string | undefined>()(connection.lastId);
    const read = async () => {
      for await (const event of connection) {
        exactly<string | undefined>()(event.id);
        if (event.type === "placed") exactly<Placed>()(event.event);
        if (event.type === "note") exactly<string>()(event.event);
        if (event.type === "closed") exactly<undefined>()(event.event);
        if (event.type === "events_lost") exactly<number | null>()(event.event.count);
        // @ts-expect-error: onStatus() reports it, and it is never yielded
        if (event.type === "events_start") return;
        // @ts-expect-error: events_bookmark is never yielded
        if (event.type === "events_bookmark") return;
        // @ts-expect-error: there is no such type
        if (event.type === "lost") return;
      }
    };
    // @ts-expect-error: the iterator is asynchronous
    for (const event of connection) return event;
    return read;
  },

  function aClientWithoutACatalogueYieldsDictionaries() {
    const connection = connect(new URL("http://localhost/"));
    exactly<Connection<Dictionary>>()(connection);
    const owned: AsyncDisposable = connection;
    exactly<() => PromiseLike<void>>()(owned[Symbol.asyncDispose]);
    const read = async () => {
      for await (const event of connection) {
        exactly<string>()(event.type);
        exactly<unknown>()(event.event);
      }
    };
    return read;
  },

  function optionsOfAClient() {
    const onStatus = (status: Status) => {
      if (status.type === "open") exactly<boolean>()(status.resumed);
      if (status.type === "waiting") exactly<number>()(status.delay);
      if (status.type === "lost") exactly<EventsErrorCode>()(status.cause.code);
      // @ts-expect-error: only a waiting status has a delay
      return status.delay;
    };
    const options: ConnectOptions<Shop> = {
      catalogue: shop,
      headers: ({ attempt, unauthorized }) => Promise.resolve({ "X-Token": `${attempt} ${unauthorized}` }),
      reconnect: { min: 1, maxAttempts: 3 },
      idleTimeout: null,
      onUnknown: ({ type }) => exactly<string>()(type),
      onInvalid: (event, issues) => [exactly<Dictionary>()(event), exactly<string>()(issues[0]!.path)],
      onStatus,
      fetch: (url) => new Response(url),
    };
    connect("http://localhost/", options);
    // @ts-expect-error: seconds are a number
    connect("http://localhost/", { idleTimeout: "5" });
    // @ts-expect-error: it is "throw" or a function
    connect("http://localhost/", { onInvalid: "skip" });
    // @ts-expect-error: it is false or an object
    connect("http://localhost/", { reconnect: true });
    // @ts-expect-error: there is no such option
    connect("http://localhost/", { retry: 5 });
  },

  async function routesByHc() {
    const app = new Hono().route("/shop/events", eventsEndpoint(createChannel(shop)));
    const { events } = hc<typeof app>("http://localhost").shop;
    const accepted = await events.$post({ json: { type: "kind", event: "a" } });
    await events.$post({ json: [{ type: "closed" }], header: { "Idempotency-Key": "1" } });
    // @ts-expect-error: it is "a" or "b"
    await events.$post({ json: { type: "kind", event: "c" } });
    // @ts-expect-error: there is no such event
    await events.$post({ json: { type: "lost" } });
    if (accepted.status === 202) exactly<string>()((await accepted.json()).last_id);
    else exactly<EventsErrorCode>()((await accepted.json()).error.code);
    const stream = await events.$get({ query: { since: "earliest", follow: "false" } });
    if (stream.ok) exactly<string>()(await stream.text());
    // @ts-expect-error: there is no such format
    await events.$get({ query: { format: "xml" } });
    // @ts-expect-error: there is no such route
    hc<typeof app>("http://localhost").shop.nothing;
  },

  function nothingIsAny() {
    type IsAny<T> = 0 extends 1 & T ? true : false;
    type Payloads<S extends Schemas> = { [T in keyof S & string]: IsAny<PayloadOf<S, T>> }[keyof S & string];
    sure<Equal<Payloads<TriblerSchemas>, false>>();
    sure<Equal<Payloads<Shop>, false>>();
    sure<Equal<IsAny<PublishedEvent<Shop>>, false>>();
    sure<Equal<IsAny<StreamEvent<Shop>>, false>>();
    sure<Equal<IsAny<StreamEvent<Schemas>>, false>>();
    sure<Equal<IsAny<Draft<Schemas>>, false>>();
    sure<Equal<IsAny<ClientEvent<Shop>>, false>>();
    sure<Equal<IsAny<ClientEvent<Schemas>>, false>>();
    sure<Equal<IsAny<Dictionary["event"]>, false>>();
    sure<Equal<IsAny<StartOf<Schemas>>, false>>();
    sure<Equal<IsAny<ReturnType<Channel<Shop>["parse"]>>, false>>();
    sure<Equal<IsAny<Parameters<Channel<Shop>["publish"]>[number]>, false>>();
    sure<Equal<IsAny<Parameters<Session["emit"]>[number]>, false>>();
    sure<Equal<IsAny<ReturnType<Session["startPayload"]>>, false>>();
    sure<Equal<IsAny<EventsErrorCode>, false>>();
    sure<Equal<string extends EventsErrorCode ? true : false, false>>();
  },
];
