/**
 * Simulations: the real server and the real client in one process, in virtual time, over a network that is made up. The
 * seed decides everything.
 *
 * @module
 */
import { World } from "./world.ts"; // Before the code under test.
import { loadSse } from "../../src/client/decode.ts";
import { ALL, describeStep, makePlan, type Plan, type Step } from "./plan.ts";
import { Truth } from "./account.ts";
import { FileStorage } from "./file_storage.ts";
import { Ending } from "./ending.ts";
import { Network } from "./network.ts";
import { countPages } from "./pages_of_world.ts";
import { Publications } from "./publications.ts";
import { Reader } from "./reader.ts";
import { Server } from "./server.ts";
import { MemoryStorage, type Storage } from "./storage.ts";
import { StreamStorage } from "./stream_storage.ts";

/** How a simulation ended. */
export interface Outcome {
  readonly plan: Plan;
  /** The violation; `undefined` if there was none. */
  readonly failure: string | undefined;
  readonly trace: readonly string[];
  readonly published: number;
  readonly delivered: number;
  readonly lost: number;
  readonly connections: number;
}

/** Makes the plan of a seed. */
export function planOf(seed: number): Plan {
  return makePlan(new World(seed));
}

/** Runs the plan of a seed, or one made of it. */
export async function simulate(seed: number, plan: Plan = planOf(seed)): Promise<Outcome> {
  const world = new World(seed);
  const simulation = new Simulation(world, plan);
  countPages(); // Those of one that failed.
  await loadSse(); // The first import reads files.
  try {
    await world.inhabit(() => simulation.run());
  } finally {
    simulation.dispose();
  }
  return simulation.outcome();
}

/** The pause before a channel that could not be opened is opened again, in milliseconds. */
const REOPEN_MS = 500;
/** The longest that an erasure may take on a disk that is slow, and the end of a channel. */
const ERASE_MS = 30_000;
/** The longest wait of a request that no response ends, in milliseconds. */
const ENDING_MS = 10_000;
const TICK = [{ type: "tick", subject: undefined, padding: 0 }];

class Simulation {
  readonly #world: World;
  readonly #plan: Plan;
  readonly #truth: Truth;
  readonly #network: Network;
  readonly #storage: Storage;
  readonly #publications: Publications;
  readonly #readers = new Map<number, Reader>();
  #restarts = 0;
  #clockSteps = 0;
  readonly #restarting = new Set<number>();

  constructor(world: World, plan: Plan) {
    this.#world = world;
    this.#plan = plan;
    world.workMs = plan.workMs;
    world.drift = plan.drift;
    world.zone = plan.zone;
    this.#truth = new Truth(world, plan.heartbeat * 1000);
    for (const user of ["all", "ann", "bob"]) this.#truth.allow(user, ALL);
    this.#network = new Network(world, this.#truth, plan);
    this.#storage = storageOf(world, this.#truth, plan);
    this.#publications = new Publications(world, this.#truth, this.#network, this.#storage, plan);
  }

