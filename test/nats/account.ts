/**
 * The account of a fault: who published what, who was told what, and whether all of it adds up.
 *
 * @module
 */
import * as assert from "uvu/assert";
import { EventsError } from "../../src/mod.ts";
import { until, within } from "../support/harness.ts";
import { sleep } from "../support/hostile_proxy.ts";
import { type Party, tick } from "./channels.ts";

/** What a reader was told, in order. */
export interface Told {
  readonly id: string;
  readonly type: string;
  /** The number of a tick. */
  readonly n?: number | undefined;
  /** What `events_lost` says. */
  readonly loss?: { readonly reason: string; readonly count: number | null } | undefined;
}

/** A reader and its diary. */
interface Reader {
  readonly name: string;
  readonly told: Told[];
  /** Done once it was told of this id, or of one after it in the same epoch. */
  readonly finished: Promise<void>;
}

/** Events published and read on some channels, until it is settled. */
export interface Account {
  /** Waits until so many more events are acknowledged; fails at once where a publisher has failed. */
  progress(count: number, ms?: number): Promise<void>;
  /** How often a publication was refused, by the code. */
  readonly refusals: Map<string, number>;
  /** Publishes the last event, waits until every reader has it, and checks what each was told. */
  settle(): Promise<Settled>;
  /** Ends it as it is. */
  abandon(): void;
}

/** What came of it. */
export interface Settled {
  /** How many events readers were told they miss, each reader's own. */
  readonly lost: number;
  /** How often a reader was told that another epoch has begun. */
  readonly epochs: number;
  /**
   * How many events readers were told twice: the stream had stored them, did not say so, and stored them again when they
   * were sent again by the same key.
   */
  readonly repeated: number;
}

/** The stream itself has lost what it had acknowledged: no account of it can be settled. */
export class BrokenWord extends Error {}

/** The number of the last event. */
const LAST = -1;

/**
 * Publishes to all parties and reads from all of them: in this process, by streams that stay, and by streams that are
 * dropped now and then and resumed at another party.
 *
 * @param pace publishers wait so many milliseconds between two batches
 */
