/** better-sse: `channel.broadcast()` over its `node:http` sessions. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { takePlans } from "./control.ts";
import { idOf, type Tick } from "./event.ts";

/** What we use of it. It is installed for the bench alone, so the project's type check must do without it. */
interface BetterSse {
  createSession(request: IncomingMessage, response: ServerResponse): Promise<object>;
  createChannel(): {
    register(session: object): void;
    broadcast(data: unknown, eventName: string, options: { eventId: string }): void;
  };
}

const name = "better-sse";
const { createChannel, createSession }: BetterSse = await import(name);
const channel = createChannel();

const server = createServer((request, response) => {
  void createSession(request, response).then((session) => channel.register(session));
});

function publish(tick: Tick): void {
  const id = idOf(tick.n);
  channel.broadcast({ type: "tick", event: tick, id, time: new Date().toISOString() }, "tick", {
    eventId: id,
  });
}

server.listen(0, "127.0.0.1", () => takePlans((server.address() as AddressInfo).port, publish));
