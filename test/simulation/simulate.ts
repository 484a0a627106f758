/**
 * Simulations: the real server and the real client in one process, in virtual time, over a network that is made up. The
 * seed decides everything.
 *
 * @module
 */
import { MOST_SLEEP_MS, World } from "./world.ts"; // Before the code under test.
import { loadSse } from "../../src/client/decode.ts";
import { ALL, describeStep, makePlan, type Plan, type Step, type Wanted } from "./plan.ts";
import { SLACK_MS, Truth } from "./account.ts";
import { Network, type Peer } from "./network.ts";
import { Reader } from "./reader.ts";
import { Server } from "./server.ts";

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
  await world.inhabit(() => simulation.run());
  return simulation.outcome();
}

/** The longest that a reader may need until it has everything, once nothing goes wrong any more, in milliseconds. */
const RECOVERY_MS = 200_000;
/** What the server gives a client that reads nothing, with the time between two looks, in milliseconds. */
const STALL_MS = 60_000 + 2 * 5_000 + 15_000;

/** Events that were sent to be published. */
interface Post {
  /** The number of the first one. */
  readonly first: number;
  readonly count: number;
  readonly hasKey: boolean;
  /** The cursor of the last one, once they were accepted. */
  accepted?: string;
}

class Simulation {
  readonly #world: World;
  readonly #plan: Plan;
  readonly #truth: Truth;
  readonly #network: Network;
  readonly #readers = new Map<number, Reader>();
  readonly #publisher: Peer;
  readonly #posts: Post[] = [];
  #n = 0;
  #restarts = 0;
  #isRestarting = false;

  constructor(world: World, plan: Plan) {
    this.#world = world;
    this.#plan = plan;
    world.workMs = plan.workMs;
    this.#truth = new Truth(world, plan.heartbeat * 1000);
    for (const user of ["all", "ann", "bob"]) this.#truth.allow(user, ALL);
    this.#network = new Network(world, this.#truth, plan);
    this.#publisher = this.#network.peer("publisher", "all", ALL);
  }

  outcome(): Outcome {
    const { failure, trace } = this.#world;
    const accounts = [...this.#readers.values()].map(({ account }) => account);
    return {
      plan: this.#plan,
      failure,
      trace,
      published: this.#n,
      delivered: accounts.reduce((sum, { delivered }) => sum + delivered, 0),
      lost: accounts.reduce((sum, { lost }) => sum + lost, 0),
      connections: this.#network.connections.size,
    };
  }

  async run(): Promise<void> {
    const world = this.#world;
    try {
      this.#serve();
      for (const step of this.#plan.steps) {
        await world.elapse(Math.max(0, step.at - world.now));
        if (world.failure !== undefined) return;
        world.log("plan", describeStep(step).slice(11));
        this.#perform(step);
      }
      await this.#recover();
      if (world.failure === undefined) await this.#finish();
    } catch (error) {
      world.fail("simulation", `${error instanceof Error ? error.stack : error}`);
    }
  }

  #serve(channel?: Server["channel"]): void {
    const server = new Server(this.#world, this.#truth, this.#plan, channel);
    this.#network.servers.push(server);
    this.#network.server = server;
  }

  get #channel(): Server["channel"] {
    return this.#network.servers.at(-1)!.channel;
  }

  #draftsOf(events: readonly Wanted[]) {
    return events.map(({ type, subject, padding }) => ({
      type: type as "tick",
      ...(subject !== undefined && { subject }),
      event: { n: ++this.#n, ...(padding > 0 && { padding: "é".repeat(padding / 2) }) },
    }));
  }

  #perform(step: Step): void {
    const world = this.#world;
    const reader = "reader" in step ? this.#readers.get(step.reader) : undefined;
    switch (step.do) {
      case "publish":
        if (!this.#channel.closed) this.#channel.publishBatch(this.#draftsOf(step.events));
        return;
      case "post":
        return this.#post(step);
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
      case "permit":
        return this.#permit(step);
      case "erase":
        return this.#erase(step.subject);
      case "set clock":
        world.clockStepMs += step.ms;
    }
  }

