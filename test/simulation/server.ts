/**
 * The server of a simulation: a channel, its endpoints and the application around them, and what they may not do.
 *
 * @module
 */
import { Hono } from "hono";
import { eventsEndpoint } from "../../src/mod.ts";
import type { Truth } from "./account.ts";
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
  /** Whether its storage may reject something at the moment. */
  readonly #isTroubled: () => boolean;
  readonly #endpoints: readonly Pick<ReturnType<typeof eventsEndpoint>, "stats" | "abort">[];
  readonly #world: World;

  constructor(world: World, truth: Truth, plan: Plan, channel: SimulatedChannel, isTroubled: () => boolean) {
    this.#world = world;
    this.#isTroubled = isTroubled;
    this.channel = channel;
    this.heldFrom = plan.channel === "memory" ? 0 : channel.last;
    const users = plan.hasUsers ? { authorize: (c: Asked) => authorize(world, truth, plan, c) } : {};
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
        ...users,
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

  /** Cuts off all streams. */
  abort(): void {
    for (const endpoint of this.#endpoints) endpoint.abort();
  }

  /** Checks the answer to a request that is no stream. */
  answered(method: string, status: number): void {
    const isUnavailable = status === 503 && (this.isClosing || this.#isTroubled());
    if (status === (method === "POST" ? 202 : 200) || isUnavailable || this.isGone) return;
    if (method === "GET" && (status === 401 || status === 204)) return;
    this.#world.fail("server", `${method} is answered with ${status}`);
  }
}

/** Returns the path of the endpoint of a dialect. */
export function pathOf(dialect: DialectName): string {
  return dialect === "7.1" ? "/events" : `/tribler/${dialect}/events`;
}

interface Asked {
  readonly req: { header(name: string): string | undefined };
}

/** Answers with the right of a user, as it was when that was asked. */
async function authorize(world: World, truth: Truth, { authorizeMs }: Plan, c: Asked) {
  const user = c.req.header("X-User");
  if (user === undefined) return true;
  const right = truth.rightOf(user);
  const expiresAt = truth.expiryOf(user);
  if (authorizeMs > 0) await world.sleep(authorizeMs);
  if (right === undefined) return false;
  const { types, subjects } = right;
  const rest = { ...(subjects && { subjects }), ...(expiresAt !== undefined && { expiresAt }) };
  if (types?.length === 1) return { types, ...rest };
  const filter = (event: { readonly type: string }) => types!.includes(event.type);
  return { ...rest, ...(types && { filter }) };
}
