/** The yardstick: `node:http`, and one `res.write()` of a shared buffer per subscriber. */
import { Buffer } from "node:buffer";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { takePlans } from "./control.ts";
import { dictionary, START_LINE, type Tick } from "./event.ts";

const subscribers = new Set<ServerResponse>();

const server = createServer((_request, response) => {
  response.writeHead(200, { "Content-Type": "application/x-ndjson" });
  response.write(START_LINE);
  subscribers.add(response);
  response.on("close", () => subscribers.delete(response));
});

function publish(tick: Tick): void {
  const line = Buffer.from(dictionary(tick) + "\n");
  for (const response of subscribers) response.write(line);
}

server.listen(0, "127.0.0.1", () => takePlans((server.address() as AddressInfo).port, publish));
