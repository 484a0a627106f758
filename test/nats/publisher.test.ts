/**
 * Publishing to NATS JetStream, without NATS.
 *
 * @module
 */
import type { JetStreamClient, PubAck } from "@nats-io/jetstream";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { createPublisher, type Publisher } from "../../src/nats/publisher.ts";

const test = suite("nats publisher");

/** Resolves when all pending microtasks are done. */
const turn = () => new Promise((resolve) => setTimeout(resolve));

/** A stream that acknowledges when `answer` is called. */
function createStream(): { readonly client: JetStreamClient; readonly stored: string[]; answer(): void } {
  const stored: string[] = [];
  let waiting: (() => void)[] = [];
  const publish = (_: string, data: string): Promise<PubAck> => {
    const seq = stored.push(data);
    return new Promise((resolve) => waiting.push(() => resolve({ stream: "A", seq } as PubAck)));
  };
  return {
    client: { publish } as unknown as JetStreamClient,
    stored,
    answer: () => {
      const answers = waiting;
      waiting = [];
      for (const answer of answers) answer();
    },
  };
}

function publishEach(publisher: Publisher, count: number, data = ""): Promise<PubAck[]>[] {
  return Array.from(
    { length: count },
    (_, n) => publisher.publish([{ subject: "a.b", data: `${n}${data}` }]),
  );
}

test("publish() keeps at most 5000 messages in flight, in their order", async () => {
  const { client, stored, answer } = createStream();
  const publishing = publishEach(createPublisher(client, "A"), 12_000);
  for (const most of [5000, 10_000, 12_000]) {
    await turn();
    assert.is(stored.length, most);
    answer();
  }
  const acks = (await Promise.all(publishing)).flat();
  assert.equal(acks.map(({ seq }) => stored[seq - 1]), Array.from({ length: 12_000 }, (_, n) => `${n}`));
});

test("publish() keeps at most 4 MiB in flight, and sends a larger message alone", async () => {
  const { client, stored, answer } = createStream();
  const publisher = createPublisher(client, "A");
  const publishing = publishEach(publisher, 5, "x".repeat(1024 * 1024));
  publishing.push(publisher.publish([{ subject: "a.b", data: "x".repeat(5 * 1024 * 1024) }]));
  for (const most of [3, 5, 6]) {
    await turn();
    assert.is(stored.length, most);
    answer();
  }
  await Promise.all(publishing);
});

test("publish() rejects waiting messages when the connection breaks, and never sends them", async () => {
  const { client, stored } = createStream();
  const publisher = createPublisher(client, "A");
  const publishing = publishEach(publisher, 5002);
  await turn();
  publisher.disconnected();
  const codes = (await Promise.allSettled(publishing)).map((one) =>
    one.status === "rejected" ? one.reason.code : "published"
  );
  assert.equal(codes.slice(0, 5000), Array.from({ length: 5000 }, () => "PublishUnconfirmed"));
  assert.equal(codes.slice(5000), ["ChannelUnavailable", "ChannelUnavailable"]);
  assert.is(stored.length, 5000);
  const after = publishEach(publisher, 1);
  await turn();
  assert.is(stored.length, 5001, "messages of the next connection have room");
  publisher.disconnected();
  await Promise.allSettled(after);
});

test.run();
