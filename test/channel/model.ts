/**
 * Random publications, evictions, erasures, reopenings, crashes and resumes, beside a model: one property for all channels, run by a short
 * file for each kind.
 *
 * @module
 */
import fc from "fast-check";
import * as assert from "uvu/assert";
import { within } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import type { ContractChannel } from "./contract.ts";

/** The longest time for a publication or a read, in milliseconds: others may use the disk. */
const LIMIT_MS = 20_000;

/** A channel that is opened, and opened again. */
export interface Store {
  readonly channel: ContractChannel;
  /** The number of events that it keeps. */
  readonly kept: number;
  /** Whether it can erase events; default it can. */
  readonly canErase?: boolean;
  /** Closes the channel, and opens it again; absent if it forgets everything then. */
  reopen?(): Promise<ContractChannel>;
  /** Opens again what a process that is killed now leaves behind; absent if it forgets everything then. */
  crash?(): Promise<ContractChannel>;
}

/** Makes an empty store, runs `use`, and removes the store. Memory holds `held` events; the store may keep only `kept`. */
export type WithStore = (held: number, kept: number, use: (store: Store) => Promise<void>) => Promise<void>;
/** Prepares what all stores share, and runs `use`. */
export type WithStores = (use: (withStore: WithStore) => Promise<void>) => Promise<void>;

/** One thing that happens. */
type Step =
  | { readonly type: "publish"; readonly sizes: readonly number[]; readonly key: string | undefined }
  | { readonly type: "reopen" | "crash" }
  | { readonly type: "erase"; readonly subject: string }
  | { readonly type: "resume"; readonly at: number };

const SUBJECTS = ["user/1", "user/2"];

/** Returns the subject of an event by its number; every third event has none. */
function subjectOf(n: number): string | undefined {
  return SUBJECTS[n % 3];
}

const someSteps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: publication() },
    { weight: 1, arbitrary: fc.constant<Step>({ type: "reopen" }) },
    { weight: 1, arbitrary: fc.constant<Step>({ type: "crash" }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(...SUBJECTS).map((subject): Step => ({ type: "erase", subject })),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        type: fc.constant("resume" as const),
        at: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
    },
  ),
  { minLength: 1, maxLength: 14 },
);

function publication(): fc.Arbitrary<Step> {
  return fc.record({
    type: fc.constant("publish" as const),
    sizes: fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 }),
    key: fc.option(fc.constantFrom("a", "b"), { nil: undefined }),
  });
}

/** Runs the property for one kind of channel. */
export function testModel(kind: string, numRuns: number, withStores: WithStores): void {
  const test = suite(`${kind} model`);
  const property = (withStore: WithStore) =>
    fc.asyncProperty(
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 5, max: 120 }),
      someSteps,
      (held, kept, steps) => withStore(held, kept, (store) => run(store, steps)),
    );
  test("every event is delivered once and in order, or counted as lost, whatever happens to the channel", () =>
    withStores((withStore) => fc.assert(property(withStore), { numRuns })));
  test.run();
}

async function run(store: Store, steps: readonly Step[]): Promise<void> {
  let { channel } = store;
  const { kept } = store;
  const { epoch } = channel;
  /** The number of each event, in order; `undefined` for one that was erased. */
  const published: (number | undefined)[] = [];
  const before = channel.last;
  const byKey = new Map<string, string[]>();
  for (const step of steps) {
    if (step.type === "publish") await publish(channel, step, published, byKey, store.reopen !== undefined);
    else if (step.type === "resume") await resume(channel, kept, before, published, step.at);
    else if (step.type === "erase") await erase(store, channel, step.subject, published);
    else channel = await store[step.type]?.() ?? channel;
    assert.is(channel.epoch, epoch);
    assert.is(channel.last, before + published.length);
  }
  for (const at of [0, 0.5, 1]) await resume(channel, kept, before, published, at);
}

/** Erases the events of a subject that are kept. */
async function erase(
  { kept, canErase = true }: Store,
  channel: ContractChannel,
  subject: string,
  published: (number | undefined)[],
): Promise<void> {
  const erasing = within((async () => await channel.erase({ subject }))(), "the erasure", LIMIT_MS);
  if (!canErase) return assert.is(await erasing.catch(({ code }) => code), "EraseNotSupported");
  let count = 0;
  for (let i = Math.max(0, published.length - kept); i < published.length; i++) {
    const n = published[i];
    if (n === undefined || subjectOf(n) !== subject) continue;
    published[i] = undefined;
    count++;
  }
  assert.is(await erasing, count);
}

/** Publishes batches at the same time. A key that was used before gives the ids of then. */
async function publish(
  channel: ContractChannel,
  { sizes, key }: Extract<Step, { type: "publish" }>,
  published: (number | undefined)[],
  byKey: Map<string, string[]>,
  knowsKeys: boolean,
): Promise<void> {
  const first = channel.last + 1;
  let next = published.length;
  const known = knowsKeys && key !== undefined ? byKey.get(key) : undefined;
  const batches = sizes.map((size, index) => {
    const isKnown = known !== undefined && index === 0;
    const length = isKnown ? known.length : size;
    const drafts = Array.from({ length }, (_, n) => ({
      type: "tick" as const,
      subject: subjectOf(next + n),
      event: { n: next + n },
    }));
    if (!isKnown) {
      for (const { event: { n } } of drafts) published.push(n);
      next += length;
    }
    return channel.publishBatch(drafts, index === 0 ? key : undefined);
  });
  const ids = await within(Promise.all(batches), "the publications", LIMIT_MS);
  if (known !== undefined) assert.equal(ids.shift(), known);
  else if (key !== undefined && knowsKeys) byKey.set(key, ids[0]!);
  assert.equal(ids.flat(), ids.flat().map((_, index) => `${channel.epoch}-${first + index}`));
}

/** Reads everything after a cursor, and compares it with the model. */
async function resume(
  channel: ContractChannel,
  kept: number,
  before: number,
  published: readonly (number | undefined)[],
  at: number,
): Promise<void> {
  const { last } = channel;
  const from = before + Math.round(at * published.length);
  let { position } = await channel.locate(`${channel.epoch}-${from}`);
  assert.is(position, from);
  const numbers: unknown[] = [];
  let lost = 0;
  while (position < last) {
    const batch = await within(Promise.resolve(channel.read(position, 2000)), "a batch", LIMIT_MS);
    lost += batch.lost?.count ?? 0;
    position += batch.lost?.count ?? 0;
    for (const entry of batch.entries) {
      while (++position < entry.position) {
        assert.is(published[position - before - 1], undefined, "it was erased");
      }
      assert.is(entry.position, position);
      const event = channel.parse(entry);
      numbers.push(event.type === "tick" ? event.event.n : event.type);
      assert.is(event.subject, event.type === "tick" ? subjectOf(event.event.n) : undefined);
    }
    position = batch.last ?? position;
  }
  assert.is(position, last);
  const first = Math.max(from, before + published.length - kept);
  assert.is(lost, first - from, "what is lost is counted exactly");
  assert.equal(numbers, published.slice(first - before).filter((n) => n !== undefined));
}