  #erase(subject: string): void {
    const channel = this.#channel;
    if (channel.closed) return;
    const { events } = this.#truth.epochs.get(channel.epoch)!;
    const kept = events.slice(channel.first - 1);
    const erased = kept.filter((event) => event.subject === subject && event.erasedAt === undefined);
    const count = channel.erase({ subject });
    if (count !== erased.length) {
      this.#world.fail("channel", `erase() returned ${count}, not ${erased.length}`);
    }
    for (const event of erased) event.erasedAt = this.#world.now;
  }

  #post({ events, isLines, tries, hasKey }: Step & { do: "post" }): void {
    const world = this.#world;
    const drafts = this.#draftsOf(events);
    const post: Post = { first: drafts[0]!.event.n, count: drafts.length, hasKey };
    this.#posts.push(post);
    const body = isLines ? drafts.map((draft) => JSON.stringify(draft)).join("\n") : JSON.stringify(drafts);
    const headers = {
      "Content-Type": isLines ? "application/x-ndjson" : "application/json",
      ...(hasKey && { "Idempotency-Key": `key-${post.first}` }),
    };
    const send = async () => {
      try {
        const init = { method: "POST", headers, body };
        const response = await this.#network.fetch(this.#publisher, "http://simulation.test/events", init);
        this.#checkAnswer(post, response.status, await response.json());
      } catch {
        // There was no server.
      }
    };
    // Requests of the same moment are sent in one turn, so that they run side by side.
    for (const ms of new Set(tries)) {
      world.after(ms, () => tries.filter((other) => other === ms).forEach(() => void send()));
    }
  }

  #checkAnswer(post: Post, status: number, answer: { accepted?: number; last_id?: string }): void {
    const world = this.#world;
    const { accepted, last_id: lastId } = answer;
    world.log("publisher", `POST of ${post.first} is answered with ${status} ${lastId}`);
    if (status !== 202) return;
    if (accepted !== post.count) world.fail("publisher", `POST accepted ${accepted} of ${post.count}`);
    const [epoch, position] = lastId!.split("-") as [string, string];
    const event = this.#truth.epochs.get(epoch)?.events[Number(position) - 1];
    if (event?.n !== post.first + post.count - 1) {
      world.fail("publisher", `${lastId} is not what was accepted`);
    }
    post.accepted = lastId!;
  }

  async #restart({ keepsChannel, drainMs, downMs }: Step & { do: "restart" }): Promise<void> {
    const world = this.#world;
    const { server } = this.#network;
    if (server === undefined || this.#isRestarting) return;
    this.#isRestarting = true;
    this.#restarts++;
    const { channel, endpoint } = server;
    if (drainMs !== undefined && !keepsChannel) {
      channel.publishBatch(this.#draftsOf([{ type: "rare", subject: undefined, padding: 0 }])); // The last words.
      channel.close();
      await world.sleep(drainMs);
    }
    this.#network.server = undefined;
    endpoint.abort();
    if (!keepsChannel) channel.close();
    await world.sleep(downMs);
    this.#serve(keepsChannel ? channel : undefined);
    this.#isRestarting = false;
    world.log("server", `serves ${this.#channel.epoch} from ${this.#channel.first} to ${this.#channel.last}`);
  }

  #permit({ user, right }: Step & { do: "permit" }): void {
    const world = this.#world;
    this.#truth.allow(user, right);
    if (right !== undefined) return;
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
    await world.elapse(3100); // The last restart and the last tries.
    world.log("plan", "nothing goes wrong any more");
    this.#network.latencyMs = Math.min(this.#network.latencyMs, 1);
    for (const user of ["all", "ann", "bob"]) {
      if (this.#truth.rightOf(user) === undefined) this.#truth.allow(user, ALL);
    }
    for (const connection of this.#network.connections) connection.heal();
    for (const { peer } of this.#readers.values()) peer.stalledUntil = world.now;
    for (const reader of this.#readers.values()) {
      reader.pausedUntil = Math.min(reader.pausedUntil, world.now + 100);
    }
    await world.elapse(MOST_SLEEP_MS + 100);
    this.#channel.publishBatch(this.#draftsOf([{ type: "rare", subject: undefined, padding: 0 }]));
    const isComplete = () => [...this.#readers.values()].every(({ account }) => account.isComplete);
    for (let waited = 0; !isComplete() && world.failure === undefined; waited += 500) {
      if (waited > RECOVERY_MS) break;
      await world.elapse(500);
    }
    await world.elapse(500);
    for (const reader of this.#readers.values()) {
      reader.checkWait();
      if (!reader.account.isComplete) {
        world.fail(reader.peer.name, `it has reached ${reader.account.place} only`);
      }
    }
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

  #checkStalled(name: string): void {
    const open = this.#network.servers.reduce((sum, { endpoint }) => sum + endpoint.stats().subscribers, 0);
    const alive = [...this.#network.connections].filter(({ isServed, isDead }) => isServed && !isDead).length;
    if (open > alive) this.#world.fail(name, `${open} subscribers for ${alive} clients`);
  }

  /** Shuts the server down with a drain, and checks that nothing is left. */
  async #finish(): Promise<void> {
    const world = this.#world;
    const endpoint = this.#network.servers.at(-1)!.endpoint;
    world.log("plan", "the server shuts down");
    this.#channel.publishBatch(this.#draftsOf([{ type: "rare", subject: undefined, padding: 0 }]));
    this.#channel.close();
    this.#network.server = undefined;
    await world.elapse(1500);
    for (const { peer, isServed, isDead } of this.#network.connections) {
      if (isServed && !isDead) world.fail(peer.name, "the stream is open after the channel was closed");
    }
    endpoint.abort();
    for (const reader of this.#readers.values()) void reader.leave(Infinity);
    await world.elapse(1500);
    const left = (what: string, count: number) => {
      if (count !== 0) world.fail("end", `${count} ${what} are left`);
    };
    for (const { endpoint, channel } of this.#network.servers) {
      left("subscribers", endpoint.stats().subscribers);
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
    this.#checkPosts();
  }

  #checkPosts(): void {
    const times = new Map<number, number>();
    for (const { events } of this.#truth.epochs.values()) {
      for (const { n } of events) times.set(n, (times.get(n) ?? 0) + 1);
    }
    for (const { first, count, hasKey, accepted } of this.#posts) {
      for (let n = first; n < first + count; n++) {
        const there = times.get(n) ?? 0;
        if (there > (hasKey ? 1 + this.#restarts : 1)) {
          this.#world.fail("publisher", `event ${n} is there ${there} times`);
        }
        if (accepted !== undefined && there === 0) {
          this.#world.fail("publisher", `event ${n} was accepted, and is not there`);
        }
      }
    }
  }
}
