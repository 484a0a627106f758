/**
 * What the types promise, for the compiler alone: nothing here is ever run. A line under `@ts-expect-error`
 * that compiles is an error, and so is any other line that does not.
 *
 * @module
 */
import * as v from "valibot";
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

/** Whether two types are the same, `any` being the same as nothing but itself. */
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;

/** What must not leak. */
// deno-lint-ignore no-explicit-any
type Any = any;

/** Compiles where the type is `true`. */
function sure<_ extends true>(): void {}
/** Compiles where the value is of exactly this type. */
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

/** Each of these only has to compile. */
export const checks: readonly (() => void)[] = [
  function theHelpersTellTypesApart() {
    sure<Equal<string, string>>();
    // @ts-expect-error: any is not the same as string
    sure<Equal<string, Any>>();
    // @ts-expect-error: nor is unknown
    sure<Equal<unknown, Any>>();
    // @ts-expect-error: a union is not one of its members
    sure<Equal<string, string | undefined>>();
    exactly<number>()(1 as number);
    // @ts-expect-error: a literal is not its kind
    exactly<number>()(1 as const);
  },

  function aCatalogueKnowsItsTypes() {
    exactly<Catalogue<Shop>>()(shop);
    sure<Equal<PublishableType<Shop>, "placed" | "note" | "pair" | "kind" | "closed">>();
    sure<Equal<PublishableType<Bare>, "tick" | "done">>();
    sure<Equal<Shop["closed"], null>>();
    // @ts-expect-error: a schema must be a schema
    defineEvents({ odd: 7 });
    // @ts-expect-error: undefined is not null
    defineEvents({ odd: undefined });
    // @ts-expect-error: a schema that answers later cannot check what is published at once
    defineEvents({ later: v.objectAsync({ n: v.number() }) });
    // @ts-expect-error: a catalogue does not change
    shop.schemas.closed = v.string();
    // @ts-expect-error: nor does the list of its types
    shop.types.push("more");
  },

  function aPayloadIsWhatItsSchemaSays() {
    sure<Equal<PayloadOf<Shop, "placed">, Placed>>();
    sure<Equal<PayloadOf<Shop, "note">, string>>();
    sure<Equal<PayloadOf<Shop, "pair">, [string, number]>>();
    sure<Equal<PayloadOf<Shop, "kind">, "a" | "b">>();
    sure<Equal<PayloadOf<Shop, "closed">, undefined>>();
    sure<Equal<PayloadArguments<Shop, "note">, [payload: string]>>();
    sure<Equal<PayloadArguments<Shop, "closed">, [payload?: undefined]>>();
    // @ts-expect-error: there is no such type
    sure<Equal<PayloadOf<Shop, "nope">, undefined>>();
    // A transformation of the schema is never applied, so what counts is what goes into it.
    const changed = defineEvents({ at: v.pipe(v.string(), v.transform((text) => text.length)) });
    sure<Equal<PayloadOf<typeof changed.schemas, "at">, string>>();
  },

  function publishTakesWhatTheTypeSays() {
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
    // @ts-expect-error: a key that nobody knows, in a literal, is a slip of the pen
    channel.publish("placed", { id: "1", total: 2, totl: 3 });
    // @ts-expect-error: the payload of another type
    channel.publish("note", { id: "1", total: 2 });
    // @ts-expect-error: null is no payload
    channel.publish("note", null);
    // @ts-expect-error: undefined neither
    channel.publish("note", undefined);
    // @ts-expect-error: the payload is missing
    channel.publish("note");
    // @ts-expect-error: no third argument
    channel.publish("note", "text", "more");
    // @ts-expect-error: not one of the list
    channel.publish("kind", "c");
    // @ts-expect-error: the pair is too short
    channel.publish("pair", ["a"]);
    // @ts-expect-error: this type has no payload
    channel.publish("closed", {});
    // @ts-expect-error: nor null
    channel.publish("closed", null);
    // @ts-expect-error: there is no such type
    channel.publish("nope");
    // @ts-expect-error: there is no such type, with a payload neither
    channel.publish("nope", {});
    // @ts-expect-error: a type is a name
    channel.publish(7);
    // @ts-expect-error: any string is not a type
    channel.publish("note" as string, "text");
  },

  function severalTypesAtOnceNeedWhatEachOfThemNeeds() {
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
    // @ts-expect-error: events_start is the endpoint's to tell, although the catalogue describes it
    channel.publish("events_start", { shop: "x", open: true });
    // @ts-expect-error: events_lost too
    channel.publish("events_lost", { reason: "slow_consumer", count: 1 });
    // @ts-expect-error: events_bookmark too
    channel.publish("events_bookmark");
    // @ts-expect-error: not in a batch either
    channel.publishBatch([{ type: "events_start", event: { shop: "x", open: true } }]);
    const tribler = createChannel(triblerEvents);
    // @ts-expect-error: nor Tribler's
    tribler.publish("events_start", { tribler_started: true, version: "7" });
  },

  function aDraftIsAUnion() {
    sure<
      Equal<
        Draft<Bare>,
        | { readonly type: "tick"; readonly event: { n: number } }
        | { readonly type: "done"; readonly event?: undefined }
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
    // @ts-expect-error: the id is the channel's to give
    channel.publishBatch([{ type: "done", id: "k3f9-1" }]);
    // @ts-expect-error: the time too
    channel.publishBatch([{ type: "done", time: "2026-01-01T00:00:00.000Z" }]);
    // @ts-expect-error: a draft does not change
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
    // @ts-expect-error: the head of a stream is no published event
    if (event.type === "events_start") return;
    // @ts-expect-error: before it is narrowed nobody knows which payload this is
    event.event.total;
    // @ts-expect-error: an event does not change
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
      // @ts-expect-error: the schema does not know it
      event.event.version;
    } else if (event.type === "events_lost") {
      exactly<LossReason>()(event.event.reason);
      exactly<number | null>()(event.event.count);
      // @ts-expect-error: where nobody knows how many, it is null
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
    // @ts-expect-error: without a payload there is no key for it
    const odd: EventDictionary<"closed"> = { ...closed, event: {} };
    // @ts-expect-error: with one there is
    const lacking: EventDictionary<"note", string> = closed;
    return [note, odd, lacking];
  },

  function theStartIsWhatItsSchemaSays() {
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
    // @ts-expect-error: it is asked for at every connection, so it is a function
    eventsEndpoint(channel, { startPayload: { shop: "x", open: true } });
    // @ts-expect-error: and it answers at once
    eventsEndpoint(channel, { startPayload: () => Promise.resolve({ shop: "x", open: true }) });

    eventsEndpoint(createChannel(bare));
    eventsEndpoint(createChannel(bare), { startPayload: () => ({ anything: 1 }) });
    // @ts-expect-error: what stands beside the heartbeat is an object
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
    // @ts-expect-error: an option that is given has a value
    eventsEndpoint(channel, { heartbeat: undefined });
    // @ts-expect-error: there is no such option
    eventsEndpoint(channel, { heartbeats: 5 });
    // @ts-expect-error: a catalogue carries nothing
    eventsEndpoint(shop);
    exactly<number>()(eventsEndpoint(channel).stats().subscribers);
  },

  function anApplicationSaysWhatARequestMayDo() {
    const channel = createChannel(shop);
    eventsEndpoint(channel, { authorize: () => true });
    eventsEndpoint(channel, { authorize: (c) => Promise.resolve(c.req.header("X") === "y" && {}) });
    eventsEndpoint(channel, { authorize: () => ({ expiresAt: new Date() }) });
    eventsEndpoint(channel, {
      authorize: () => ({ filter: (event) => event.type === "closed", expiresAt: Date.now() }),
    });
    // @ts-expect-error: who forgets to answer lets nobody in, and is told
    eventsEndpoint(channel, { authorize: () => {} });
    // @ts-expect-error: no type of this catalogue
    eventsEndpoint(channel, { authorize: () => ({ filter: (event) => event.type === "tick" }) });
    // @ts-expect-error: an event is let through or not at once
    eventsEndpoint(channel, { authorize: () => ({ filter: () => Promise.resolve(true) }) });
    // @ts-expect-error: a time is a number or a date
    eventsEndpoint(channel, { authorize: () => ({ expiresAt: "2026-11-24" }) });
    eventsEndpoint(channel, {
      maxConnections: null,
      maxConnectionsPerAddress: null,
      idempotencyWindow: null,
    });
    // @ts-expect-error: there is always a limit to how deep
    eventsEndpoint(channel, { maxDepth: null });
  },

  function anyChannelIsAChannel() {
    // @ts-expect-error: not everything can be published in it; what reads any channel takes an EventLog
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

  function aSessionTellsTriblersEvents() {
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
    // @ts-expect-error: a bare string, no dictionary
    session.emit("shutdown", { text: "x" });
    // @ts-expect-error: a file is a pair
    session.emit("torrent_discovered", { files: ["a", 1] });
    // @ts-expect-error: the session itself tells it
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
        // @ts-expect-error: it is told by the status, and never yielded
        if (event.type === "events_start") return;
        // @ts-expect-error: nor is this
        if (event.type === "events_bookmark") return;
        // @ts-expect-error: there is no such type
        if (event.type === "lost") return;
      }
    };
    // @ts-expect-error: it has no iterator but an asynchronous one
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
    const told = (status: Status) => {
      if (status.type === "open") exactly<boolean>()(status.resumed);
      if (status.type === "waiting") exactly<number>()(status.delay);
      if (status.type === "lost") exactly<EventsErrorCode>()(status.cause.code);
      // @ts-expect-error: it waits for no time until it waits
      return status.delay;
    };
    const options: ConnectOptions<Shop> = {
      catalogue: shop,
      headers: ({ attempt, unauthorized }) => Promise.resolve({ "X-Token": `${attempt} ${unauthorized}` }),
      reconnect: { min: 1, maxAttempts: 3 },
      idleTimeout: null,
      onUnknown: ({ type }) => exactly<string>()(type),
      onInvalid: (event, faults) => [exactly<Dictionary>()(event), exactly<string>()(faults[0]!.path)],
      onStatus: told,
      fetch: (url) => new Response(url),
    };
    connect("http://localhost/", options);
    // @ts-expect-error: seconds are a number
    connect("http://localhost/", { idleTimeout: "5" });
    // @ts-expect-error: it is left out, or it is a function
    connect("http://localhost/", { onInvalid: "skip" });
    // @ts-expect-error: either not at all, or how
    connect("http://localhost/", { reconnect: true });
    // @ts-expect-error: there is no such option
    connect("http://localhost/", { retry: 5 });
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
