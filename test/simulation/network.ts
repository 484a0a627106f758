/**
 * The network of a simulation: the servers, and the clients that reach them.
 *
 * @module
 */
import type { Random } from "../support/hostile_proxy.ts";
import { Access } from "./access.ts";
import type { Truth, Wish } from "./account.ts";
import { Connection } from "./connection.ts";
import type { DialectName, Plan } from "./plan.ts";
import type { Server } from "./server.ts";
import type { World } from "./world.ts";

/** One end of the network: a reader, or a publisher. */
export interface Peer {
  readonly name: string;
  readonly user: string;
  readonly wish: Wish;
  readonly dialect: DialectName;
  readonly random: Random;
  /** Its newest connection. */
  connection?: Connection;
  /** Until when nothing reaches it. */
  stalledUntil: number;
  /** When something reached it last. */
  lastArrival: number;
}

/** The network, and the servers that it leads to at the moment. */
export class Network {
  readonly world: World;
  readonly truth: Truth;
  readonly access: Access;
  readonly connections: Set<Connection> = new Set();
  /** The servers that accept connections, by their numbers. */
  readonly live: (Server | undefined)[] = [];
  /** All servers that there have been. */
  readonly servers: Server[] = [];
  latencyMs: number;
  /** Where events are kept. */
  readonly channel: Plan["channel"];
  /** The number of events that a channel holds itself: one that is closed reads no others. */
  readonly held: number;
  readonly pieceBytes: number;
  /** The number of streams that were opened. */
  streams = 0;

  constructor(world: World, truth: Truth, plan: Plan) {
    this.world = world;
    this.truth = truth;
    this.access = new Access(world, truth, plan, this.connections);
    this.latencyMs = plan.latencyMs;
    this.channel = plan.channel;
    this.held = plan.channel === "memory" ? Infinity : plan.history;
    this.pieceBytes = plan.pieceBytes;
  }

  peer(name: string, user: string, wish: Wish, dialect: DialectName = "7.1"): Peer {
    return { name, user, wish, dialect, random: this.world.randomOf(name), stalledUntil: 0, lastArrival: 0 };
  }

  /** Checks that no endpoint has more subscribers than there are clients that it does not know to be gone. */
  checkSubscribers(): void {
    const open = this.servers.reduce((sum, server) => sum + server.countSubscribers(), 0);
    const served = [...this.connections].filter(({ isServed }) => isServed).length;
    if (open > served) this.world.fail("server", `${open} subscribers for ${served} clients`);
  }

  /** The server that a client reaches; `undefined` if there is none. */
  serverFor({ random }: Pick<Peer, "random">): Server | undefined {
    const servers = this.live.filter((server) => server !== undefined);
    return servers.length < 2 ? servers[0] : servers[Math.floor(random() * servers.length)];
  }

  /** Breaks every connection to a server whose process or machine has ended. */
  cutAll(server: Server, isSilent: boolean): void {
    for (const connection of this.connections) {
      if (connection.server !== server) continue;
      connection.isServed = false;
      connection.cut(isSilent ? "nobody" : "client only", 0);
    }
  }

  fetch(peer: Peer, url: string, init: RequestInit): Promise<Response> {
    return new Promise((resolve, reject) => {
      const { signal } = init;
      if (signal?.aborted) return reject(signal.reason);
      const connection = new Connection(this, peer, resolve, reject);
      peer.connection = connection;
      this.connections.add(connection);
      signal?.addEventListener("abort", () => connection.abandon(signal.reason), { once: true });
      connection.send(url, init).catch((error) => this.world.fail(peer.name, `${error.stack}`));
    });
  }
}