export function openAccount(parties: readonly Party[], pace: number = 2): Account {
  /** The number of each acknowledged event by its id. */
  const truth = new Map<string, number>();
  const refusals = new Map<string, number>();
  /** The numbers that were sent again, because nobody knew whether they were stored. */
  const unsure = new Set<number>();
  let isOver = false;
  let isAbandoned = false;
  let lastId: string | undefined;
  let count = 0;

  /** Publishes until it is acknowledged: the same again by the same key, as whoever is not sure would. */
  async function publish(party: Party, numbers: readonly number[]): Promise<string | undefined> {
    for (const key = crypto.randomUUID(); !isAbandoned;) {
      try {
        const ids = await within(party.channel.publishBatch(numbers.map(tick), key), "a publication", 30_000);
        assert.is(ids.length, numbers.length);
        ids.forEach((id, index) => {
          if (truth.has(id)) throw new BrokenWord(`${id} was acknowledged twice, for two events`);
          truth.set(id, numbers[index]!);
        });
        return ids.at(-1);
      } catch (error) {
        if (!(error instanceof EventsError)) throw error;
        assert.ok(["ChannelUnavailable", "PublishUnconfirmed"].includes(error.code), error.message);
        refusals.set(error.code, (refusals.get(error.code) ?? 0) + 1);
        if (error.code === "PublishUnconfirmed") { for (const n of numbers) unsure.add(n); }
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
      await sleep(pace);
    }
  }

  function isLast({ id }: Told): boolean {
    if (isAbandoned) return true;
    if (lastId === undefined) return false;
    const [epoch, position] = id.split("-");
    const [lastEpoch, lastPosition] = lastId.split("-");
    return epoch === lastEpoch && Number(position) >= Number(lastPosition);
  }

  async function readBatches({ channel }: Party, told: Told[]): Promise<void> {
    let position = 0;
    for await (const { lost, entries } of channel.batches("earliest")) {
      if (lost !== undefined) {
        position = lost.reason === "unknown_epoch"
          ? (entries[0]?.position ?? channel.first) - 1
          : position + lost.count!;
        told.push({ id: `${channel.epoch}-${position}`, type: "events_lost", loss: lost });
      }
      for (const entry of entries) {
        const event = channel.parse(entry);
        told.push({ id: entry.id, type: event.type, n: event.type === "tick" ? event.event.n : undefined });
        ({ position } = entry);
      }
      if (told.some(isLast)) return;
    }
  }

  /** @param most so many events are taken from one connection */
  async function readStreams(all: readonly Party[], most: number, told: Told[]): Promise<void> {
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
          if (line === undefined) throw new Error("the stream is over");
          if (line === "") continue; // It may be silent for as long as nobody can publish.
          const { id, type, event } = JSON.parse(line);
          since = id;
          if (type === "events_start") continue;
          const isLoss = type === "events_lost";
          told.push({ id, type, n: isLoss ? undefined : event?.n, loss: isLoss ? event : undefined });
          if (isLast(told.at(-1)!)) return;
        }
      } finally {
        await lines.close();
      }
    }
  }

  function reader(name: string, run: (told: Told[]) => Promise<void>): Reader {
    const told: Told[] = [];
    const finished = run(told);
    finished.catch(() => {}); // Whoever settles is told.
    return { name, told, finished };
  }

  const publishing = Promise.all(parties.map(publishAll));
  publishing.catch(() => {});
  const readers = parties.flatMap((party, index) => [
    reader(`batches at ${index}`, (told) => readBatches(party, told)),
    reader(`a stream at ${index}`, (told) => readStreams([party], Infinity, told)),
    reader(`resuming from ${index}`, (told) => {
      return readStreams([...parties.slice(index), ...parties.slice(0, index)], 40, told);
    }),
  ]);

  return {
    progress: (count, ms = 30_000) => {
      const from = truth.size;
      const enough = () => isAbandoned || truth.size >= from + count;
      return Promise.race([until(enough, `${count} events are acknowledged`, ms), publishing.then(() => {})]);
    },
    refusals,
    abandon: () => {
      isOver = isAbandoned = true;
    },
    settle: async () => {
      isOver = true;
      await within(publishing, "the publishers", 40_000);
      lastId = await within(publish(parties[0]!, [LAST]), "the last event", 40_000);
      // Who has read it already is woken once more.
      await within(publish(parties[0]!, [LAST]), "an event after the last", 40_000);
      const settled = { lost: 0, epochs: 0, repeated: 0 };
      for (const { name, told, finished } of readers) {
        await within(finished, `${name} to have read all`, 40_000);
        const { lost, epochs, repeated } = check(name, told, truth, unsure);
        settled.lost += lost;
        settled.epochs += epochs;
        settled.repeated += repeated;
      }
      return settled;
    },
  };
}

/** Whether what a reader was told is what happened: each event once, in order, or counted as lost. */
function check(
  name: string,
  told: readonly Told[],
  truth: ReadonlyMap<string, number>,
  unsure: ReadonlySet<number>,
): Settled {
  let [epoch, position] = ["", 0];
  let lost = 0;
  let epochs = 0;
  let repeated = 0;
  const seen = new Set<string>();
  for (const { id, type, n, loss } of told) {
    const [ofEpoch, digits] = id.split("-");
    const here = Number(digits);
    if (epoch === "") epoch = ofEpoch!;
    if (loss?.reason === "unknown_epoch") {
      assert.is(loss.count, null, name);
      [epoch, position] = [ofEpoch!, here];
      epochs++;
      continue;
    }
    assert.is(ofEpoch, epoch, `${name}: another epoch is told before its events`);
    if (loss !== undefined) {
      assert.is(here, position + loss.count!, `${name}: the count is exact`);
      lost += loss.count!;
      position = here;
      continue;
    }
    assert.is(here, position + 1, `${name}: nothing is left out or comes twice`);
    position = here;
    if (type === "tick" && n !== truth.get(id)) {
      assert.not.ok(truth.has(id), `${name}: ${id} is what was acknowledged by that id`);
      const isAgain = unsure.has(n!) && told.some((other) => other.n === n && truth.get(other.id) === n);
      assert.ok(isAgain, `${name}: ${id} is ${n}, which nobody acknowledged by that id`);
      repeated++;
    }
    assert.not.ok(seen.has(id), name);
    seen.add(id);
  }
  // Whatever else was acknowledged is of an epoch that is over, or lies behind a counted loss.
  for (const id of truth.keys()) {
    const [ofEpoch, digits] = id.split("-");
    if (lost === 0 && ofEpoch === epoch && epochs === 0 && Number(digits) <= position) {
      assert.ok(seen.has(id), `${name}: ${id} was acknowledged and never came`);
    }
  }
  return { lost, epochs, repeated };
}
