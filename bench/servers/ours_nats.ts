/**
 * This project on NATS. This process publishes, as another server would, and what is measured gets its events by the
 * stream alone. How fast a channel publishes is measured elsewhere.
 */
import { connect } from "@nats-io/transport-node";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Child } from "../child.ts";
import { takePlans } from "./control.ts";

const file = fileURLToPath(new URL("ours_on_nats.ts", import.meta.url));
const server = new Child("ours_on_nats", [process.execPath, ...process.execArgv, file], "server");
const { port } = await server.next<{ port: number }>(20);
const connection = await connect({ servers: process.env["BENCH_NATS"]! });
takePlans(
  port,
  (event) => connection.publish("fanout.tick", JSON.stringify({ type: "tick", event })),
  server.pid,
);
