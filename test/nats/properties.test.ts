/**
 * The channel on NATS JetStream against a model: events are published, purged, read and resumed in any order at any server,
 * and each reader receives every event once and in order, or counted as lost.
 *
 * @module
 */
import { jetstream, type JetStreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import * as fc from "fast-check";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { type Lines, until } from "../support/harness.ts";
import { type Join, joining, type Party, tick } from "./channels.ts";
import { managerOf, type NatsServer, withConnection, withNats } from "./server.ts";

const test = suite("nats properties");

/** One step of a run. */
type Deed =
  /** Publishes events, each with this number of further characters. */
  | { readonly do: "publish"; readonly at: number; readonly count: number; readonly size: number }
  /** Puts a message into the stream that is no event. */
  | { readonly do: "litter" }
  /** Purges a share of the stream, in hundredths. */
  | { readonly do: "purge"; readonly share: number }
  /** A reader resumes, perhaps at another server, and reads to the end. */
  | { readonly do: "read"; readonly reader: number; readonly at: number; readonly most: number }
  /** Replaces a server by a new one, whose window holds this number of events. */
  | { readonly do: "replace"; readonly at: number; readonly holds: number };

const deed: fc.Arbitrary<Deed> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("publish" as const),
      at: fc.nat(1),
      count: fc.integer({ min: 1, max: 40 }),
      size: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 50_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("litter" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("purge" as const), share: fc.integer({ min: 0, max: 100 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("read" as const),
      reader: fc.nat(2),
      at: fc.nat(1),
      most: fc.integer({ min: 1, max: 100 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("replace" as const),
      at: fc.nat(1),
      holds: fc.constantFrom(1, 5, 1000),
    }),
  },
);

/** The expected state of each position of the stream. */
interface Model {
  /** The number of the event at a position; `undefined` where there is none. */
  readonly events: (number | undefined)[];
  /** How far the stream was purged. */
  purged: number;
}

/** A reader. */
interface Reader {
  /** The last position that it received. */
  position: number;
}

/** Checks one line that a reader received, and moves it on. */
function take(model: Model, reader: Reader, line: string): void {
  const { type, id, event } = JSON.parse(line);
  const here = Number(id.split("-")[1]);
  if (type === "events_lost") {
    assert.is(here, reader.position + event.count, "the count is exact");
    assert.ok(event.count > 0, "the count is not zero");
    for (let lost = reader.position + 1; lost <= here; lost++) {
      assert.ok(lost <= model.purged || model.events[lost] === undefined, `${lost} is still there`);
    }
  } else {
    assert.is(here, reader.position + 1, "no event is missing or repeated");
    assert.is(event.n, model.events[here], `what was published as ${here}`);
  }
  reader.position = here;
}

/** Returns the next line that is no heartbeat. All events are published, so it arrives soon. */
async function nextEvent(lines: Lines): Promise<string | undefined> {
  for (let heartbeats = 0; heartbeats < 5; heartbeats++) {
    const line = await lines.next();
    if (line !== "") return line;
  }
  throw new Error("only heartbeats arrive");
}

/** Reads at most this number of lines after the position of a reader. */
async function read(model: Model, reader: Reader, party: Party, most: number): Promise<void> {
  const lines = await party.open(`since=${party.channel.epoch}-${reader.position}&follow=false`);
  try {
    await lines.next(); // events_start
    for (let line, taken = 0; taken < most && (line = await nextEvent(lines)) !== undefined; taken++) {
      take(model, reader, line);
    }
  } finally {
    await lines.close();
  }
}

/** Reads from a stream that was open all the time. It ended if its server was replaced. */
async function follow(model: Model, lines: Lines, last: number, isReplaced: boolean): Promise<void> {
  const reader: Reader = { position: 0 };
  await lines.next(); // events_start
  while (reader.position < last) {
    const line = await nextEvent(lines);
    if (line === undefined && isReplaced) return;
    assert.ok(line !== undefined, "the stream is still open");
    take(model, reader, line);
  }
}

async function live(server: NatsServer, stream: string, deeds: readonly Deed[]): Promise<void> {
  await withConnection(server, async (connection) => {
    const manager = await managerOf(connection);
    try {
      await joining(server, (join) => play(connection, manager, join, stream, deeds));
    } finally {
      await manager.streams.delete(stream); // Also after a failure: each stream reserves room.
    }
  });
}

/** Does the deeds, and follows them in the model. */
async function play(
  connection: NatsConnection,
  manager: JetStreamManager,
  join: Join,
  stream: string,
  deeds: readonly Deed[],
): Promise<void> {
  const open: [Party, Lines][] = [];
  const joined = async (holds: number): Promise<Party> => {
    const party = await join({ stream, history: { events: holds }, onProblem: () => {} });
    open.push([party, await party.open(`since=${party.channel.epoch}-0`)]);
    return party;
  };
  const parties = [await joined(5), await joined(1000)];
  const model: Model = { events: [undefined], purged: 0 };
  const readers: Reader[] = [0, 1, 2].map(() => ({ position: 0 }));
  let n = 0;
  for (const deed of deeds) {
    switch (deed.do) {
      case "publish": {
        const drafts = Array.from({ length: deed.count }, () => {
          const { type, event } = tick(++n);
          return { type, event: { ...event, more: "x".repeat(deed.size) } };
        });
        const ids = await parties[deed.at]!.channel.publishBatch(drafts);
        const numbers = drafts.map(({ event }) => event.n);
        assert.equal(
          ids,
          numbers.map((_, i) => `${parties[0]!.channel.epoch}-${model.events.length + i}`),
        );
        model.events.push(...numbers);
        break;
      }
      case "litter":
        await jetstream(connection).publish(`${stream.toLowerCase()}.tick`, "no event");
        model.events.push(undefined);
        break;
      case "purge": {
        const least = Math.floor(model.events.length * deed.share / 100);
        if (least > model.purged + 1) {
          await manager.streams.purge(stream, { seq: least }); // It keeps this one.
          model.purged = least - 1;
        }
        break;
      }
      case "read":
        await read(model, readers[deed.reader]!, parties[deed.at]!, deed.most);
        break;
      case "replace": {
        parties[deed.at]!.channel.close();
        parties[deed.at] = await joined(deed.holds);
        break;
      }
    }
  }
  const last = model.events.length;
  await parties[0]!.channel.publish("tick", { n: ++n });
  model.events.push(n);
  for (const { channel } of parties) {
    await until(() => channel.last === last, "both servers received all events");
  }
  for (const reader of readers) {
    for (const party of parties) {
      await read(model, reader, party, Infinity);
    }
    assert.is(reader.position, last, "the reader has read all events");
  }
  for (const [party, lines] of open) {
    await follow(model, lines, last, !parties.includes(party));
    await lines.close();
  }
}

test("GET /events delivers every event once and in order, or counts it as lost", () =>
  withNats(async (server) => {
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(deed, { minLength: 1, maxLength: 25 }),
        (deeds) => live(server, `RUN_${++runs}`, deeds),
      ),
      { numRuns: 60, includeErrorInReport: true },
    );
  }));

test.run();
