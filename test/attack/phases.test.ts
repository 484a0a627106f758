import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { bytes, exchange, get, post, reset, underAttack } from "./attacked.ts";
import { openWire, until, type Wire, within } from "../support/harness.ts";

const test = suite("attack: phases");

const BODY = JSON.stringify({ type: "upgrader_tick", event: { text: "half" } });
const GOOD: readonly (readonly [name: string, bytes: Uint8Array])[] = [
  ["GET", get("/events?follow=false", "Accept: text/event-stream")],
  ["POST", post(BODY, "application/json")],
  [
    "POST in chunks",
    bytes(
      "POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
      `${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`,
    ),
  ],
];
/** The length in bytes of what follows the last chunk; Bun does not wait for it. */
const SPARE_BYTES = 5;
/** The number of connections that do the same at a time. */
const CROWD = 30;

const turn = () => new Promise((resolve) => setTimeout(resolve));

function crowd(port: number): Promise<Wire[]> {
  return Promise.all(Array.from({ length: CROWD }, () => openWire(port)));
}

async function disconnect(wires: readonly Wire[], how: (wire: Wire) => void): Promise<void> {
  wires.forEach(how);
  await within(Promise.all(wires.map(({ closed }) => closed)), "the connections to be closed");
}

for (const then of ["end", "reset"] as const) {
  test(`serve ignores a request that ends before its last byte: ${then}`, async () => {
    await underAttack(async ({ strike }) => {
      for (const [name, request] of GOOD) {
        for (let length = 0; length < request.length; length++) {
          try {
            await strike({
              name,
              bytes: request.subarray(0, length),
              by: "any",
              then,
              accepts: length < request.length - SPARE_BYTES ? 0 : 1,
            });
          } catch (error) {
            throw new Error(`${name}, ${length} bytes of it: ${(error as Error).message}`);
          }
        }
      }
    });
  });
}

test("serve answers a request that comes byte by byte", async () => {
  await underAttack(async ({ port, settle }) => {
    for (const [name, request] of GOOD) {
      const wire = await openWire(port);
      wire.socket.setNoDelay(true);
      for (const byte of request) {
        await new Promise<void>((resolve) => wire.socket.write(Uint8Array.of(byte), () => resolve()));
      }
      await until(() => /^HTTP\/1\.1 20[02] /.test(wire.received()), `the ${name} is answered`);
      wire.socket.destroy();
      await settle(name === "GET" ? 0 : 1);
    }
  });
});

test("serve answers others while half requests wait, and keeps nothing of those that disconnect", async () => {
  await underAttack(async ({ port, settle }) => {
    const halves = GOOD.flatMap(([, request]) =>
      [1, 20, 60, request.length - 60, request.length - SPARE_BYTES - 1].map((end) =>
        request.subarray(0, end)
      )
    );
    const wires: Wire[] = [];
    for (const half of halves) {
      for (const wire of await crowd(port)) {
        wire.write(half);
        wires.push(wire);
      }
      await settle(0);
    }
    await disconnect(wires.filter((_, index) => index % 2 === 0), ({ socket }) => void socket.destroy());
    await settle(0);
    await disconnect(wires.filter((_, index) => index % 2 === 1), reset);
    await settle(0);
  });
});

test("serve delivers to others while some stall, and ends the streams of those that reset", async () => {
  await underAttack(async ({ port, streams, flood, settle }) => {
    await flood(2_000, 1_000);
    for (
      const target of [
        "/events",
        "/events?since=earliest",
        "/events?format=sse&since=earliest",
        "/events?types=torrent_*&since=earliest",
      ]
    ) {
      const wires = await crowd(port);
      for (const { socket, write } of wires) {
        socket.pause();
        write(get(target));
      }
      await until(() => streams() === CROWD, "they are subscribed");
      await flood(1_000, 1_000);
      await disconnect(wires, reset);
      await until(() => streams() === 0, "their streams have ended");
      await settle(0);
    }
  });
});

