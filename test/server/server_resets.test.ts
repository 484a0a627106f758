import { Hono } from "hono";
import * as assert from "uvu/assert";
import { eventsEndpoint } from "../../src/mod.ts";
import { createSession } from "../../src/tribler/mod.ts";
import { openLines, openWire, serving, timersLeftBy, until, type Wire, within } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { endsWell, exceptions, GET, post, told, withServer } from "./server_process.ts";

const test = suite("server: resets");

test("200 streams that are reset leave the server able to serve", async () => {
  await withServer([], async ({ url, port, child }) => {
    await openAndReset(port, () => post(url, exceptions(1, 100_000)));
    const lines = await openLines(`${url}/events`);
    await told(lines, "events_start");
    await post(url, exceptions(1));
    assert.equal((await told(lines, "tribler_exception")).event, { text: "0" });
    await lines.close();
    assert.is((await within(fetch(`${url}/healthz`), "/healthz")).status, 200);
    child.signal("SIGTERM");
    await endsWell(child);
  });
});

test("200 streams that are reset leave no subscriber, no reader and no timer", async () => {
  const session = createSession({ version: "7.1.5" });
  const endpoint = eventsEndpoint(session);
  const app = new Hono().route("/events", endpoint);
  let most = 0;
  const left = await timersLeftBy(() =>
    serving(app, async (_, port) => {
      await openAndReset(port, () => {
        most = endpoint.stats().subscribers;
        session.emit("tribler_exception", { text: "x".repeat(100_000) });
        return Promise.resolve();
      });
      await until(() => endpoint.stats().subscribers === 0, "no subscriber is left");
      await until(() => session.channel.stats().readers === 0, "no reader is left");
    })
  );
  assert.ok(most >= 133, `${most} were subscribed at once`);
  assert.is(left, 0, "timers left");
});

/** Opens 200 streams; a third leaves before the answer, the others after `publish`, most of them by a reset. */
async function openAndReset(port: number, publish: () => Promise<unknown>): Promise<void> {
  const wires = await Promise.all(Array.from({ length: 200 }, () => openWire(port)));
  const early = wires.filter((_, n) => n % 3 === 0);
  const others = wires.filter((_, n) => n % 3 !== 0);
  for (const wire of wires) wire.write(GET);
  early.forEach(reset);
  await until(() => others.every((wire) => wire.received().includes("events_start")), "the streams are open");
  others.filter((_, n) => n % 2 === 0).forEach(({ socket }) => socket.pause());
  await publish();
  others.forEach(reset);
}

function reset({ socket }: Wire, n: number): void {
  // Not every runtime has it for a socket of `connect()`.
  if (n % 4 !== 0 && typeof socket.resetAndDestroy === "function") socket.resetAndDestroy();
  else socket.destroy();
}

test.run();
