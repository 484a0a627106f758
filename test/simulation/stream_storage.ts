/**
 * The channel on NATS, on a model of a stream.
 *
 * @module
 */
import { natsChannel } from "../../src/nats/mod.ts";
import type { Random } from "../support/hostile_proxy.ts";
import type { Epoch, Truth } from "./account.ts";
import type { Plan, Trouble } from "./plan.ts";
import { catalogue, epochOf, type SimulatedChannel, type Storage } from "./storage.ts";
import type { ModelConnection } from "./model_connection.ts";
import { type StoredMessage, StreamServer } from "./stream_model.ts";
import type { World } from "./world.ts";

const decoder = new TextDecoder();
/** What is under way when a channel is closed has this long. */
const REQUEST_MS = 6000;
/** When its machine begins, in milliseconds since 1970. */
const MACHINE_MS = Date.UTC(2026, 0, 1);
/** How long a channel may need after something went wrong: the longest pause between two tries, and a request. */
const RECOVERY_MS = 15_000;

/** Channels on one stream: any number at a time. */
export class StreamStorage implements Storage {
  readonly keepsKeys = true;
  readonly #world: World;
  readonly #truth: Truth;
  readonly #plan: Plan;
  readonly #random: Random;
  readonly #server: StreamServer;
  readonly #connections = new Map<SimulatedChannel, ModelConnection>();
  /** The current epoch; `undefined` from a loss until the stream has another one. */
  #epoch: Epoch | undefined;
  /** What is stored before the next epoch has a name. */
  #events: Epoch["events"] = [];
  #troubledUntil = 0;
  /** Whether the stream has lost events. */
  #hasLost = false;

  constructor(world: World, truth: Truth, plan: Plan) {
    this.#world = world;
    this.#truth = truth;
    this.#plan = plan;
    const random = this.#random = world.randomOf("nats");
    this.#server = new StreamServer({
      wall: () => MACHINE_MS + Math.floor(world.now), // It has a clock of its own.
      now: () => world.now,
      after: (ms, run) => world.after(ms, run),
      latency: () => random() * plan.natsMs,
    }, {
      onStored: (message) => this.#stored(message),
      onStream: ({ created, config }, what) => {
        world.log("nats", `the stream was ${what}`);
        if (what === "created") this.#events = [];
        if (what === "truncated") {
          this.#events = this.#events.slice(0, this.#server.info().state.last_seq);
          // A server may see what is dropped before it sees the loss.
          if (this.#epoch !== undefined) this.#epoch.ages = this.#epoch.hasLostTail = true;
          this.#epoch = undefined;
          this.#hasLost = true;
        } else this.#enter(nameOf(created, config.description));
      },
    });
  }

  #stored({ data, subject, headers, time }: StoredMessage): void {
    const { type, event } = JSON.parse(decoder.decode(data));
    if (!subject.endsWith(`.${type}`)) this.#world.fail("nats", `${type} is stored as ${subject}`);
    this.#events.push({ n: event.n, type, subject: headers?.get("Events-Subject"), time });
  }

  #enter(name: string): void {
    if (this.#epoch?.name === name) return;
    this.#world.log("nats", `the epoch is ${name}`);
    if (this.#truth.epochs.has(name)) this.#world.fail("nats", `the epoch ${name} comes back`);
    // The epoch before has its own list from here on: nothing is added to it.
    this.#events = [...this.#events];
    const epoch = epochOf(name, this.#plan);
    // What a stream dropped because of events that it has lost since is not known here.
    this.#epoch = { ...epoch, events: this.#events, ages: epoch.ages || this.#hasLost };
    this.#truth.epochs.set(name, this.#epoch);
  }

  get isTroubled(): boolean {
    return this.#world.now < this.#troubledUntil;
  }

  isCutOff(channel: SimulatedChannel): boolean {
    return this.#connections.get(channel)?.isUp === false;
  }

  async open(): Promise<SimulatedChannel> {
    const { keeps, history } = this.#plan;
    const connection = this.#server.connect();
    const given = connection as unknown as Parameters<typeof natsChannel>[0];
    let channel;
    try {
      channel = await natsChannel(given, catalogue, {
        keep: { events: keeps },
        history: { events: history },
        onProblem: ({ message }) => this.#world.log("nats", message),
      });
    } catch (error) {
      void connection.close();
      throw error;
    }
    const opened = channel as unknown as SimulatedChannel;
    this.#connections.set(opened, connection);
    const close = opened.close.bind(opened);
    opened.close = () => {
      close();
      this.#connections.delete(opened);
      this.#world.after(REQUEST_MS, () => void connection.close());
    };
    return opened;
  }

  crash(channel: SimulatedChannel): void {
    void this.#connections.get(channel)!.close();
    channel.close();
  }

  /** Whether every channel has received all that the stream has: else no server may know what is lost. */
  get #isKnown(): boolean {
    return [...this.#connections].every(([channel, { isUp }]) =>
      isUp && channel.epoch === this.#epoch?.name && channel.last === this.#events.length
    );
  }

  get mayCrash(): boolean {
    return this.#epoch !== undefined;
  }

  begin({ what, ms }: Trouble): void {
    const server = this.#server;
    if (
      what === "lost tail" &&
      (this.#connections.size < this.#plan.servers || !this.#isKnown || this.#events.length === 0)
    ) return;
    const connections = [...server.connections];
    this.#troubledUntil = this.#world.now + ms + RECOVERY_MS;
    if (what === "frozen stream") server.freeze();
    else if (what === "replaced stream") server.accept(() => server.deleteStream());
    else {
      const cut = what === "lost tail"
        ? connections
        : [connections[Math.floor(this.#random() * connections.length)]];
      for (const connection of cut) {
        if (what === "silent consumer") connection?.silence();
        else connection?.cut();
      }
      if (what === "lost tail") server.truncate(1 + Math.floor(this.#random() * 5));
    }
    this.#world.after(ms, () => this.#restore());
  }

  #restore(): void {
    this.#server.thaw();
    for (const connection of this.#server.connections) connection.restore();
  }

  heal(): void {
    this.#restore();
    this.#troubledUntil = Math.min(this.#troubledUntil, this.#world.now + RECOVERY_MS);
  }

  left(): Readonly<Record<string, number>> {
    return { consumers: this.#server.consumers };
  }

  dispose(): void {
    for (const connection of this.#server.connections) void connection.close();
  }
}

/** Returns the name of the epoch of a stream, worked out from what it is made of. */
function nameOf(created: string, description: string = ""): string {
  const marked = /\[events epoch (\w+)\]$/.exec(description)?.[1];
  if (marked !== undefined) return marked;
  const [seconds, fraction] = created.replace("Z", "").split(".") as [string, string];
  const nanos = BigInt(Date.parse(`${seconds}Z`) / 1000) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0"));
  return nanos.toString(36);
}
