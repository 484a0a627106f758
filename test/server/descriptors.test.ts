/**
 * A server that has no file descriptor left.
 *
 * @module
 */
import { readdir } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import * as assert from "uvu/assert";
import { running, shellCommand, startProgram, whereItListens } from "../support/children.ts";
import { openWire, until } from "../support/harness.ts";
import { runtimeUnderTest } from "../support/runtimes.ts";
import { suite } from "../support/suite.ts";
import { get, post } from "../attack/attacked.ts";

const test = suite("server: file descriptors");

/** The number of descriptors that the server may have, and of clients, which is more. */
const LIMIT = 80;
const CLIENTS = 120;

const TICK = (text: string) =>
  post(JSON.stringify({ type: "upgrader_tick", event: { text } }), "application/json");
/** A client that may be refused at any time. */
interface Client {
  readonly socket: Socket;
  received(): string;
}

const isOpen = (client: Client) => client.received().includes("events_start");

/** Asks for a stream. Waits until the connection is open, or refused. */
async function openStream(port: number): Promise<Client> {
  const socket = connect(port, "127.0.0.1").on("error", () => {}).setEncoding("utf8");
  let received = "";
  socket.on("data", (text: string) => received += text);
  socket.write(get("/events"));
  await new Promise<void>((resolve) => {
    socket.once("connect", () => resolve());
    socket.once("close", () => resolve());
  });
  return { socket, received: () => received };
}

test("serve refuses the clients for which it has no file descriptor, serves the others, and all again when there is room", async () => {
  const command = `ulimit -n ${LIMIT} && exec ${shellCommand(["serve", "--port", "0"])}`;
  await running(startProgram("sh", ["-c", command]), async (child) => {
    const { port } = await whereItListens(child);
    const reader = await openStream(port);
    const publisher = await openWire(port);
    publisher.write(TICK("before"));
    await until(() => reader.received().includes('"before"'), "an event");

    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => openStream(port)));
    const countDescriptors = async () => (await readdir(`/proc/${child.pid}/fd`)).length;
    await until(async () => await countDescriptors() >= LIMIT - 2, "there is no descriptor left");
    await until(() => clients.filter(isOpen).length >= LIMIT / 4, "some are served");
    publisher.write(TICK("meanwhile"));
    await until(() => reader.received().includes('"meanwhile"'), "an event beside them");
    const hasBoth = (client: Client) => isOpen(client) && client.received().includes('"meanwhile"');
    await until(() => clients.filter(hasBoth).length >= LIMIT / 4, "the same on theirs");
    const served = clients.filter(isOpen).length;
    assert.ok(served < LIMIT, `${served} of ${CLIENTS} are served`);

    for (const { socket } of clients) socket.destroy();
    let late: Client | undefined;
    await until(async () => {
      late = await openStream(port);
      await until(() => isOpen(late!) || late!.socket.destroyed, "an answer");
      return isOpen(late);
    }, "another client is served");
    publisher.write(TICK("after"));
    await until(() => late!.received().includes('"after"'), "an event");
    await until(() => reader.received().includes('"after"'), "the same on the first stream");
    const ids = [...reader.received().matchAll(/"id":"\w+-(\d+)"/g)].map(([, position]) => Number(position));
    assert.equal(ids.slice(1), ids.slice(1).map((_, index) => ids[1]! + index), "no event is missing");
    if (runtimeUnderTest() === "deno") {
      await child.stderr.match(/error cannot accept connections: .*open files.*: it listens again/);
    }
    for (const { socket } of [publisher, reader, late!]) socket.destroy();
    child.signal("SIGTERM");
    assert.is((await child.exit()).code, 0);
  });
});

test.run();