test("serve keeps nothing of connections that reset in any phase of their request", async () => {
  const phases: readonly (readonly [name: string, (wire: Wire) => Promise<unknown> | void])[] = [
    ["at once", () => {}],
    ["with its request", ({ write }) => write(get("/events"))],
    ["a turn after its request", ({ write }) => (write(get("/events")), turn())],
    ["at the first bytes", (wire) => {
      wire.write(get("/events?since=earliest"));
      return until(() => wire.received() !== "", "the first bytes");
    }],
    ["in the midst of a replay", (wire) => {
      wire.write(get("/events?format=sse&since=earliest"));
      return until(() => wire.received().length > 100_000, "some of a replay");
    }],
    [
      "with more requests behind a stream",
      ({ write }) => write(bytes(get("/events"), get("/events"), get("/events"))),
    ],
    [
      "with the head of a POST",
      ({ write }) => write(post(BODY, "application/json").subarray(0, -BODY.length)),
    ],
    [
      "in the midst of a large body",
      ({ write }) => (write(post("x".repeat(900_000), "application/json").subarray(0, 500_000)), turn()),
    ],
  ];
  await underAttack(async ({ port, streams, flood, settle }) => {
    await flood(1_000, 1_000);
    for (const [name, act] of phases) {
      const wires = await crowd(port);
      await Promise.all(wires.map(act));
      await disconnect(wires, reset);
      await until(() => streams() === 0, `the streams of those that reset ${name} have ended`);
      await settle(0);
    }
  });
});

/** The number of streams that may be open for a crowd of {@linkcode CROWD}. */
const MAX_STREAMS = 10;

test("serve --max-connections limits the open streams when a crowd connects and disconnects", async () => {
  await underAttack(async ({ port, streams, settle }) => {
    for (const target of ["/events", "/events?format=sse", "/events?since=earliest"]) {
      const wires = await crowd(port);
      for (const { write } of wires) write(get(target));
      const isAnswered = (wire: Wire) =>
        /events_start|TooManyConnections|\nretry: \d{4,5}\n/.test(wire.received());
      await until(() => wires.every(isAnswered), "all have a response");
      assert.is(streams(), MAX_STREAMS);
      const [open, rejected] = [true, false].map((isOpen) =>
        wires.filter((wire) => wire.received().includes("events_start") === isOpen)
      ) as [Wire[], Wire[]];
      assert.is(open.length, MAX_STREAMS);
      for (const wire of rejected) {
        if (target.includes("sse")) assert.match(wire.received(), /^HTTP\/1\.1 200 /);
        else assert.match(wire.received(), /^HTTP\/1\.1 503 [^]*^retry-after: \d+\r$/im);
        wire.write(get(target)); // Once more on the same connection, while all streams are open.
      }
      await disconnect(open.slice(MAX_STREAMS / 2), reset);
      await until(() => streams() >= MAX_STREAMS / 2, "the others keep theirs");
      await disconnect([...rejected, ...open.slice(0, MAX_STREAMS / 2)], reset);
      await until(() => streams() === 0, "all have disconnected");
    }
    // Two streams are the permanent ones, and settle() opens a third.
    await settle(0);
  }, { maxConnections: MAX_STREAMS + 2 });
});

test("serve exposes no metric that is named after its input", async () => {
  await underAttack(async ({ port, strike }) => {
    const metrics = async () => {
      const [answer] = await exchange(port, { name: "metrics", bytes: get("/metrics", "Connection: close") });
      return new TextDecoder().decode(answer?.body).trimEnd().split("\n");
    };
    const before = await metrics();
    const evil = [
      'injected"} 1',
      "injected\ninjected 1",
      "injected\\",
      "injected{",
      "\u2028injected",
      "__proto__",
    ];
    for (const value of evil.map(encodeURIComponent)) {
      for (const name of ["format", "types", "since", "follow", "bookmarks", value]) {
        await strike({ name: `${name}=${value}`, bytes: get(`/events?follow=false&${name}=${value}`) });
      }
      const draft = JSON.stringify({ type: decodeURIComponent(value), event: {} });
      await strike({ name: draft, bytes: post(draft, "application/json"), due: "InvalidEvent" });
    }
    const after = await metrics();
    const names = (lines: readonly string[]) => lines.map((line) => line.replace(/ [0-9.e+-]+$/, ""));
    assert.equal(names(after), names(before));
    for (const line of after) assert.match(line, /^(?:#.*|[a-z_]+(?:\{(?:\w+="[^"\\]*",?)*\})? [0-9.e+-]+)$/);
  });
});

test.run();
