import { Hono } from "hono";
import * as assert from "uvu/assert";
import { eventsEndpoint } from "../../src/mod.ts";
import { createSession } from "../../src/tribler/mod.ts";
import { openLines, openWire, serving, timersLeftBy, until, type Wire, within } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { exceptions, exitsCleanly, GET, nextEvent, post, withServer } from "./server_process.ts";

const test = suite("server: resets");

test("serve continues after 200 streams were reset", async () => {
  await withServer([], async ({ url, port, child }) => {
    await openAndReset(port, () => post(url, exceptions(1, 100_000)));
    const lines = await openLines(`${url}/events`);
    await nextEvent(lines, "events_start");
    await post(url, exceptions(1));
    assert.equal((await nextEvent(lines, "tribler_exception")).event, { text: "0" });
    await lines.close();
    assert.is((await within(fetch(`${url}/healthz`), "/healthz")).status, 200);
    child.signal("SIGTERM");
    await exitsCleanly(child);
  });
});

test("eventsEndpoint() keeps no subscriber, reader or timer when 200 streams were reset", async () => {
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
