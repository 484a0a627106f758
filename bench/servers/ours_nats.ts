/**
 * This project on NATS. This process publishes, as another server would, and what is measured gets its events by the
 * stream alone. How fast a channel publishes is measured elsewhere; here NATS and the readers need the core as well, so
 * this is no client of it, but writes its protocol by hand.
 *
 * The argument names the stream. With `stored` the server stands still until that has all events of a plan: then neither
 * this process nor what NATS does to take them is part of what is measured.
 */
import { once } from "node:events";
import { connect } from "node:net";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Child } from "../child.ts";
import { takePlans } from "./control.ts";
import type { Tick } from "./event.ts";

const stream = process.argv[2]!;
const file = fileURLToPath(new URL("ours_on_nats.ts", import.meta.url));
const server = new Child("ours_on_nats", [process.execPath, ...process.execArgv, file, stream], "server");
const { port } = await server.next<{ port: number }>(20);

const nats = new URL(process.env["BENCH_NATS"]!);
const socket = connect({ host: nats.hostname, port: Number(nats.port) });
await once(socket, "connect");
socket.write('CONNECT {"verbose":false}\r\n');
let onPong = () => {};
socket.setEncoding("latin1").on("data", (said: string) => {
  if (said.includes("PING")) socket.write("PONG\r\n"); // It asks whether there is still somebody here.
  if (said.includes("PONG")) onPong();
});

let turn = "";
function publish(event: Tick): void {
  const data = JSON.stringify({ type: "tick", event });
  // What is published in one turn of the event loop goes out together; all of it is ASCII.
  if (turn === "") {
    queueMicrotask(() => {
      socket.write(turn, "latin1");
      turn = "";
    });
  }
  turn += `PUB ${stream}.tick ${data.length}\r\n${data}\r\n`;
}

const standingStill = {
  hold: () => void process.kill(server.pid, "SIGSTOP"),
  release: async () => {
    const taken = new Promise<void>((resolve) => onPong = resolve);
    socket.write("PING\r\n");
    await taken;
    process.kill(server.pid, "SIGCONT");
  },
};
takePlans(port, publish, { pid: server.pid, ...(stream === "stored" && standingStill) });
