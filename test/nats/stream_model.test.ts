/** The model of a stream that simulations use, compared with a real server: both answer the same calls. */
import {
  jetstream,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  type JsMsg,
  type StreamConfig,
} from "@nats-io/jetstream";
import { headers } from "@nats-io/nats-core";
import { setTimeout } from "node:timers";
import * as assert from "uvu/assert";
import * as model from "../simulation/jetstream_of_model.ts";
import { StreamServer } from "../simulation/stream_model.ts";
import { until, within } from "../support/harness.ts";
import { type Random, randomOf } from "../support/hostile_proxy.ts";
import { suite } from "../support/suite.ts";
import { managerOf, withConnection, withNats } from "./server.ts";

const test = suite("nats stream model");

const STREAM = "EVENTS";
const CONFIG = {
  name: STREAM,
  subjects: ["events.*"],
  max_msgs: 12,
  duplicate_window: 120e9,
  description: "as it was",
} as unknown as StreamConfig;
const STEPS = 150;
const SEED = 2;

/** Describes an answer, or an error as the channel tells them apart. */
async function answerOf<T>(asking: Promise<T>, describe: (value: T) => unknown): Promise<string> {
  try {
    return JSON.stringify(describe(await asking));
  } catch (error) {
    return error instanceof JetStreamApiError ? `${error.apiError().err_code}` : (error as Error).name;
  }
}

function messageOf({ seq, subject, data, headers: given, info }: JsMsg): unknown {
  const text = new TextDecoder().decode(data);
  return [seq, info.streamSequence, info.pending, subject, text, given?.get("Events-Subject") || null];
}

/** Makes the same calls for the same numbers. Returns what they were answered. */
async function trace(client: JetStreamClient, manager: JetStreamManager, random: Random): Promise<string[]> {
  const answers: string[] = [];
  const int = (most: number) => 1 + Math.floor(random() * most);
  let n = 0;
  const publish = () => {
    const about = random() < 0.3 ? headers() : undefined;
    about?.append("Events-Subject", "order/é");
    const options = { ...(random() < 0.5 && { msgID: `id-${int(6)}` }), ...(about && { headers: about }) };
    return answerOf(client.publish("events.tick", `{"n":${++n}}`, options), (ack) => [
      ack.seq,
      ack.duplicate,
      ack.stream,
    ]);
  };
  const fetch = async () => {
    const consumer = await client.consumers.get(STREAM, { opt_start_seq: int(30) });
    const { num_pending: pending } = await consumer.info(true);
    const messages = await consumer.fetch({ max_messages: int(8), expires: 1000 });
    const found: unknown[] = [];
    if (pending === 0) messages.stop();
    for await (const message of messages) {
      found.push(messageOf(message));
      if (message.info.pending === 0) break;
    }
    await consumer.delete();
    return [pending, ...found];
  };
  const follow = async () => {
    const { state } = await manager.streams.info(STREAM);
    const consumer = await client.consumers.get(STREAM, {
      opt_start_seq: Math.min(int(30), state.last_seq + 1),
    });
    const found: JsMsg[] = [];
    const messages = await consumer.consume({ callback: (message) => void found.push(message) });
    const { num_pending: pending } = await consumer.info(true);
    await until(() => found.length >= pending, `${pending} messages`);
    const ack = await client.publish("events.tock", `{"n":${++n}}`);
    await until(() => (found.at(-1)?.seq ?? 0) >= ack.seq, `message ${ack.seq}`);
    messages.stop();
    await within(messages.closed(), "the end of the consumer");
    return found.map((message) => [message.seq, message.subject]);
  };
  const steps: (() => Promise<string>)[] = [
    ...Array<() => Promise<string>>(6).fill(publish),
    () => answerOf(manager.streams.getMessage(STREAM, { seq: int(30) }), (found) => found && found.seq),
    () =>
      answerOf(manager.streams.info(STREAM), ({ state, config }) => [
        state.first_seq,
        state.last_seq,
        state.messages,
        config.description,
      ]),
    () => answerOf(fetch(), (found) => found),
    () => answerOf(follow(), (found) => found),
    () =>
      answerOf(manager.streams.update(STREAM, { description: `${++n}` }), (info) => info.config.description),
    () => answerOf(manager.streams.add(CONFIG), ({ config }) => config.name),
    () => random() < 0.5 ? publish() : answerOf(manager.streams.delete(STREAM), () => "deleted"),
  ];
  for (let step = 0; step < STEPS; step++) answers.push(await steps[int(steps.length) - 1]!());
  return answers;
}

test("StreamServer of simulations answers as nats-server does", () =>
  withNats((server) =>
    withConnection(server, async (connection) => {
      const real = await trace(jetstream(connection), await managerOf(connection), randomOf(SEED));
      const clock = {
        wall: () => Date.now(),
        now: () => performance.now(),
        after: (ms: number, run: () => void) => setTimeout(run, ms).unref(),
        latency: () => 0,
      };
      const simulated = new StreamServer(clock).connect();
      const manager = await model.jetstreamManager(simulated);
      const answers = await trace(model.jetstream(simulated), manager, randomOf(SEED));
      for (const [index, answer] of answers.entries()) assert.is(answer, real[index], `answer ${index}`);
    })
  ));

test("StreamServer ends a consumer of a stream that was deleted before it was frozen", async () => {
  const later: (() => void)[] = [];
  const server = new StreamServer({
    wall: () => 0,
    now: () => 0,
    after: (_, run) => later.push(run),
    latency: () => 0,
  });
  server.add(CONFIG);
  const connection = server.connect();
  server.deleteStream();
  server.freeze();
  const messages = connection.follow(1, Infinity, undefined);
  server.thaw();
  assert.match(`${await within(messages.closed(), "the end of the consumer")}`, /stream not found/);
  assert.is(server.consumers, 0);
});

test.run();
