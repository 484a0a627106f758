/**
 * What an application passes to public functions: each mistake is an error at once, which says what to do.
 *
 * @module
 */
import * as v from "valibot";
import * as assert from "uvu/assert";
import { connect } from "../../src/client/mod.ts";
import { createChannel, createFormat, defineEvents, eventsEndpoint, EventsError } from "../../src/mod.ts";
import { natsChannel } from "../../src/nats/mod.ts";
import { createSession } from "../../src/tribler/mod.ts";
import { suite } from "../support/suite.ts";

const test = suite("arguments");

const catalogue = defineEvents({ tick: v.object({ n: v.number() }) });
const channel = createChannel(catalogue);
const URL = "http://localhost:8085/events";

/** A call as somebody writes it who has no types. */
type Call = () => unknown;

// deno-lint-ignore no-explicit-any -- What the types would not let through is what is tested.
const any = (value: unknown) => value as any;

const MISTAKES: readonly [call: Call, message: string][] = [
  [
    () => eventsEndpoint(channel, any({ authorise: () => false })),
    'eventsEndpoint: there is no option "authorise": did you mean authorize?',
  ],
  [
    () => eventsEndpoint(channel, any({ heartBeat: 5 })),
    'eventsEndpoint: there is no option "heartBeat": did you mean heartbeat?',
  ],
  [
    () => eventsEndpoint(channel, any({ maxConnection: 5 })),
    'eventsEndpoint: there is no option "maxConnection": did you mean maxConnections?',
  ],
  [
    () => eventsEndpoint(channel, any({ publish: "no" })),
    'eventsEndpoint: publish must be true or false, not "no"',
  ],
  [
    () => eventsEndpoint(channel, any({ heartbeat: "5" })),
    'eventsEndpoint: heartbeat must be a number, or null, not "5"',
  ],
  [
    () => eventsEndpoint(channel, any({ authorize: true })),
    "eventsEndpoint: authorize must be a function, not true",
  ],
  [
    () => eventsEndpoint(channel, any({ filter: {} })),
    "eventsEndpoint: filter must be a function, not an object",
  ],
  [
    () => eventsEndpoint(channel, any({ wireFormat: "csv" })),
    'eventsEndpoint: wireFormat must be a wire format made by createFormat, not "csv"',
  ],
  [
    () => eventsEndpoint(channel, any(() => false)),
    "eventsEndpoint: the options must be a plain object, not a function",
  ],
  [
    () => eventsEndpoint(channel, any(Promise.resolve({ authorize: () => false }))),
    "eventsEndpoint: the options must be a plain object, not an instance of Promise",
  ],
  [
    () => eventsEndpoint(channel, any(new Map([["authorize", () => false]]))),
    "eventsEndpoint: the options must be a plain object, not an instance of Map",
  ],
  [
    () =>
      eventsEndpoint(
        channel,
        any(
          new (class Config {
            get authorise() {
              return () => false;
            }
          })(),
        ),
      ),
    "eventsEndpoint: the options must be a plain object, not an instance of Config",
  ],
  [
    () => eventsEndpoint(channel, any(Object.create({ authorise: () => false }))),
    "eventsEndpoint: the options must be a plain object, not an instance of Object",
  ],
  [
    () => eventsEndpoint(channel, any({ [Symbol("authorise")]: () => false })),
    'eventsEndpoint: there is no option "authorise": did you mean authorize?',
  ],
  [
    () => eventsEndpoint(channel, any(Object.defineProperty({}, "authorise", { value: () => false }))),
    'eventsEndpoint: there is no option "authorise": did you mean authorize?',
  ],
  [
    () => connect(URL, any(AbortSignal.abort())),
    "connect: the options must be a plain object, not an instance of AbortSignal",
  ],
  [
    () => defineEvents(any(new Map())),
    "defineEvents: the schemas must be a plain object, not an instance of Map",
  ],
  [() => eventsEndpoint(channel, any(null)), "eventsEndpoint: the options must be a plain object, not null"],
  [
    () => eventsEndpoint(any(catalogue)),
    "eventsEndpoint: the first argument must be a channel, as createChannel makes it, or a source that has one, as createSession makes it, not an object",
  ],
  [
    () => eventsEndpoint(any({ channel })),
    "eventsEndpoint: the first argument must be a channel, as createChannel makes it, or a source that has one, as createSession makes it, not an object",
  ],
  [
    () => eventsEndpoint(any(undefined)),
    "eventsEndpoint: the first argument must be a channel, as createChannel makes it, or a source that has one, as createSession makes it, not undefined",
  ],
  [
    () => createChannel(any({})),
    "createChannel: the catalogue must be a catalogue made by defineEvents, not an object",
  ],
  [
    () => createChannel(any({ tick: null })),
    "createChannel: the catalogue must be a catalogue made by defineEvents, not an object",
  ],
  [
    () => createChannel(catalogue, any({ histroy: {} })),
    'createChannel: there is no option "histroy": did you mean history?',
  ],
  [
    () => createChannel(catalogue, any({ history: 500 })),
    "createChannel: history must be a plain object, not 500",
  ],
  [
    () => createChannel(catalogue, { history: any({ event: 500 }) }),
    'history: there is no option "event": did you mean events?',
  ],
  [
    () => createChannel(catalogue, { history: any({ events: "500" }) }),
    'history: events must be a number, not "500"',
  ],
  [() => defineEvents(any([])), "defineEvents: the schemas must be a plain object, not an array"],
  [() => defineEvents(any(undefined)), "defineEvents: the schemas must be a plain object, not undefined"],
  [
    () => createFormat(any({ name: "x", mediaType: "text/x" })),
    "createFormat: event must be a function, not undefined",
  ],
  [
    () => createFormat(any({ name: "x", mediaType: "text/x", event: () => "", hearbeat: 1 })),
    'createFormat: there is no option "hearbeat": did you mean heartbeat?',
  ],
  [() => createSession(any({})), "createSession: version must be a string, not undefined"],
  [
    () => createSession(any({ version: "8", genration: "8" })),
    'createSession: there is no option "genration": did you mean generation?',
  ],
  [() => connect("nope"), 'connect: "nope" is not an address: use one like http://localhost:8085/events'],
  [() => connect(URL, any({ types: "a" })), 'connect: types must be an array of strings, not "a"'],
  [() => connect(URL, any({ apikey: "a" })), 'connect: there is no option "apikey": did you mean apiKey?'],
  [
    () => connect(URL, any({ signal: new AbortController() })),
    "connect: signal must be an AbortSignal, not an instance of AbortController",
  ],
  [
    () => connect(URL, any({ reconnect: true })),
    "connect: reconnect must be a plain object, or false, not true",
  ],
  [
    () => connect(URL, { reconnect: any({ maxAttempt: 3 }) }),
    'connect: reconnect: there is no option "maxAttempt": did you mean maxAttempts?',
  ],
  [
    () => connect(URL, any({ types: [1] })),
    "connect: types must be an array of strings, not an array with 1",
  ],
  [
    () => connect(URL, { headers: { "a b": "secret" } }),
    "connect: headers cannot be sent: a name or value in it is not valid in HTTP",
  ],
  [
    () => connect(URL, any({ headers: [1] })),
    "connect: headers cannot be sent: a name or value in it is not valid in HTTP",
  ],
  [
    () => connect(URL, { apiKey: "secret\nsecret" }),
    "connect: apiKey cannot be sent: a name or value in it is not valid in HTTP",
  ],
  [
    () => createChannel(catalogue, any({ hist: {} })),
    'createChannel: there is no option "hist": did you mean history?',
  ],
  [() => channel.publishBatch(any(undefined)), "publishBatch: the events must be an array, not undefined"],
  [() => channel.publishBatch(any({})), "publishBatch: the events must be an array, not an object"],
  [() => channel.publishBatch(any("x")), 'publishBatch: the events must be an array, not "x"'],
  [
    () => channel.publishBatch([{ type: "tick", event: { n: 1 } }], any(5)),
    "publishBatch: the key must be a string, not 5",
  ],
  [() => channel.batches(any(5)), "the cursor must be a string, not 5"],
  [() => channel.locate(any(null)), "the cursor must be a string, not null"],
  [
    () => eventsEndpoint(channel, { wireFormat: any({ write() {} }) }),
    "eventsEndpoint: wireFormat must be a wire format made by createFormat, not an object",
  ],
  [
    () => createFormat({ name: "", mediaType: "text/x", event: () => "x" }),
    'createFormat: name must be a name of printable characters, not ""',
  ],
  [
    () => createFormat({ name: "x", mediaType: "a\nb", event: () => "x" }),
    'createFormat: mediaType must be a media type like text/csv, not "a\\nb"',
  ],
  [
    () => createSession(any({ version: "1", channel: createSession({ version: "1" }).channel, history: {} })),
    "createSession: history belongs to the channel: pass it where the channel is made",
  ],
  [
    () => createSession({ version: "1", publicKey: "zz" }),
    'createSession: publicKey must be a string of hexadecimal digits, not "zz"',
  ],
  [() => connect(URL, any({ zzz: 1 })), 'connect: there is no option "zzz": there are '],
];

