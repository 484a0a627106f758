/**
 * Each runtime's own yardstick: one bare `new Response(stream)` per subscriber, and one
 * `controller.enqueue()` of shared bytes. On Node behind @hono/node-server, on Deno and Bun behind their own
 * servers.
 */
import { takePlans } from "./control.ts";
import { dictionary, START_LINE, type Tick } from "./event.ts";

type Controller = ReadableStreamDefaultController<Uint8Array>;
type Handler = (request: Request) => Response;

/** What we use of the runtimes' globals. */
interface Runtimes {
  Bun?: {
    serve(options: { hostname: string; port: number; idleTimeout: number; fetch: Handler }): { port: number };
  };
  Deno?: {
    serve(options: { hostname: string; port: number; onListen(): void }, handler: Handler): {
      addr: { port: number };
    };
  };
}

const encoder = new TextEncoder();
const startLine = encoder.encode(START_LINE);
const subscribers = new Set<Controller>();

function answer(): Response {
  let own: Controller;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      own = controller;
      controller.enqueue(startLine);
      subscribers.add(controller);
    },
    cancel() {
      subscribers.delete(own);
    },
  });
  return new Response(body, { headers: { "Content-Type": "application/x-ndjson" } });
}

function publish(tick: Tick): void {
  const line = encoder.encode(dictionary(tick) + "\n");
  for (const controller of subscribers) controller.enqueue(line);
}

async function listen(): Promise<number> {
  const { Bun, Deno } = globalThis as unknown as Runtimes;
  if (Bun) return Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 0, fetch: answer }).port;
  if (Deno) return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer).addr.port;
  const { serve } = await import("@hono/node-server");
  return await new Promise((resolve) => {
    serve({ fetch: answer, hostname: "127.0.0.1", port: 0 }, ({ port }) => resolve(port));
  });
}

takePlans(await listen(), publish);
