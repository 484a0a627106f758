/**
 * The end of a simulation: nothing goes wrong any more, every reader receives what it misses, and nothing is left.
 *
 * @module
 */
import { ALL, type Plan } from "./plan.ts";
import { isBlind } from "./items.ts";
import type { Network } from "./network.ts";
import { countPages } from "./pages_of_world.ts";
import { LAST_WORDS, type Publications } from "./publications.ts";
import type { Reader } from "./reader.ts";
import type { Server } from "./server.ts";
import type { Storage } from "./storage.ts";
import { MOST_SLEEP_MS, type World } from "./world.ts";

/** The longest that a reader may need until it has everything, once nothing goes wrong any more, in milliseconds. */
const RECOVERY_MS = 200_000;
/** What the server gives a client that reads nothing, with the time between two looks, in milliseconds. */
const STALL_MS = 60_000 + 2 * 5_000 + 15_000;

/** What has happened up to here. */
interface Happened {
  readonly readers: readonly Reader[];
  readonly restarts: number;
  readonly clockSteps: number;
  readonly isRestarting: () => boolean;
}

/** Ends a simulation, and checks what it leaves. */
export class Ending {
  readonly #world: World;
  readonly #plan: Plan;
  readonly #network: Network;
  readonly #storage: Storage;
  readonly #publications: Publications;
  readonly #happened: Happened;

  constructor(
    world: World,
    plan: Plan,
    network: Network,
    storage: Storage,
    publications: Publications,
    happened: Happened,
  ) {
    this.#world = world;
    this.#plan = plan;
    this.#network = network;
    this.#storage = storage;
    this.#publications = publications;
    this.#happened = happened;
  }

  get #live(): Server[] {
    return this.#network.live.filter((server) => server !== undefined);
  }

  /** Ends all that goes wrong, and waits until every reader has everything. */
  async recover(): Promise<void> {
    const world = this.#world;
    this.#storage.heal();
    await world.elapse(3100); // The last restart and the last tries.
    world.log("plan", "nothing goes wrong any more");
    this.#storage.heal();
    this.#network.latencyMs = Math.min(this.#network.latencyMs, 1);
    const { truth } = this.#network;
    for (const user of ["all", "ann", "bob"]) truth.allow(user, truth.rightOf(user) ?? ALL);
    for (const connection of this.#network.connections) connection.heal();
    for (const { peer } of this.#happened.readers) peer.stalledUntil = world.now;
    for (const reader of this.#happened.readers) {
      reader.pausedUntil = Math.min(reader.pausedUntil, world.now + 100);
    }
    await world.elapse(MOST_SLEEP_MS + 100);
    while (this.#storage.isTroubled || this.#happened.isRestarting()) {
      if (world.failure !== undefined) return;
      if (world.now > 1e7) return world.fail("server", "it does not come back");
      await world.elapse(500);
    }
    this.#checkProblems(); // Before what is published could end one.
    const last = this.#publications.publish(this.#live[0]!, LAST_WORDS);
    let isPublished = false;
    void last.then(() => isPublished = true);
    const isComplete = () => isPublished && this.#happened.readers.every(({ account }) => account.isComplete);
    // What was sent before all was well may be stored only now: a reader is complete when it still is after a while.
    for (let [waited, complete] = [0, 0]; complete < 2 && world.failure === undefined; waited += 500) {
      if (waited > RECOVERY_MS) break;
      await world.elapse(500);
      complete = isComplete() ? complete + 1 : 0;
    }
    if (world.failure === undefined && !await last) world.fail("publisher", "the last event is not accepted");
    this.#checkRecovered();
    if (world.failure !== undefined) return;
    if ([...this.#network.connections].some(({ isServed, isDead }) => isServed && isDead)) {
      await world.elapse(STALL_MS);
    }
    await this.#checkKeys();
    for (const { peer, isServed, isDead, owedSince } of this.#network.connections) {
      if (isServed && isDead && owedSince === undefined) this.#checkStalled(peer.name);
      if (isServed && !isDead && world.now - (owedSince ?? world.now) > truth.heartbeatMs + truth.slackMs) {
        world.fail(peer.name, `the server is silent for ${world.now - owedSince!} ms`);
      }
    }
  }

  #checkProblems(): void {
    for (const { channel } of this.#live) {
      if (channel.problem !== undefined) this.#world.fail("channel", `it reports ${channel.problem}`);
    }
  }

  #checkRecovered(): void {
    this.#checkProblems();
    for (const reader of this.#happened.readers) {
      reader.checkWait();
      if (!reader.account.isComplete) {
        this.#world.fail(reader.peer.name, `it has reached ${reader.account.place} only`);
      }
    }
  }

  /** Checks that servers forget idempotency keys, if they keep few of them. */
  async #checkKeys(): Promise<void> {
    const world = this.#world;
    const { maxKeys, keySeconds } = this.#plan;
    if (maxKeys > 100 || world.failure !== undefined) return;
    await world.elapse(keySeconds * 1000 + 100);
    let isAccepted = false;
    void this.#publications.checkKeysForgotten().then((value) => isAccepted = value);
    await world.elapse(1500);
    if (!isAccepted) world.fail("server", "it does not forget idempotency keys");
  }

  #checkStalled(name: string): void {
    const open = this.#network.servers.reduce((sum, { subscribers }) => sum + subscribers, 0);
    // Of a client whose dialect has no heartbeats a server learns nothing while it has nothing to send.
    const alive = [...this.#network.connections]
      .filter(({ isServed, isDead, peer }) => isServed && (!isDead || isBlind(peer.dialect))).length;
    if (open > alive) this.#world.fail(name, `${open} subscribers for ${alive} clients`);
  }

  /** Shuts the servers down with a drain, and checks that nothing is left. */
  async finish(): Promise<void> {
    const world = this.#world;
    const live = this.#live;
    world.log("plan", "the servers shut down");
    for (const server of live) {
      void this.#publications.saysLast(server).then(() => {
        server.isClosing = true;
        return server.channel.close();
      });
    }
    this.#network.live.length = 0;
    await world.elapse(1500);
    for (const { peer, isServed, isDead } of this.#network.connections) {
      if (isServed && !isDead) world.fail(peer.name, "the stream is open after the channel was closed");
    }
    for (const server of live) server.abort();
    for (const reader of this.#happened.readers) void reader.leave(Infinity);
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
    left("pages", countPages());
    for (const [what, count] of Object.entries(this.#storage.left())) left(what, count);
    for (const connection of this.#network.connections) {
      left(`listeners of ${connection.peer.name}`, connection.listeners);
    }
    this.#publications.check(this.#happened.restarts, this.#happened.clockSteps);
  }
}
