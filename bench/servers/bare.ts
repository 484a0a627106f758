/**
 * Each runtime's own yardstick: one bare `new Response(stream)` per subscriber, and one
 * `controller.enqueue()` of shared bytes. On Node behind @hono/node-server, on Deno and Bun behind their own
 * servers.
 */
import { takePlans } from "./control.ts";
import { dictionary, START_LINE, type Tick } from "./event.ts";
import { listen } from "./listen.ts";

type Controller = ReadableStreamDefaultController<Uint8Array>;
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

takePlans(await listen(answer), publish);
