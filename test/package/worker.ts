/**
 * The Worker of the tests: the example, a plain Worker, a Durable Object with quick heartbeats, and a client.
 *
 * @module
 */
import { wsconnect } from "@nats-io/nats-core";
import { Hono } from "hono";
import * as v from "valibot";
import example from "../../examples/worker.ts";
import { connect } from "../../src/client/mod.ts";
import { createChannel, defineEvents, type EventsEndpoint, eventsEndpoint } from "../../src/mod.ts";
import { natsChannel } from "../../src/nats/mod.ts";

export { Shop } from "../../examples/worker.ts";

const numbers = defineEvents({ number: v.object({ n: v.number() }) });
const HEARTBEAT = 0.4;

/** The bindings of the Worker. */
interface Env {
  readonly SHOP: Namespace;
  readonly FEED: Namespace;
  readonly DURABLE: Namespace;
  /** The address of NATS. */
  readonly NATS: string;
}

interface Namespace {
  idFromName(name: string): unknown;
  get(id: unknown): { fetch(request: Request | string, init?: RequestInit): Promise<Response> };
}

function routes(base: string): Hono {
  const channel = createChannel(numbers);
  const endpoint: EventsEndpoint = eventsEndpoint(channel, { heartbeat: HEARTBEAT });
  const app = new Hono().basePath(base);
  app.route("/events", endpoint);
  app.get("/stats", (c) => {
    const { subscribers, formats } = endpoint.stats();
    const ended = Object.values(formats).map(({ ended }) => ended);
    return c.json({ subscribers, readers: channel.stats().readers, ended });
  });
  return app;
}

/** The part of the state of a Durable Object that is used here. */
interface ObjectState {
  abort(reason: string): void;
  blockConcurrencyWhile<T>(start: () => Promise<T>): Promise<T>;
}

/** The Durable Object of the tests. */
export class Feed {
  readonly #app = routes("/feed");
  readonly #state: ObjectState;

  constructor(state: ObjectState) {
    this.#state = state;
  }

  /** Answers a request that the Worker passes on. */
  fetch(request: Request): Response | Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/feed/restart") this.#state.abort("restart");
    return pathname.startsWith("/plain/") ? plain.fetch(request) : this.#app.fetch(request);
  }
}

/** Made before the first request, and shared by all: what does not fit Workers. */
const plain = routes("/plain");

/** A Durable Object whose channel outlives it. */
export class Durable {
  readonly #app: Promise<Hono>;

  constructor(state: ObjectState, env: Env) {
    this.#app = state.blockConcurrencyWhile(async () => {
      const connection = await wsconnect({ servers: env.NATS });
      const channel = await natsChannel(connection, numbers, { stream: "NUMBERS" });
      const app = new Hono().basePath("/durable");
      app.route("/events", eventsEndpoint(channel, { heartbeat: HEARTBEAT }));
      app.get("/restart", () => state.abort("restart") as never);
      return app;
    });
  }

  /** Answers a request that the Worker passes on. */
  async fetch(request: Request): Promise<Response> {
    return await (await this.#app).fetch(request);
  }
}

/** Streams a channel that belongs to one request alone, and publishes to it for some time. */
async function own(request: Request): Promise<Response> {
  const channel = createChannel(numbers);
  const response = await eventsEndpoint(channel).fetch(new Request(new URL("/", request.url)));
  void (async () => {
    for (let n = 1; n <= 3; n++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      channel.publish("number", { n });
    }
    channel.close();
  })();
  return response;
}

/** Reads as many events of a stream as `count`, and answers with them and the statuses in between. */
async function follow(from: URL, env: Env): Promise<Response> {
  const { searchParams } = from;
  const events: unknown[] = [];
  const statuses: string[] = [];
  const stub = env.FEED.get(env.FEED.idFromName("main"));
  const connection = connect(searchParams.get("url")!, {
    catalogue: numbers,
    since: "earliest",
    headers: { Accept: searchParams.get("accept")! },
    reconnect: { min: 0.01, maxAttempts: 5 },
    onStatus: (status) => statuses.push(status.type === "lost" ? status.cause.code : status.type),
    ...(searchParams.has("stub") && { fetch: (url: string, init: RequestInit) => stub.fetch(url, init) }),
  });
  try {
    for await (const event of connection) {
      if (events.push(event) >= Number(searchParams.get("count"))) break;
    }
  } catch (error) {
    statuses.push(String(error));
  }
  return Response.json({ events, statuses });
}

/** The Worker of the tests. */
export default {
  fetch(request: Request, env: Env): Response | Promise<Response> {
    const url = new URL(request.url);
    const object = url.searchParams.get("object");
    if (object !== null) return env.FEED.get(env.FEED.idFromName(object)).fetch(request);
    if (url.pathname === "/follow") return follow(url, env);
    if (url.pathname === "/own") return own(request);
    if (url.pathname.startsWith("/plain/")) return plain.fetch(request);
    if (url.pathname.startsWith("/durable/")) {
      return env.DURABLE.get(env.DURABLE.idFromName("main")).fetch(request);
    }
    if (url.pathname.startsWith("/feed/")) return env.FEED.get(env.FEED.idFromName("main")).fetch(request);
    return example.fetch(request, env);
  },
};