  outcome(): Outcome {
    const world = this.#world;
    const accounts = [...this.#readers.values()].map(({ account }) => account);
    return {
      plan: this.#plan,
      failure: world.failure,
      get trace() {
        return world.trace;
      },
      published: this.#publications.count,
      delivered: accounts.reduce((sum, { delivered }) => sum + delivered, 0),
      lost: accounts.reduce((sum, { lost }) => sum + lost, 0),
      connections: this.#network.connections.size,
    };
  }

  dispose(): void {
    this.#storage.dispose();
  }

  async run(): Promise<void> {
    const world = this.#world;
    try {
      for (let number = 0; number < this.#plan.servers; number++) await this.#serve(number);
      const beginning = world.now;
      for (const step of this.#plan.steps) {
        await world.elapse(Math.max(0, beginning + step.at - world.now));
        if (world.failure !== undefined) return;
        world.log("plan", () => describeStep(step).slice(11));
        this.#perform(step);
      }
      const ending = new Ending(world, this.#plan, this.#network, this.#storage, this.#publications, {
        readers: [...this.#readers.values()],
        restarts: this.#restarts,
        clockSteps: this.#clockSteps,
        isRestarting: () => this.#restarting.size > 0,
      });
      await ending.recover();
      if (world.failure === undefined) await ending.finish();
    } catch (error) {
      world.fail("simulation", `${error instanceof Error ? error.stack : error}`);
    }
    if (world.failure !== undefined) await this.#end();
  }

  /** Ends everything after a violation: what goes on would be part of the next simulation. */
  async #end(): Promise<void> {
    const world = this.#world;
    const { notes } = world;
    world.isEnding = true;
    this.#network.live.length = 0;
    this.#storage.heal();
    for (const server of this.#network.servers) {
      server.isGone = true;
      server.abort();
      void Promise.resolve(server.channel.close()).catch(() => {});
    }
    for (const reader of this.#readers.values()) void reader.leave(Infinity);
    await world.elapse(ENDING_MS);
    world.forgetAfter(notes);
  }

  /** Opens the channel of a server that has none, and lets it accept connections. */
  async #serve(number: number, channel?: Server["channel"]): Promise<void> {
    const opening = this.#open(channel);
    // Nothing else lets time pass when it begins.
    if (this.#network.servers.length < this.#plan.servers) {
      let isOpen = false;
      void opening.finally(() => isOpen = true);
      while (!isOpen && this.#world.failure === undefined) await this.#world.elapse(20);
      if (!isOpen) return;
    }
    const isTroubled = () => this.#storage.isTroubled;
    const server = new Server(this.#world, this.#network.access, this.#plan, await opening, isTroubled);
    this.#network.servers.push(server);
    this.#network.live[number] = server;
  }

  async #open(channel: Server["channel"] | undefined): Promise<Server["channel"]> {
    for (;;) {
      try {
        return channel ?? await this.#storage.open();
      } catch (error) {
        this.#world.log("server", `cannot open the channel: ${error}`);
        if (!this.#storage.isTroubled) this.#world.fail("server", `cannot open the channel: ${error}`);
        await this.#world.sleep(REOPEN_MS);
      }
    }
  }

  /** Closes a channel. */
  async #closingOf(channel: Server["channel"]): Promise<void> {
    await this.#world.limit(Promise.resolve(channel.close()), ERASE_MS, "channel", "close()");
  }

  get #live(): Server[] {
    return this.#network.live.filter((server) => server !== undefined);
  }

  #perform(step: Step): void {
    const world = this.#world;
    const reader = "reader" in step ? this.#readers.get(step.reader) : undefined;
    switch (step.do) {
      case "publish": {
        const server = this.#network.serverFor({ random: world.random });
        return void (server && this.#publications.publish(server, step.events));
      }
      case "post":
        return this.#publications.post(step);
      case "join":
        return void this.#readers.set(
          step.reader,
          new Reader(this.#network, `reader ${step.reader}`, step.plan),
        );
      case "pause":
        if (reader !== undefined) reader.pausedUntil = world.now + step.ms;
        return;
      case "leave":
        return void reader?.leave(step.ms);
      case "cut":
        return reader?.peer.connection?.cut(step.way, step.bytes);
      case "stall":
        if (reader !== undefined) reader.peer.stalledUntil = world.now + step.ms;
        return;
      case "restart":
        return void this.#restart(step);
      case "trouble":
        // A server that is being restarted does not say what is lost.
        if (step.what === "lost tail" && this.#restarting.size > 0) return;
        return this.#storage.begin(step);
      case "permit":
        return this.#network.access.permit(step);
      case "new key":
        return this.#network.access.renewKey(step);
      case "burst":
        return void this.#burst(step);
      case "erase":
        return void this.#erase(step.subject);
      case "set zone":
        world.zone = step.zone;
        return;
      case "set clock":
        this.#clockSteps++;
        world.setClock(step.ms);
        this.#network.access.clockWasSet(step.ms);
    }
  }

  async #burst({ count, everyMs }: Step & { do: "burst" }): Promise<void> {
    const server = this.#network.serverFor({ random: this.#world.random });
    for (let i = 0; i < count && server !== undefined; i++) {
      void this.#publications.publish(server, TICK);
      await this.#world.sleep(everyMs);
    }
  }

  async #erase(subject: string): Promise<void> {
    const [server] = this.#live;
    if (server === undefined || server.channel.closed) return;
    const { channel } = server;
    const { events } = this.#truth.epochs.get(channel.epoch)!;
    const due = events.slice(channel.first - 1).filter((event) =>
      event.subject === subject && event.erasedAt === undefined
    );
    for (const event of due) event.isErasing = true;
    let count;
    try {
      const erasing = channel.erase({ subject });
      count = typeof erasing === "number"
        ? erasing
        : await this.#world.limit(erasing, ERASE_MS, "channel", "erase()");
    } catch (error) {
      if (!this.#storage.isTroubled && !server.isGone && !server.isClosing) {
        this.#world.fail("channel", `erase() throws ${error}`);
      }
      return;
    }
    if (server.isGone) return;
    // What was published and erased meanwhile counts too, and what expired meanwhile does not.
    const isExact = this.#plan.channel === "memory";
    if (isExact ? count !== due.length : false) {
      this.#world.fail("channel", `erase() returned ${count}, not ${due.length}`);
    }
    for (const event of due) event.erasedAt = this.#world.now;
  }

  async #restart({ server: number, how, drainMs, downMs }: Step & { do: "restart" }): Promise<void> {
    const world = this.#world;
    const server = this.#network.live[number];
    if (server === undefined || this.#restarting.has(number) || !this.#storage.mayCrash) return;
    this.#restarting.add(number);
    this.#restarts++;
    const { channel } = server;
    if (how === "close") {
      await this.#publications.saysLast(server);
      // Endpoints that had the channel before may still answer requests.
      const servers = this.#network.servers.filter((other) => other.channel === channel);
      for (const other of servers) other.isClosing = true;
      const closing = this.#closingOf(channel);
      await world.sleep(drainMs);
      this.#network.live[number] = undefined;
      server.abort();
      await closing;
    } else if (how === "endpoint") {
      this.#network.live[number] = undefined;
      server.abort();
    } else {
      this.#network.live[number] = undefined;
      for (const other of this.#network.servers.filter((other) => other.channel === channel)) {
        other.isGone = true;
        this.#network.cutAll(other, how === "power cut");
        other.abort();
      }
      this.#storage.crash(channel, how === "power cut");
    }
    await world.sleep(downMs);
    await this.#serve(number, how === "endpoint" ? channel : undefined);
    this.#restarting.delete(number);
    const { epoch, first, last } = this.#network.live[number]!.channel;
    world.log("server", `serves ${epoch} from ${first} to ${last}`);
  }
}

function storageOf(world: World, truth: Truth, plan: Plan): Storage {
  if (plan.channel === "file") return new FileStorage(world, truth, plan);
  return plan.channel === "nats"
    ? new StreamStorage(world, truth, plan)
    : new MemoryStorage(world, truth, plan);
}
