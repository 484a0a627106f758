/**
 * The server of a simulation: a channel, an endpoint and the application around them, and what they may not do.
 *
 * @module
 */
import { Hono } from "hono";
import * as v from "valibot";
import { createChannel, defineEvents, eventsEndpoint, type MemoryChannel } from "../../src/mod.ts";
import type { Published, Truth } from "./account.ts";
import { type Plan, TYPES } from "./plan.ts";
import type { World } from "./world.ts";

/** The payload of every event. */
type Payload = v.GenericSchema<{ n: number; padding?: string | undefined }>;

const payload: Payload = v.object({ n: v.number(), padding: v.optional(v.string()) });
const catalogue = defineEvents(
  Object.fromEntries(TYPES.map((type) => [type, payload])) as Record<typeof TYPES[number], Payload>,
);

type SimulatedChannel = MemoryChannel<Record<typeof TYPES[number], Payload>>;

/** One endpoint, over a channel that may have had others. */
export class Server {
  readonly channel: SimulatedChannel;
  readonly endpoint: Pick<ReturnType<typeof eventsEndpoint>, "stats" | "abort">;
  readonly app: Hono = new Hono();
  /** The number of streams of which the end was reported. */
  ended = 0;
  readonly #world: World;

  constructor(world: World, truth: Truth, plan: Plan, channel: SimulatedChannel = openChannel(truth, plan)) {
    this.#world = world;
    this.channel = channel;
    const users = plan.hasUsers ? { authorize: (c: Asked) => authorize(world, truth, plan, c) } : {};
    const endpoint = eventsEndpoint(channel, {
      heartbeat: plan.heartbeat,
      onError: (error) => world.fail("server", `onError: ${error instanceof Error ? error.stack : error}`),
      onStreamEnd: ({ reason }) => {
        this.ended++;
        if (reason === "failed") world.fail("server", "a stream failed");
      },
      ...users,
    });
    this.endpoint = endpoint;
    this.app.route("/events", endpoint);
    this.app.onError((error) => {
      world.fail("server", `a request failed: ${error.stack}`);
      return new Response(null, { status: 500 });
    });
  }

  /** Checks the answer to a POST. */
  answered(status: number): void {
    if (status !== 202 && !(status === 503 && this.channel.closed)) {
      this.#world.fail("server", `POST is answered with ${status}`);
    }
  }
}

interface Asked {
  readonly req: { header(name: string): string | undefined };
}

/** Answers with the right of a user, as it was when that was asked. */
async function authorize(world: World, truth: Truth, { authorizeMs }: Plan, c: Asked) {
  const user = c.req.header("X-User");
  if (user === undefined) return true;
  const right = truth.rightOf(user);
  if (authorizeMs > 0) await world.sleep(authorizeMs);
  if (right === undefined) return false;
  const { types, subjects } = right;
  if (types?.length === 1) return { types, ...(subjects && { subjects }) };
  const filter = (event: { readonly type: string }) => types!.includes(event.type);
  return { ...(subjects && { subjects }), ...(types && { filter }) };
}

/** Makes a channel whose events are recorded. */
function openChannel(truth: Truth, { history, ageSeconds }: Plan): SimulatedChannel {
  const keep = ageSeconds === undefined ? {} : { keep: { age: ageSeconds } };
  const channel: SimulatedChannel = createChannel(catalogue, { history: { events: history }, ...keep });
  const events: Published[] = [];
  truth.epochs.set(channel.epoch, {
    name: channel.epoch,
    events,
    keeps: history,
    ages: ageSeconds !== undefined,
  });
  const { publishBatch } = channel;
  channel.publishBatch = (drafts, key) => {
    const ids = publishBatch(drafts, key);
    for (const draft of drafts as readonly { type: string; subject?: string; event: { n: number } }[]) {
      events.push({ n: draft.event.n, type: draft.type, subject: draft.subject });
    }
    const last = `${channel.epoch}-${events.length}`;
    if (ids.at(-1) !== last) {
      truth.world.fail("channel", `publishBatch() returned ${ids.at(-1)}, not ${last}`);
    }
    return ids;
  };
  return channel;
}
