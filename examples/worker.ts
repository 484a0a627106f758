/**
 * A shop on Cloudflare Workers: one Durable Object holds the channel and its endpoint, and the Worker passes requests to it.
 * A bundler (wrangler, esbuild) makes one file of it; `examples/wrangler.jsonc` is its configuration.
 *
 *     npx wrangler dev --config examples/wrangler.jsonc
 *
 *     curl -N http://localhost:8787/events
 *     curl -H 'Content-Type: application/json' -d '{"id": "o-1", "total": 42}' http://localhost:8787/orders
 *
 * @module
 */
import { Hono } from "hono";
import * as v from "valibot";
// In a project of your own: from "events-endpoint".
import { createChannel, defineEvents, eventsEndpoint, EventsError } from "../src/mod.ts";

const order = v.object({ id: v.string(), total: v.pipe(v.number(), v.minValue(0)) });
const shop = defineEvents({ order_placed: order, shop_closed: null });

/** The Durable Object. Its requests share their I/O; those of a Worker do not. */
export class Shop {
  readonly #app = new Hono();

  constructor() {
    const channel = createChannel(shop);
    const endpoint = eventsEndpoint(channel, { publish: false });
    this.#app.route("/events", endpoint);
    this.#app.get("/stats", (c) => c.json({ channel: channel.stats(), endpoint: endpoint.stats() }));
    this.#app.post("/orders", async (c) => {
      const id = channel.publish("order_placed", await c.req.json()); // Throws where the order does not fit its schema.
      return c.json({ event: id }, 201);
    });
    this.#app.onError((error, c) => {
      if (error instanceof SyntaxError) return c.json({ error: "the body is not JSON" }, 400);
      if (error instanceof EventsError) return c.json({ error: error.message, faults: error.issues }, 400);
      console.error(error);
      return c.json({ error: "something went wrong" }, 500);
    });
  }

  /** Answers a request that the Worker passes on. */
  fetch(request: Request): Response | Promise<Response> {
    return this.#app.fetch(request);
  }
}

/** The bindings of the Worker. In a project of your own `wrangler types` writes their types. */
interface Env {
  readonly SHOP: {
    idFromName(name: string): unknown;
    get(id: unknown): { fetch(request: Request): Promise<Response> };
  };
}

/** The Worker. */
export default {
  fetch: (request: Request, { SHOP }: Env): Promise<Response> =>
    SHOP.get(SHOP.idFromName("main")).fetch(request),
};
