/**
 * The account of a fault: what was published, what each reader received, and whether both agree.
 *
 * @module
 */
import * as assert from "uvu/assert";
import { EventsError } from "../../src/mod.ts";
import { until, within } from "../support/harness.ts";
import { sleep } from "../support/hostile_proxy.ts";
import { type Party, tick } from "./channels.ts";

/** An event that a reader received. */
export interface Received {
  readonly id: string;
  readonly type: string;
  /** The number of a tick. */
  readonly n?: number | undefined;
  /** The payload of `events_lost`. */
  readonly loss?: { readonly reason: string; readonly count: number | null } | undefined;
}

/** A reader and the events that it received, in order. */
interface Reader {
  readonly name: string;
  readonly received: Received[];
  /** Resolves when it has received the last event, or one after it in the same epoch. */
  readonly finished: Promise<void>;
}

/** Publishers and readers that run until the account is settled. */
export interface Account {
  /** Waits until this number of further events is acknowledged; rejects at once when a publisher fails. */
  progress(count: number, ms?: number): Promise<void>;
  /** The number of rejected publications, by the code of the error. */
  readonly rejections: Map<string, number>;
  /** Publishes the last event, waits until every reader has it, and checks what each received. */
  settle(): Promise<Settled>;
  /** Stops all publishers and readers without a check. */
  abandon(): void;
}

/** The result of a settled account, summed over all readers. */
export interface Settled {
  /** The number of events that were reported as lost. */
  readonly lost: number;
  /** The number of reported changes of the epoch. */
  readonly epochs: number;
  /**
   * The number of events that were received twice: the stream stored them without an acknowledgement, and again when they were
   * sent again by the same key.
   */
  readonly repeated: number;
}

/** The stream itself lost acknowledged events, or gave a number to two events: no account of it can be settled. */
export class AcknowledgedLoss extends Error {}

/** The number of the last event. */
const LAST = -1;

/**
 * Publishes to all channels and reads from all of them: in this process, on streams that stay open, and on streams that are
 * closed now and then and resumed at another channel.
 *
 * @param pauseMs the pause of a publisher between two batches
 */
