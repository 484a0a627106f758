/**
 * Slow readers, slow connections and large events on NATS JetStream.
 *
 * @module
 */
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { within } from "../support/harness.ts";
import { joining, onNats, type Party, tickAll, upTo } from "./channels.ts";
import { settleDuring, untilUnhealthy, withManager } from "./faults.ts";
import { withLink, withNats } from "./server.ts";

const test = suite("nats slow");

test("GET /events delivers to a stalled reader what the stream keeps, and counts the rest as lost", () =>
  onNats(async (server, join) => {
    await withManager(server, (manager) => {
      return manager.streams.add({ name: "EVENTS", subjects: ["events.*"], max_msgs: 2000 });
    });
    const party = await join({ history: { events: 20 } });
    const [patient, stalled] = [await party.open(), await party.open()];
    await Promise.all([patient.event(), stalled.event()]);
    const text = "x".repeat(5000);
    const publish = async (count: number) => {
      for (let n = 0; n < count; n += 100) {
        await party.channel.publishBatch(
          Array.from({ length: 100 }, () => ({ type: "note", event: { text } })),
        );
      }
    };
    await publish(1500);
    const first = await patient.events(1500);
    assert.equal(
      first.map(({ id }) => Number(id.split("-")[1])),
      upTo(1500),
      "the stream keeps all of them",
    );
    await publish(10_000); // More than the hub caches and the system buffers.
    let position = 0;
    let lost = 0;
    while (position < 11_500) {
      const { id, type, event } = await stalled.event();
      const here = Number(id.split("-")[1]);
      if (type === "events_lost") {
        assert.equal([event.reason, here - event.count], ["slow_consumer", position]);
        lost += event.count;
      } else {
        assert.is(here, position + 1);
      }
      position = here;
    }
    assert.ok(lost >= 2000, `${lost} were lost`);
    await patient.close();
    await stalled.close();
  }));

test("natsChannel() catches up after NATS disconnected it as a slow consumer", () =>
  withNats((server) =>
    withLink(server, (link) =>
      joining(server, async (join) => {
        // Its own pings must not end the connection first.
        const slow = await join({ history: { events: 20 } }, link, { pingInterval: 60_000 });
        const parties = [await join(), slow];
        const { lost, epochs } = await settleDuring(parties, async (account) => {
          const isDisconnected = () =>
            server.says(/Slow Consumer Detected/, 2000).then(() => true, () => false);
          for (let tries = 0;; tries++) {
            link.hold();
            await flood(parties[0]!);
            if (await isDisconnected()) break;
            assert.ok(tries < 5, "NATS disconnects the slow consumer");
            // Its requests had expired, so NATS had sent nothing.
            link.release();
            await account.progress(50);
          }
          await untilUnhealthy(parties.slice(1));
          link.release();
        });
        assert.equal([lost, epochs], [0, 0]);
      })), { settings: 'write_deadline: "500ms"\nmax_pending: 6000000' }));

test("read() fetches large events behind small ones without being disconnected as a slow consumer", () =>
  onNats(async (_, join) => {
    const [near, reader] = [await join(), await join({ history: { events: 5 } })];
    await tickAll(near, 1, 600);
    const note = { type: "note" as const, event: { text: "x".repeat(500_000) } };
    for (let times = 0; times < 40; times++) await near.channel.publishBatch(upTo(5).map(() => note));
    const end = await near.channel.publish("silence");
    let breaks = 0;
    const status = reader.connection.status();
    const counting = (async () => {
      for await (const { type } of status) if (type === "disconnect") breaks++;
    })();
    const lines = await reader.open(`since=${near.channel.epoch}-590`);
    const [, ...events] = await within(lines.events(1 + 211), "all events", 30_000);
    assert.equal(events.map(({ id }) => Number(id.split("-")[1])), upTo(801, 591));
    assert.is(events.at(-1)!.id, end);
    assert.ok(breaks <= 2, `it was disconnected ${breaks} times`);
    await lines.close();
    (status as unknown as { stop(): void }).stop();
    await counting;
  }, { settings: "max_pending: 12000000" }));

/** Publishes more than the buffers on the way to a silent client hold. */
async function flood({ channel }: Party): Promise<void> {
  const notes = Array.from(
    { length: 100 },
    () => ({ type: "note" as const, event: { text: "x".repeat(20_000) } }),
  );
  for (let times = 0; times < 12; times++) await channel.publishBatch(notes);
}

test.run();
