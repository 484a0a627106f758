/**
 * Where the events of a simulation are: in memory, in a file, or in a stream of NATS. A storage opens channels for servers, knows
 * what is stored, and goes wrong.
 *
 * @module
 */
import * as v from "valibot";
import { type Catalogue, type Channel, createChannel, defineEvents } from "../../src/mod.ts";
import type { Epoch, Truth } from "./account.ts";
import { type Plan, type Trouble, TYPES } from "./plan.ts";
import type { World } from "./world.ts";

/** The payload of every event. */
type Payload = v.GenericSchema<{ n: number; padding?: string | undefined }>;
type Schemas = Record<typeof TYPES[number], Payload>;

export type SimulatedChannel = Channel<Schemas>;

const payload: Payload = v.object({ n: v.number(), padding: v.optional(v.string()) });
export const catalogue: Catalogue<Schemas> = defineEvents(
  Object.fromEntries(TYPES.map((type) => [type, payload])) as Schemas,
);

/** What servers open channels of. */
export interface Storage {
  /** Whether a repeat with a key is recognized by another server, or after a restart. */
  readonly keepsKeys: boolean;
  /** Opens a channel. Rejects if something goes wrong at the moment. */
  open(): Promise<SimulatedChannel>;
  /** Ends a channel as the end of its process does, or of the power. */
  crash(channel: SimulatedChannel, isPowerCut: boolean): void;
  /** Whether the channel knows that it is cut off from what keeps its events. */
  isCutOff(channel: SimulatedChannel): boolean;
  /** Whether servers may end: not while one alone knows something. */
  readonly mayCrash: boolean;
  /** Lets something go wrong. */
  begin(trouble: Trouble): void;
  /** Ends what goes wrong. */
  heal(): void;
  /** Whether publications and new streams may be rejected at the moment. */
  readonly isTroubled: boolean;
  /** Returns what servers should have given back: what it is, and how many there are. */
  left(): Readonly<Record<string, number>>;
  /** Checks what is left when all channels are closed, and removes it. */
  dispose(): void;
}

/** Makes an epoch of the truth. */
export function epochOf(name: string, { history, keeps, channel, ageSeconds }: Plan): Epoch {
  return {
    name,
    events: [],
    keeps: channel === "memory" ? history : keeps,
    ages: ageSeconds !== undefined,
  };
}

/** Channels in memory: each is lost with its process. */
export class MemoryStorage implements Storage {
  readonly keepsKeys = false;
  readonly isTroubled = false;
  readonly mayCrash = true;
  readonly #world: World;
  readonly #truth: Truth;
  readonly #plan: Plan;

  constructor(world: World, truth: Truth, plan: Plan) {
    this.#world = world;
    this.#truth = truth;
    this.#plan = plan;
  }

  open(): Promise<SimulatedChannel> {
    const { history, ageSeconds } = this.#plan;
    const keep = ageSeconds === undefined ? {} : { keep: { age: ageSeconds } };
    const channel = createChannel(catalogue, { history: { events: history }, ...keep });
    const epoch = epochOf(channel.epoch, this.#plan);
    this.#truth.epochs.set(epoch.name, epoch);
    const { publishBatch } = channel;
    channel.publishBatch = (drafts, key) => {
      const ids = publishBatch(drafts, key);
      for (const { type, subject, event } of drafts as readonly Published[]) {
        epoch.events.push({ n: event.n, type, subject, time: this.#world.wall });
      }
      return ids;
    };
    return Promise.resolve(channel as unknown as SimulatedChannel);
  }

  crash(channel: SimulatedChannel): void {
    channel.close();
  }

  isCutOff(): boolean {
    return false;
  }

  begin(): void {}
  heal(): void {}
  dispose(): void {}
  left(): Readonly<Record<string, number>> {
    return {};
  }
}

interface Published {
  readonly type: string;
  readonly subject?: string;
  readonly event: { readonly n: number };
}
