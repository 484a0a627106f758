/**
 * What every release of every runtime has to do: serve, accept, replay, stream and stop.
 *
 * @module
 */
import * as assert from "uvu/assert";
import { running, startCli, whereItListens } from "../support/children.ts";
import { openWire, until, type Wire, within } from "../support/harness.ts";
import { type Answer, readAnswers } from "../support/http_wire.ts";
import { suite } from "../support/suite.ts";

const test = suite("smoke");

const FINISHED = { type: "torrent_finished", event: { infohash: "0".repeat(40), name: "x", hidden: false } };

async function publish(url: string, type: string, event: unknown): Promise<void> {
  const response = await within(
    fetch(`${url}/events`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ type, event }),
    }),
    "the answer to a POST",
  );
  assert.is(response.status, 202, await response.text());
}

/** Waits until this many whole answers have come on a wire. */
function answersOn(wire: Wire, count: number): Promise<void> {
  const whole = () => readAnswers(wire.bytes(), false).filter(({ isWhole }) => isWhole);
  return until(() => whole().length >= count, `${count} answers have come`);
}

const typesIn = ({ body }: Answer) =>
  new TextDecoder().decode(body).trimEnd().split("\n").map((line) => JSON.parse(line).type);

test("serve replays in order, streams live and stops on SIGTERM", async () => {
  await running(startCli(["serve", "--port", "0", "--host", "127.0.0.1"]), async (child) => {
    const { url, port } = await whereItListens(child);
    for (let n = 0; n < 2; n++) await publish(url, "upgrader_tick", { text: "x".repeat(700_000) });
    for (let n = 0; n < 2; n++) await publish(url, FINISHED.type, FINISHED.event);

    const replay = await openWire(port);
    for (const [index, types] of ["torrent_finished", "upgrader_*"].entries()) {
      const path = `/events?since=earliest&follow=false&types=${types}`;
      replay.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      await answersOn(replay, index + 1); // Bun 1.4 forgets a large answer to a request that came before the last one's end.
    }
    const [finished, ticks] = readAnswers(replay.bytes(), false) as [Answer, Answer];
    assert.equal(typesIn(finished), ["events_start", FINISHED.type, FINISHED.type]);
    assert.equal(typesIn(ticks), ["events_start", "upgrader_tick", "upgrader_tick"]);
    replay.socket.destroy();

    const live = await openWire(port);
    live.write("GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n");
    await until(() => live.received().includes("event: events_start\n"), "the stream has begun");
    await publish(url, "upgrader_tick", { text: "live" });
    await until(() => /\ndata: \{.*"text":"live"/.test(live.received()), "the event has come");

    child.signal("SIGTERM");
    await within(live.closed, "the end of the stream");
    assert.ok(live.received().endsWith("\r\n0\r\n\r\n"), "the response has its end");
    assert.equal(await child.exit(), { code: 0, signal: null });
    assert.equal(child.stderr.lines, []);
  });
});

test.run();