test("public functions reject a mistaken argument or option with a TypeError that says what to do", () => {
  for (const [call, message] of MISTAKES) {
    let thrown: unknown;
    try {
      call();
    } catch (error) {
      thrown = error;
    }
    assert.instance(thrown, TypeError, `${call}: ${thrown}`);
    const text = (thrown as Error).message;
    assert.ok(message.endsWith(" ") ? text.startsWith(message) : text === message, text);
  }
});

test("natsChannel() rejects what is no connection", async () => {
  for (const value of [undefined, {}, "nats://localhost", Promise.resolve()]) {
    const error = await natsChannel(any(value), catalogue).then(() => undefined, (error) => error);
    assert.instance(error, TypeError);
    assert.match(error.message, /^natsChannel: the connection must be a connection to NATS, as /);
  }
});

test("publishBatch() reports an event that is no dictionary as an issue", () => {
  for (const draft of [null, undefined, "tick", 5]) {
    assert.throws(
      () => channel.publishBatch([{ type: "tick", event: { n: 1 } }, any(draft)]),
      (error: unknown) => {
        return error instanceof EventsError && error.code === "InvalidEvent" && error.issues[0]!.index === 1;
      },
      String(draft),
    );
  }
});

test("connect() rejects limits that contradict each other, or are no whole numbers", () => {
  const isRange = (error: unknown) => error instanceof RangeError;
  assert.throws(() => connect(URL, { reconnect: { min: 50, max: 1 } }), isRange);
  assert.throws(() => connect(URL, { reconnect: { maxAttempts: 1.5 } }), isRange);
  connect(URL, { reconnect: { max: 0.1, maxAttempts: Infinity } });
});

test("connect() does not retry if headers() returns what cannot be sent, or fetch() no response", async () => {
  const failureOf = async (options: object) => {
    try {
      await connect(URL, options).next();
    } catch (error) {
      return error as EventsError;
    }
    throw new Error("it did not fail");
  };
  const failure = await failureOf({ headers: () => ({ "X-Api-Key": "secret\nsecret" }) });
  assert.is(failure.message, "connect: headers cannot be sent: a name or value in it is not valid in HTTP");
  for (const value of [undefined, null, "x", {}]) {
    const { code, message } = await failureOf({ fetch: () => value });
    assert.is(code, "UnexpectedResponse", String(value));
    assert.is(message, "the function under fetch returned no Response");
  }
});

test("public functions take an option that is undefined as absent", () => {
  eventsEndpoint(channel, any({ heartbeat: undefined, authorize: undefined, publish: undefined }));
  createChannel(catalogue, any({ history: undefined }));
  connect(URL, any({ types: undefined, signal: undefined, reconnect: undefined }));
});

test.run();
