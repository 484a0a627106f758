/**
 * The server of a simulation: a channel, its endpoints and the application around them, and what they may not do.
 *
 * @module
 */
import { Hono } from "hono";
import { eventsEndpoint } from "../../src/mod.ts";
import type { Access } from "./access.ts";
import type { DialectName, Plan } from "./plan.ts";
import type { SimulatedChannel } from "./storage.ts";
import type { World } from "./world.ts";

/** Endpoints over a channel that may have had others. */
export class Server {
  readonly channel: SimulatedChannel;
  readonly app: Hono = new Hono();
  /** The number of streams of which the end was reported. */
  ended = 0;
  /** The position from which on the channel holds events itself: it reads no others when it is closed. */
  readonly heldFrom: number;
  /** Whether it is being closed. */
  isClosing = false;
  /** Whether its process has ended: what it says counts no more. */
  isGone = false;
  /** The number of requests with a key that were not answered yet. */
  keysPending = 0;
  /** Whether its storage may reject something at the moment. */
  readonly #isTroubled: () => boolean;
  readonly #endpoints: readonly Pick<ReturnType<typeof eventsEndpoint>, "stats" | "abort">[];
  readonly #world: World;
  #isAborted = false;
  /** Whether it has ended, and had no streams then. */
  #isOver = false;
  readonly #maxKeys: number;
  readonly #keyMs: number;
  /** Until when it may remember an idempotency key. */
  readonly #keys = new Map<string, number>();

  constructor(
    world: World,
    access: Access,
    plan: Plan,
    channel: SimulatedChannel,
    isTroubled: () => boolean,
  ) {
    this.#world = world;
    this.#isTroubled = isTroubled;
    this.channel = channel;
    this.heldFrom = plan.channel === "memory" ? 0 : channel.last;
    const authorize = access.createAuthorize();
    const { maxDelay, maxKeys: maxIdempotencyKeys, keySeconds: idempotencyWindow } = plan;
    this.#maxKeys = maxIdempotencyKeys;
    this.#keyMs = idempotencyWindow * 1000;
    const spoken = plan.steps.flatMap((step) => step.do === "join" ? [step.plan.dialect] : []);
    const dialects: ReadonlySet<DialectName> = new Set(["7.1", ...spoken]);
    this.#endpoints = [...dialects].map((dialect) => {
      const endpoint = eventsEndpoint(channel, {
        heartbeat: plan.heartbeat,
        dialect,
        onError: (error) => {
          if (this.isGone || isTroubled()) return world.log("server", `onError: ${error}`);
          world.fail("server", `onError: ${error instanceof Error ? error.stack : error}`);
        },
        onStreamEnd: ({ reason }) => {
          this.ended++;
          if (reason === "failed" && !isTroubled()) world.fail("server", "a stream failed");
        },
        maxDelay,
        maxIdempotencyKeys,
        idempotencyWindow,
        ...(authorize && { authorize }),
      });
      this.app.route(pathOf(dialect), endpoint);
      return endpoint;
    });
    this.app.onError((error) => {
      world.fail("server", `a request failed: ${error.stack}`);
      return new Response(null, { status: 500 });
    });
  }

  /** The number of open streams. */
  get subscribers(): number {
    return this.#endpoints.reduce((sum, endpoint) => sum + endpoint.stats().subscribers, 0);
  }

  /** The number of open streams, for a check that is made often: 0 from the time on at which it has ended and has none. */
  countSubscribers(): number {
    if (this.#isOver) return 0;
    const count = this.subscribers;
    this.#isOver = this.#isAborted && count === 0;
    return count;
  }

  /** Cuts off all streams. */
  abort(): void {
    this.#isAborted = true;
    for (const endpoint of this.#endpoints) endpoint.abort();
  }

  /** Checks the answer to a request that is no stream. */
  answered(method: string, status: number, key: string | null): void {
    const { now } = this.#world;
    const remembered = [...this.#keys.values()].filter((until) => until >= now).length;
    if (key !== null && status === 202) this.#keys.set(key, now + this.#keyMs);
    const isFull = remembered + this.keysPending > this.#maxKeys;
    const isUnavailable = status === 503 && (this.isClosing || this.#isTroubled() || isFull);
    if (status === (method === "POST" ? 202 : 200) || isUnavailable || this.isGone) return;
    if (method === "GET" && (status === 401 || status === 204)) return;
    this.#world.fail("server", `${method} is answered with ${status}`);
  }
}

/** Returns the path of the endpoint of a dialect. */
export function pathOf(dialect: DialectName): string {
  return dialect === "7.1" ? "/events" : `/tribler/${dialect}/events`;
}
