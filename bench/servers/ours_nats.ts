/**
 * This project on NATS. This process publishes, as another server would, and what is measured gets its events by the
 * stream alone. How fast a channel publishes is measured elsewhere; here NATS and the readers need the core as well, so
 * this is no client of it, but writes its protocol by hand.
 */
import { once } from "node:events";
import { connect } from "node:net";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Child } from "../child.ts";
import { takePlans } from "./control.ts";

const file = fileURLToPath(new URL("ours_on_nats.ts", import.meta.url));
const server = new Child("ours_on_nats", [process.execPath, ...process.execArgv, file], "server");
const { port } = await server.next<{ port: number }>(20);

const nats = new URL(process.env["BENCH_NATS"]!);
const socket = connect({ host: nats.hostname, port: Number(nats.port) });
await once(socket, "connect");
socket.write('CONNECT {"verbose":false}\r\n');
// It is asked whether there is still somebody here.
socket.on("data", (data: Uint8Array) => void (data.includes(0x50) && socket.write("PONG\r\n")));

let turn = "";
takePlans(port, (event) => {
  const data = JSON.stringify({ type: "tick", event });
  // What is published in one turn of the event loop goes out together; all of it is ASCII.
  if (turn === "") {
    queueMicrotask(() => {
      socket.write(turn, "latin1");
      turn = "";
    });
  }
  turn += `PUB fanout.tick ${data.length}\r\n${data}\r\n`;
}, server.pid);
