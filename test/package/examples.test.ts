import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { app } from "../../examples/hono_app.ts";
import { type Child, running, startCli, startScript, whereItListens } from "../support/children.ts";
import { findFreePort, linesOf, openLines, within } from "../support/harness.ts";
import { type Reply, scripted, SSE, streams } from "../support/scripted.ts";

const test = suite("examples");

/** Starts an example; on Deno with the permissions of its head comment, for this port instead of its own. */
async function startExample(name: string, args: readonly string[], port: number): Promise<Child> {
  const source = await readFile(new URL(`../../examples/${name}`, import.meta.url), "utf8");
  const [, flags] = new RegExp(`deno run (--.*) examples/${name}`).exec(source) ?? [];
  if (flags === undefined) throw new Error(`${name} does not say what it needs on Deno`);
  const permissions = flags.replace(/(127\.0\.0\.1):\d+/, `$1:${port}`).split(" ");
  return startScript(`examples/${name}`, args, { permissions });
}

test("server.ts streams the state of Tribler, and then an event from time to time", async () => {
  await running(await startExample("server.ts", ["0"], 0), async (child) => {
    const { url } = await whereItListens(child);
    const lines = await openLines(`${url}/events`);
    const [start, first, second] = await within(lines.events(3), "three events");
    assert.is(start?.type, "events_start");
    assert.equal(start?.event, { tribler_started: true, version: "7.1.5", heartbeat: 5 });
    for (const finished of [first, second]) {
      assert.is(finished?.type, "torrent_finished");
      assert.match(finished?.event.infohash, /^[0-9a-f]{40}$/);
    }
    assert.is.not(first?.event.infohash, second?.event.infohash);
    await lines.close();
    const page = await within(fetch(url), "the page");
    assert.match(await page.text(), /\/events/);
    assert.equal(child.stderr.lines, []);
  });
});

function order(body: string): RequestInit {
  return { method: "POST", headers: { "Content-Type": "application/json" }, body };
}

test("hono_app.ts accepts orders and streams them", async () => {
  await running(await startExample("hono_app.ts", ["0"], 0), async (child) => {
    const { url } = await whereItListens(child);
    const lines = await openLines(`${url}/events`);
    assert.equal((await lines.event()).event, { heartbeat: 5 });
    const placed = { id: "o-1", total: 42 };
    const response = await within(fetch(`${url}/orders`, order(JSON.stringify(placed))), "the order");
    assert.is(response.status, 201);
    const { id, type, event } = await within(lines.event(), "the order on the stream");
    assert.equal({ type, event }, { type: "order_placed", event: placed });
    assert.equal(await response.json(), { event: id });
    assert.equal(await (await within(fetch(`${url}/orders`), "the orders")).json(), [placed]);
    await lines.close();
    assert.equal(child.stderr.lines, []);
  });
});

test("hono_app.ts rejects what is no order, and any POST of events", async () => {
  assert.is((await app.request("/")).status, 200);
  for (const body of ['{"id":"o-2"}', '{"id":"o-2","total":-1}', "null", "[]", "{", ""]) {
    const response = await app.request("/orders", order(body));
    assert.is(response.status, 400, body);
    assert.type((await response.json()).error, "string");
  }
  const published = await app.request("/events", order('{"type":"shop_closed"}'));
  assert.is(published.status, 405);
  assert.equal(await (await app.request("/orders")).json(), []);
  const kept = await app.request("/events?since=earliest&follow=false");
  assert.equal((await linesOf(kept.body!).rest()).map(({ type }) => type), ["events_start"]);
});

test("hub.ts serves its events, page, metrics, OpenAPI and health", async () => {
  await running(await startExample("hub.ts", ["0"], 0), async (child) => {
    const { url } = await whereItListens(child);
    const text = async (path: string, init?: RequestInit) =>
      await (await within(fetch(`${url}${path}`, init), path)).text();
    await text("/events", order('{"type":"order_placed","event":{"id":"o-1","total":42}}'));
    assert.match(await text("/"), '<meta name="events" content="/events">');
    assert.match(await text("/metrics"), 'published_events_total{type="order_placed"} 1');
    assert.is(JSON.parse(await text("/openapi.json")).info.title, "A shop");
    assert.is(await text("/healthz"), '{"status":"serving"}');
    assert.equal(child.stderr.lines, []);
  });
});

const OK = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n";

/** Writes the bytes in portions so small that every line and every character is split. */
async function dribble(socket: Socket, text: string, write: (bytes: Uint8Array) => void): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += 7) {
    write(bytes.subarray(at, at + 7));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await new Promise<void>((resolve) => socket.write("", () => resolve()));
}

/** A response in chunks that is cut before its last one: an error for its reader. */
function cutOff(text: string): Reply {
  return async (socket) => {
    socket.write(`${OK}Transfer-Encoding: chunked\r\n\r\n`);
    await dribble(socket, text, (bytes) => {
      socket.write(`${bytes.length.toString(16)}\r\n`);
      socket.write(bytes);
      socket.write("\r\n");
    });
    socket.destroy();
  };
}

/** A response that ends with the connection: its reader cannot know how much is missing. */
function closed(text: string): Reply {
  return async (socket) => {
    socket.write(`${OK}Connection: close\r\n\r\n`);
    await dribble(socket, text, (bytes) => void socket.write(bytes));
    socket.end();
  };
}

/** A cursor is any string of the server, which the client sends back unchanged. */
function line(type: string, id: string): string {
  return `${JSON.stringify({ type, event: { text: "zwei\nZeilen — 漢字 😀" }, id, time: "" })}\n`;
}