export function openAccount(parties: readonly Party[], pauseMs: number = 2): Account {
  /** The number of each acknowledged event by its id. */
  const acknowledged = new Map<string, number>();
  const rejections = new Map<string, number>();
  /** The numbers that were sent again because their first publication was not confirmed. */
  const unconfirmed = new Set<number>();
  let isOver = false;
  let isAbandoned = false;
  let lastId: string | undefined;
  let count = 0;

  /** Publishes until it is acknowledged: always the same by the same key, as an app should. */
  async function publish(party: Party, numbers: readonly number[]): Promise<string | undefined> {
    for (const key = crypto.randomUUID(); !isAbandoned;) {
      try {
        const ids = await within(party.channel.publishBatch(numbers.map(tick), key), "a publication", 30_000);
        assert.is(ids.length, numbers.length);
        ids.forEach((id, index) => {
          if (acknowledged.has(id)) throw new AcknowledgedLoss(`${id} was acknowledged for two events`);
          acknowledged.set(id, numbers[index]!);
        });
        return ids.at(-1);
      } catch (error) {
        if (!(error instanceof EventsError)) throw error;
        assert.ok(["ChannelUnavailable", "PublishUnconfirmed"].includes(error.code), error.message);
        rejections.set(error.code, (rejections.get(error.code) ?? 0) + 1);
        if (error.code === "PublishUnconfirmed") { for (const n of numbers) unconfirmed.add(n); }
        await sleep(20);
      }
    }
    return undefined;
  }

  async function publishAll(party: Party): Promise<void> {
    while (!isOver) {
      const size = 1 + count % 4;
      count += size;
      await publish(party, Array.from({ length: size }, (_, index) => count - size + index));
      await sleep(pauseMs);
    }
  }

  function isLast({ id }: Received): boolean {
    if (isAbandoned) return true;
    if (lastId === undefined) return false;
    const [epoch, position] = id.split("-");
    const [lastEpoch, lastPosition] = lastId.split("-");
    return epoch === lastEpoch && Number(position) >= Number(lastPosition);
  }

  async function readBatches({ channel }: Party, received: Received[]): Promise<void> {
    let position = 0;
    for await (const { lost, entries } of channel.batches("earliest")) {
      if (lost !== undefined) {
        position = lost.reason === "unknown_epoch"
          ? (entries[0]?.position ?? channel.first) - 1
          : position + lost.count!;
        received.push({ id: `${channel.epoch}-${position}`, type: "events_lost", loss: lost });
      }
      for (const entry of entries) {
        const event = channel.parse(entry);
        received.push({
          id: entry.id,
          type: event.type,
          n: event.type === "tick" ? event.event.n : undefined,
        });
        ({ position } = entry);
      }
      if (received.some(isLast)) return;
    }
  }

  /** @param most maximum number of events read from one stream */
  async function readStreams(all: readonly Party[], most: number, received: Received[]): Promise<void> {
    let since = "earliest";
    for (let turn = 0; !isAbandoned; turn++) {
      const lines = await all[turn % all.length]!.open(`since=${since}`).catch((error: Error) => {
        if (error.message.startsWith("503")) return undefined;
        throw error;
      });
      if (lines === undefined) {
        await sleep(20);
        continue;
      }
      try {
        for (let taken = 0; taken < most; taken++) {
          const line = await lines.next();
          if (line === undefined) throw new Error("the stream ended");
          if (line === "") continue; // A heartbeat: nothing can be published during the fault.
          const { id, type, event } = JSON.parse(line);
          since = id;
          if (type === "events_start") continue;
          const isLoss = type === "events_lost";
          received.push({ id, type, n: isLoss ? undefined : event?.n, loss: isLoss ? event : undefined });
          if (isLast(received.at(-1)!)) return;
        }
      } finally {
        await lines.close();
      }
    }
  }

  function startReader(name: string, run: (received: Received[]) => Promise<void>): Reader {
    const received: Received[] = [];
    const finished = run(received);
    finished.catch(() => {}); // settle() reports it.
    return { name, received, finished };
  }

  const publishing = Promise.all(parties.map(publishAll));
  publishing.catch(() => {});
  const readers = parties.flatMap((party, index) => [
    startReader(`batches at ${index}`, (received) => readBatches(party, received)),
    startReader(`a stream at ${index}`, (received) => readStreams([party], Infinity, received)),
    startReader(`resuming from ${index}`, (received) => {
      return readStreams([...parties.slice(index), ...parties.slice(0, index)], 40, received);
    }),
  ]);

  return {
    progress: (count, ms = 30_000) => {
      const from = acknowledged.size;
      const isEnough = () => isAbandoned || acknowledged.size >= from + count;
      return Promise.race([until(isEnough, `${count} acknowledged events`, ms), publishing.then(() => {})]);
    },
    rejections,
    abandon: () => {
      isOver = isAbandoned = true;
    },
    settle: async () => {
      isOver = true;
      await within(publishing, "the publishers", 40_000);
      lastId = await within(publish(parties[0]!, [LAST]), "the last event", 40_000);
      // A reader that received it before its id was known looks again at the next event.
      await within(publish(parties[0]!, [LAST]), "an event after the last", 40_000);
      const settled = { lost: 0, epochs: 0, repeated: 0 };
      for (const { name, received, finished } of readers) {
        await within(finished, `the end of ${name}`, 40_000);
        const { lost, epochs, repeated } = check(name, received, acknowledged, unconfirmed);
        settled.lost += lost;
        settled.epochs += epochs;
        settled.repeated += repeated;
      }
      return settled;
    },
  };
}

/** Checks that a reader received each event once and in order, or counted as lost. */
function check(
  name: string,
  received: readonly Received[],
  acknowledged: ReadonlyMap<string, number>,
  unconfirmed: ReadonlySet<number>,
): Settled {
  let [epoch, position] = ["", 0];
  let lost = 0;
  let epochs = 0;
  let repeated = 0;
  const ids = new Set<string>();
  for (const { id, type, n, loss } of received) {
    const [ofEpoch, digits] = id.split("-");
    const here = Number(digits);
    if (epoch === "") epoch = ofEpoch!;
    if (loss?.reason === "unknown_epoch") {
      assert.is(loss.count, null, name);
      [epoch, position] = [ofEpoch!, here];
      epochs++;
      continue;
    }
    assert.is(ofEpoch, epoch, `${name}: another epoch is reported before its events`);
    if (loss !== undefined) {
      assert.is(here, position + loss.count!, `${name}: the count is exact`);
      lost += loss.count!;
      position = here;
      continue;
    }
    assert.is(here, position + 1, `${name}: no event is missing or repeated`);
    position = here;
    if (type === "tick" && n !== acknowledged.get(id)) {
      if (acknowledged.has(id)) {
        throw new AcknowledgedLoss(
          `${name}: ${id} is ${n}, and was acknowledged for ${acknowledged.get(id)}`,
        );
      }
      const isAgain = unconfirmed.has(n!) &&
        received.some((other) => other.n === n && acknowledged.get(other.id) === n);
      assert.ok(isAgain, `${name}: ${id} is ${n}, which was never acknowledged`);
      repeated++;
    }
    assert.not.ok(ids.has(id), name);
    ids.add(id);
  }
  // Other acknowledged events are of a former epoch, or behind a counted loss.
  for (const id of acknowledged.keys()) {
    const [ofEpoch, digits] = id.split("-");
    if (lost === 0 && ofEpoch === epoch && epochs === 0 && Number(digits) <= position) {
      assert.ok(ids.has(id), `${name}: ${id} was acknowledged and not received`);
    }
  }
  return { lost, epochs, repeated };
}
