/**
 * Simulations: the real server and the real client in one process, in virtual time, over a network that is made up. The
 * seed decides everything.
 *
 * @module
 */
import { MOST_SLEEP_MS, World } from "./world.ts"; // Before the code under test.
import { loadSse } from "../../src/client/decode.ts";
import { ALL, describeStep, makePlan, type Plan, type Step } from "./plan.ts";
import { SLACK_MS, Truth } from "./account.ts";
import { FileStorage } from "./file_storage.ts";
import { isBlind } from "./items.ts";
import { Network } from "./network.ts";
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
  await loadSse(); // The first import reads files.
  try {
    await world.inhabit(() => simulation.run());
  } finally {
    simulation.dispose();
  }
  return simulation.outcome();
}

/** The longest that a reader may need until it has everything, once nothing goes wrong any more, in milliseconds. */
const RECOVERY_MS = 200_000;
/** What the server gives a client that reads nothing, with the time between two looks, in milliseconds. */
const STALL_MS = 60_000 + 2 * 5_000 + 15_000;
/** The pause before a channel that could not be opened is opened again, in milliseconds. */
const REOPEN_MS = 500;
/** The longest wait of a request that no response ends, in milliseconds. */
const ENDING_MS = 10_000;
const LAST_WORDS = [{ type: "rare", subject: undefined, padding: 0 }];

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
    this.#truth = new Truth(world, plan.heartbeat * 1000);
    for (const user of ["all", "ann", "bob"]) this.#truth.allow(user, ALL);
    this.#network = new Network(world, this.#truth, plan);
    this.#storage = storageOf(world, this.#truth, plan);
    this.#publications = new Publications(world, this.#truth, this.#network, this.#storage, plan);
  }

  outcome(): Outcome {
    const { failure, trace } = this.#world;
    const accounts = [...this.#readers.values()].map(({ account }) => account);
    return {
      plan: this.#plan,
      failure,
      trace,
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
        world.log("plan", describeStep(step).slice(11));
        this.#perform(step);
      }
      await this.#recover();
      if (world.failure === undefined) await this.#finish();
    } catch (error) {
      world.fail("simulation", `${error instanceof Error ? error.stack : error}`);
    }
    if (world.failure !== undefined) await this.#end();
  }

  /** Ends everything after a violation: what goes on would be part of the next simulation. */
  async #end(): Promise<void> {
    const world = this.#world;
    const { length } = world.trace;
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
    world.trace.length = length;
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
    const server = new Server(this.#world, this.#truth, this.#plan, await opening, isTroubled);
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
        return this.#storage.begin(step);
      case "permit":
        return this.#permit(step);
      case "erase":
        return void this.#erase(step.subject);
      case "set clock":
        this.#clockSteps++;
        world.clockStepMs += step.ms;
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
      count = typeof erasing === "number" ? erasing : await erasing;
    } catch (error) {
      if (!this.#storage.isTroubled && !server.isGone && !server.channel.closed) {
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
      void this.#publications.publish(server, LAST_WORDS);
      server.isClosing = true;
      const closing = channel.close();
      await world.sleep(drainMs);
      this.#network.live[number] = undefined;
      server.abort();
      await closing;
    } else if (how === "endpoint") {
      this.#network.live[number] = undefined;
      server.abort();
    } else {
      this.#network.live[number] = undefined;
      server.isGone = true;
      this.#network.cutAll(server, how === "power cut");
      this.#storage.crash(channel, how === "power cut");
      server.abort();
    }
    await world.sleep(downMs);
    await this.#serve(number, how === "endpoint" ? channel : undefined);
    this.#restarting.delete(number);
    const { epoch, first, last } = this.#network.live[number]!.channel;
    world.log("server", `serves ${epoch} from ${first} to ${last}`);
  }

  #permit({ user, right, endsMs }: Step & { do: "permit" }): void {
    const world = this.#world;
    const expiresAt = endsMs === undefined || right === undefined ? undefined : world.wall + endsMs;
    this.#truth.allow(user, right, expiresAt);
    if (right === undefined) return this.#expectEnds(user);
    if (expiresAt === undefined) return;
    world.after(endsMs! + 100, () => {
      if (this.#truth.rightOf(user) === undefined) this.#expectEnds(user);
    });
  }

  /** Checks that no stream of a user who may see nothing is open after a heartbeat. */
  #expectEnds(user: string): void {
    const world = this.#world;
    const { now } = world;
    world.after(this.#truth.heartbeatMs + SLACK_MS, () => {
      const stillNothing = this.#truth.rightsIn(user, now + 0.001, world.now).every((right) =>
        right === undefined
      );
      if (!stillNothing) return;
      for (const connection of this.#network.connections) {
        const { peer, isServed, owedSince, openedAt } = connection;
        if (peer.user !== user || !isServed || owedSince === undefined || openedAt > now) continue;
        world.fail(peer.name, "the stream is open a heartbeat after the permission ended");
      }
    });
  }

  /** Ends all that goes wrong, and waits until every reader has everything. */
  async #recover(): Promise<void> {
    const world = this.#world;
    this.#storage.heal();
    await world.elapse(3100); // The last restart and the last tries.
    world.log("plan", "nothing goes wrong any more");
    this.#storage.heal();
    this.#network.latencyMs = Math.min(this.#network.latencyMs, 1);
    for (const user of ["all", "ann", "bob"]) this.#truth.allow(user, this.#truth.rightOf(user) ?? ALL);
    for (const connection of this.#network.connections) connection.heal();
    for (const { peer } of this.#readers.values()) peer.stalledUntil = world.now;
    for (const reader of this.#readers.values()) {
      reader.pausedUntil = Math.min(reader.pausedUntil, world.now + 100);
    }
    await world.elapse(MOST_SLEEP_MS + 100);
    while (this.#storage.isTroubled || this.#restarting.size > 0) {
      if (world.failure !== undefined) return;
      if (world.now > 1e7) return world.fail("server", "it does not come back");
      await world.elapse(500);
    }
    const last = this.#publications.publish(this.#live[0]!, LAST_WORDS);
    let isPublished = false;
    void last.then(() => isPublished = true);
    const isComplete = () =>
      isPublished && [...this.#readers.values()].every(({ account }) => account.isComplete);
    for (let waited = 0; !isComplete() && world.failure === undefined; waited += 500) {
      if (waited > RECOVERY_MS) break;
      await world.elapse(500);
    }
    await world.elapse(500);
    if (world.failure === undefined && !await last) world.fail("publisher", "the last event is not accepted");
    this.#checkRecovered();
    if (world.failure !== undefined) return;
    if ([...this.#network.connections].some(({ isServed, isDead }) => isServed && isDead)) {
      await world.elapse(STALL_MS);
    }
    for (const { peer, isServed, isDead, owedSince } of this.#network.connections) {
      if (isServed && isDead && owedSince === undefined) this.#checkStalled(peer.name);
      if (isServed && !isDead && world.now - (owedSince ?? world.now) > this.#truth.heartbeatMs + SLACK_MS) {
        world.fail(peer.name, `the server is silent for ${world.now - owedSince!} ms`);
      }
    }
  }

  #checkRecovered(): void {
    for (const { channel } of this.#live) {
      if (channel.problem !== undefined) this.#world.fail("channel", `it reports ${channel.problem}`);
    }
    for (const reader of this.#readers.values()) {
      reader.checkWait();
      if (!reader.account.isComplete) {
        this.#world.fail(reader.peer.name, `it has reached ${reader.account.place} only`);
      }
    }
  }

  #checkStalled(name: string): void {
    const open = this.#network.servers.reduce((sum, { subscribers }) => sum + subscribers, 0);
    // Of a client whose dialect has no heartbeats a server learns nothing while it has nothing to send.
    const alive = [...this.#network.connections]
      .filter(({ isServed, isDead, peer }) => isServed && (!isDead || isBlind(peer.dialect))).length;
    if (open > alive) this.#world.fail(name, `${open} subscribers for ${alive} clients`);
  }

  /** Shuts the servers down with a drain, and checks that nothing is left. */
  async #finish(): Promise<void> {
    const world = this.#world;
    const live = this.#live;
    world.log("plan", "the servers shut down");
    for (const server of live) void this.#publications.publish(server, LAST_WORDS);
    for (const server of live) {
      server.isClosing = true;
      void server.channel.close();
    }
    this.#network.live.length = 0;
    await world.elapse(1500);
    for (const { peer, isServed, isDead } of this.#network.connections) {
      if (isServed && !isDead) world.fail(peer.name, "the stream is open after the channel was closed");
    }
    for (const server of live) server.abort();
    for (const reader of this.#readers.values()) void reader.leave(Infinity);
    await world.elapse(this.#plan.channel === "nats" ? 6500 : 1500); // NATS gets five seconds to answer.
    const left = (what: string, count: number) => {
      if (count !== 0) world.fail("end", `${count} ${what} are left`);
    };
    for (const { subscribers, channel } of this.#network.servers) {
      left("subscribers", subscribers);
      left("readers of the channel", channel.stats().readers);
    }
    left(
      "reports of ends",
      this.#network.streams - this.#network.servers.reduce((sum, { ended }) => sum + ended, 0),
    );
    left("timers", world.timersLeft);
    for (const connection of this.#network.connections) {
      left(`listeners of ${connection.peer.name}`, connection.listeners);
    }
    this.#publications.check(this.#restarts, this.#clockSteps);
  }
}

function storageOf(world: World, truth: Truth, plan: Plan): Storage {
  if (plan.channel === "file") return new FileStorage(world, truth, plan);
  return plan.channel === "nats" ? new StreamStorage(world, truth, plan) : new MemoryStorage(truth, plan);
}