test("consumer.ts joins lines from any chunks, skips heartbeats, and resumes after the last whole line", async () => {
  const unavailable = (socket: Socket) => {
    socket.end("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    return Promise.resolve();
  };
  const answers = [
    unavailable,
    cutOff(
      line("events_start", "é&=") + "\n\n" + line("first", "漢+1") + line("second", "漢+2").slice(0, 40),
    ),
    // Cut in the middle of a number it would still be JSON, and another one.
    closed(line("second", "漢+2") + "\n" + '{"type":"third","id":"漢+3","event":12'),
    closed(line("third", "漢+3") + line("fourth", "😀 4") + line("fifth", "5")),
  ];
  await scripted(answers, async ({ port, requests }) => {
    const args = [`http://127.0.0.1:${port}/events?types=x`, "5"];
    await running(await startExample("consumer.ts", args, port), async (child) => {
      assert.equal(await child.exit(), { code: 0, signal: null });
      assert.equal(child.stdout.lines, [
        "events_start é&=",
        "first 漢+1",
        "second 漢+2",
        "third 漢+3",
        "fourth 😀 4",
      ]);
    });
    assert.equal(requests.map(({ query }) => query.get("since")), [null, null, "漢+1", "漢+2"]);
    assert.equal(requests.map(({ query }) => query.get("types")), ["x", "x", "x", "x"]);
  });
});

test("consumer.ts resumes when the server is up again, and prints its loss", async () => {
  const args = (port: number) => ["serve", "--port", `${port}`];
  await running(startCli(args(await findFreePort())), async (server) => {
    const { url, port } = await whereItListens(server);
    await running(await startExample("consumer.ts", [`${url}/events`], port), async (consumer) => {
      await consumer.stdout.match(/^events_start \S+$/);
      await server.kill();
      await running(startCli(args(port)), async (second) => {
        await whereItListens(second);
        await consumer.stdout.match(/^events_lost \S+-0$/);
        await consumer.stdout.match(/^tribler_started \S+-1$/);
        assert.ok(consumer.stderr.lines.every((line) => line.endsWith("trying again")));
        consumer.signal("SIGINT");
        assert.equal(await consumer.exit(), { code: 0, signal: null });
      });
    });
  });
});

test("consumer.ts ends at SIGINT, also while it waits for its next attempt", async () => {
  const port = await findFreePort();
  await running(
    await startExample("consumer.ts", [`http://127.0.0.1:${port}/events`], port),
    async (child) => {
      await child.stderr.match(/trying again$/);
      child.signal("SIGINT");
      assert.equal(await child.exit(), { code: 0, signal: null });
    },
  );
});

test("consumer.ts exits with 1 when the server rejects the request", async () => {
  await running(startCli(["serve", "--port", "0"]), async (server) => {
    const { url, port } = await whereItListens(server);
    await running(await startExample("consumer.ts", [`${url}/nothing`], port), async (consumer) => {
      assert.equal(await consumer.exit(), { code: 1, signal: null });
      assert.equal(consumer.stdout.lines, []);
      assert.is(consumer.stderr.lines.length, 1);
      assert.match(consumer.stderr.lines[0]!, /NotFound/);
    });
  });
});

test("client.ts resumes when the server is up again, and prints its last cursor at the end", async () => {
  const args = (port: number) => ["serve", "--port", `${port}`];
  const publish = async (url: string, type: string, event?: unknown) => {
    const response = await within(
      fetch(`${url}/events`, order(JSON.stringify({ type, event }))),
      "the answer",
    );
    return (await response.json()).last_id as string;
  };
  const finished = { infohash: "08ada5a7a6183aae1e09d831df6748d566095a10", name: "Sintel" };
  await running(startCli(args(await findFreePort())), async (server) => {
    const { url, port } = await whereItListens(server);
    await running(await startExample("client.ts", [`${url}/events`], port), async (client) => {
      await client.stderr.match(/^connected$/);
      await publish(url, "torrent_finished", finished);
      await client.stdout.match(/^finished: Sintel$/);
      await server.kill();
      await running(startCli(args(port)), async (second) => {
        await whereItListens(second);
        const id = await publish(url, "upgrader_started");
        await client.stdout.match(/^upgrader_started$/);
        client.signal("SIGINT");
        assert.equal(await client.exit(), { code: 0, signal: null });
        const printed = [
          "finished: Sintel",
          "missed: unknown",
          "tribler_started",
          "upgrader_started",
          `last: ${id}`,
        ];
        assert.equal(client.stdout.lines, printed);
        assert.ok(client.stderr.lines.slice(1, -1).every((line) => line.endsWith("trying again")));
        assert.is(client.stderr.lines.at(-1), "going on");
      });
    });
  });
});

test("client.ts reads the events of another release of Tribler", async () => {
  const named = (type: string, payload: unknown) => `event: ${type}\ndata: ${JSON.stringify(payload)}\n\n`;
  const failure = { error: "no space left", traceback: "OSError: no space left\n" };
  const texts = [
    named("events_start", { public_key: "", version: "8.0.7" }),
    named("tribler_exception", failure),
    named("torrent_finished", { infohash: "08ada5a7a6183aae1e09d831df6748d566095a10", name: "Sintel" }),
  ];
  await scripted([streams(SSE, ...texts)], async ({ url, port }) => {
    await running(await startExample("client.ts", [url], port), async (client) => {
      await client.stdout.match(/^finished: Sintel$/);
      assert.match(client.stdout.lines[0]!, /^tribler_exception, .*"error":"no space left"/);
      client.signal("SIGINT");
      assert.equal(await client.exit(), { code: 0, signal: null });
    });
  });
});

test.run();
