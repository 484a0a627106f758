import { Hono } from "hono";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { linesOf as portionsOf } from "../../src/cli/lines.ts";
import { draftOf, lossIn } from "../../src/cli/drafts.ts";
import { payloadOf } from "../../src/cli/payload.ts";
import { UsageError } from "../../src/cli/usage.ts";
import { createChannel, defineEvents, eventsEndpoint } from "../../src/mod.ts";
import { type Fetch, listen } from "../../src/server/listen.ts";
import {
  type ChildOptions,
  type Exit,
  running,
  shellCommand,
  startCli,
  startProgram,
} from "../support/children.ts";
import { findFreePort, linesOf, serving, until, within } from "../support/harness.ts";

const test = suite("emit");

const shop = defineEvents({
  order_placed: v.object({ id: v.string(), total: v.number() }),
  note: v.string(),
  shop_closed: null,
});

interface Shop {
  readonly url: string;
  /** What was published, type and payload. */
  published(): Promise<unknown[]>;
  /** The subject of what was published. */
  subjects(): Promise<unknown[]>;
  /** The bytes of each request's body. */
  readonly bodies: readonly number[];
}

/** Runs `use` beside a server of the shop, which requires the key if there is one. */
async function withShop(use: (shop: Shop) => Promise<void>, key?: string): Promise<void> {
  const app = new Hono();
  const bodies: number[] = [];
  app.use(async (c, next) => {
    if (key !== undefined && c.req.header("X-Api-Key") !== key) {
      return c.json({ error: { handled: true, code: "Unauthorized", message: "this wants a key" } }, 401);
    }
    if (c.req.method === "POST") bodies.push((await c.req.arrayBuffer()).byteLength);
    return await next();
  });
  app.route("/events", eventsEndpoint(createChannel(shop)));
  app.get("/elsewhere", (c) => c.redirect("/events"));
  app.post("/elsewhere", (c) => c.redirect("/events", 307));
  app.post("/page", (c) => c.html("<h1>Welcome</h1>"));
  app.post("/tribler-7", (c) => c.json({ error: { handled: true, message: "no such torrent" } }, 404));
  app.post("/tribler-8", (c) => c.json({ error: "no such torrent" }, 404));
  await serving(app, async (url) => {
    const events = async () => {
      const headers = { "X-Api-Key": key ?? "" };
      const response = await app.request("/events?since=earliest&follow=false", { headers });
      return (await linesOf(response.body!).rest()).slice(1);
    };
    const subjects = async () => (await events()).map(({ subject }) => subject);
    const published = async () => {
      return (await events()).map(({ type, event }) => event === undefined ? [type] : [type, event]);
    };
    await use({ url: `${url}/events`, published, subjects, bodies });
  });
}

interface Outcome extends Exit {
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
}

/** Runs `emit` to its end, with `input` on stdin. */
async function emit(args: readonly string[], input?: string | Uint8Array, options: ChildOptions = {}) {
  const child = startCli(["emit", ...args], { ...options, input: input !== undefined });
  return await running(child, async (): Promise<Outcome> => {
    if (input !== undefined) child.stdin.end(input);
    return { ...await child.exit(), stdout: child.stdout.lines, stderr: child.stderr.lines };
  });
}

function accepted(count: number): Outcome {
  return { code: 0, signal: null, stdout: [`${count} accepted`], stderr: [] };
}

/** The outcome when these reasons are printed. */
function refused(code: number, ...reasons: string[]): Outcome {
  const stderr = reasons.map((reason) => `events-endpoint: ${reason}`);
  return { code, signal: null, stdout: [], stderr };
}

test("emit publishes the event of its command line", async () => {
  await withShop(async ({ url, published }) => {
    assert.equal(await emit([url, "shop_closed"]), accepted(1));
    assert.equal(await emit([url, "order_placed", "id=o-1", "total=42.5"]), accepted(1));
    assert.equal(await emit([url, "order_placed", '{"id":"o-2","total":7}']), accepted(1));
    assert.equal(await emit([url, "note", '"grüße 😀"']), accepted(1));
    assert.equal(await published(), [
      ["shop_closed"],
      ["order_placed", { id: "o-1", total: 42.5 }],
      ["order_placed", { id: "o-2", total: 7 }],
      ["note", "grüße 😀"],
    ]);
  });
});

test("emit --subject publishes an event about that, and a line of stdin has its own", async () => {
  await withShop(async ({ url, subjects }) => {
    const emitted = async (args: string[], input?: string) =>
      await running(startCli(["emit", url, ...args], { input: input !== undefined }), async (child) => {
        if (input !== undefined) child.stdin.end(input);
        const { code } = await child.exit();
        return [code, ...child.stderr.lines];
      });
    assert.equal(await emitted(["--subject", "order/42", "note", '"hello"']), [0]);
    assert.equal(await emitted([], '{"type":"shop_closed","subject":"shop"}\n'), [0]);
    assert.equal(await subjects(), ["order/42", "shop"]);
    assert.is((await emitted(["--subject", "a b", "shop_closed"]))[0], 2);
    assert.is((await emitted(["--subject", "a", "-"], ""))[0], 2);
  });
});

test("payloadOf() reads JSON, or KEY=VALUE pairs", () => {
  const payloads: [args: string[], payload: unknown][] = [
    [[], undefined],
    [["null"], null],
    [["7"], 7],
    [['{"a":[1]}'], { a: [1] }],
    [['"a=b"'], "a=b"],
    [["a=1", "b=x", "c=true", "d=null", 'e="1"', "f=", 'g={"h":1}', "i= 2 "], {
      a: 1,
      b: "x",
      c: true,
      d: null,
      e: "1",
      f: "",
      g: { h: 1 },
      i: 2,
    }],
    [["a=b=c", "d:=[1]", "e.f=1", "g:h=i"], { a: "b=c", d: [1], "e.f": 1, "g:h": "i" }],
    // Digits that a double would change, such as those of a hash, are a number only after ":=".
    [["a=1234567890123456789012345678901234567890", "b=12e4", "c=007", "d:=12e4"], {
      a: "1234567890123456789012345678901234567890",
      b: "12e4",
      c: "007",
      d: 120000,
    }],
    [["__proto__=1", "a=\u2028\n"], JSON.parse('{"__proto__":1,"a":"\\u2028\\n"}')],
  ];
  for (const [args, payload] of payloads) {
    const text = payloadOf(args);
    assert.equal(text === undefined ? undefined : JSON.parse(text), payload, args.join(" "));
  }
  // What was written as JSON is sent unchanged: the server validates it.
  const big = '{"a":12345678901234567890,"b":1e999}';
  assert.is(payloadOf([big]), big);
  assert.is(
    payloadOf(["a:=1e999", "b=[12345678901234567890,\n1]"]),
    '{"a":1e999,"b":[12345678901234567890, 1]}',
  );
  for (const args of [["a"], ["{"], ["a=1", "a=2"], ["=1"], [":=1"], ["a:=x"], ["a=1", "{}"], [""]]) {
    assert.throws(() => payloadOf(args), (error: unknown) => error instanceof UsageError, args.join(" "));
  }
});

test("emit prints type, path and reason of what the server rejects", async () => {
  await withShop(async ({ url, published }) => {
    const faults = await emit([url, "order_placed", "id=7", "total=x"]);
    assert.equal(
      faults,
      refused(
        1,
        "order_placed: event.id: Invalid type: Expected string but received 7",
        'order_placed: event.total: Invalid type: Expected number but received "x"',
      ),
    );
    assert.equal(
      await emit([url, "order_palced"]),
      refused(
        1,
        'order_palced: type: "order_palced" is not a type of this catalogue: did you mean order_placed?',
      ),
    );
    const place = url.replace(/events$/, "");
    assert.equal(await emit([`${place}nothing`, "note"]), refused(1, `${place}nothing answers 404`));
    for (const path of ["tribler-7", "tribler-8"]) { // Their errors have no code.
      assert.equal(await emit([place + path, "shop_closed"]), refused(1, "no such torrent"));
    }
    assert.equal(
      await emit([`${place}elsewhere`, "shop_closed"]),
      refused(1, `${place}elsewhere answers 307`),
    );
    assert.equal(
      await emit([`${place}page?key=secret`, "shop_closed"]),
      refused(1, `${place}page answers 200 without the number of accepted events: is it an events endpoint?`),
    );
    assert.equal(await published(), []);
  });
});

test("emit --max-attempts 1 exits with 1 and one line when it cannot reach the server", async () => {
  let url = "";
  await serving(new Hono(), (at) => Promise.resolve(void (url = at)));
  const once = ["--max-attempts", "1"];
  assert.equal(
    await emit([url, "note", '"x"', ...once]),
    refused(1, `gave up: cannot reach ${url}/: connection refused`),
  );
  assert.equal(
    await emit([`${url}/events`, ...once], '{"type":"note"}\n'),
    refused(1, `gave up: cannot reach ${url}/events: connection refused`, "0 accepted"),
  );
});

test("emit publishes every line of stdin, in order", async () => {
  await withShop(async ({ url, published, bodies }) => {
    const events = Array.from({ length: 20_000 }, (_, n) => ["order_placed", { id: `漢-${n}`, total: n }]);
    const lines = events.map(([type, event]) => JSON.stringify({ type, event }));
    assert.equal(await emit([url], lines.join("\n")), accepted(20_000));
    assert.equal(await published(), events);
    // Each request carries what one read returned: nothing is queued for a slow server.
    assert.ok(Math.max(...bodies) <= 256 * 1024, `${Math.max(...bodies)} bytes`);
    assert.ok(bodies.length > 1);
  });
});

test("linesOf() splits a read into portions that a server accepts", async () => {
  const long = "x".repeat(1_000_000);
  const short = Array.from({ length: 20_000 }, () => '{"type":"x"}');
  const input = [...short, long, ...short, long].join("\n");
  const portions: (readonly string[])[] = [];
  const reads = (async function* () {
    yield new TextEncoder().encode(input);
  })();
  for await (const portion of portionsOf(reads)) portions.push(portion.map(({ text }) => text));
  assert.is(portions.flat().join("\n"), input);
  for (const portion of portions) {
    assert.ok(portion.length < 10_000, `${portion.length} lines`);
    assert.ok(portion.length === 1 || portion.join("\n").length <= 100_000);
  }
});

test("emit accepts a byte order mark, empty lines, CRLF and a last line without its end", async () => {
  await withShop(async ({ url, published }) => {
    const text = '\ufeff\n{"type":"shop_closed"}\r\n\r\n  \n{"type":"note","event":"x"}';
    assert.equal(await emit([url, "-"], text), accepted(2));
    assert.equal(await published(), [["shop_closed"], ["note", "x"]]);
    assert.equal(await emit([url], ""), accepted(0));
  });
});

test("emit publishes each line when it arrives, and names the line of a fault", async () => {
  await withShop(async ({ url, published }) => {
    await running(startCli(["emit", url], { input: true }), async (child) => {
      child.stdin.write('{"type":"shop_closed"}\n\n{"type":"note","event":"so');
      await until(async () => (await published()).length === 1, "the first event is there");
      child.stdin.write(' far"}\n');
      await until(async () => (await published()).length === 2, "the second event is there");
      child.stdin.end('{"type":"shop_closed"}\n\n{"type":"note","event":7}\n{"typ\n');
      assert.is((await child.exit()).code, 1);
      assert.equal(child.stdout.lines, []);
      const [unfit, broken, summary, ...rest] = child.stderr.lines;
      assert.is(unfit, "events-endpoint: line 6: note: event: Invalid type: Expected string but received 7");
      assert.match(broken!, /^events-endpoint: line 7: not JSON: /);
      assert.is(summary, "events-endpoint: 2 accepted, up to line 3");
      assert.equal(rest, []);
      assert.is((await published()).length, 2);
    });
  });
});

test("emit rejects input that is not UTF-8, and publishes the lines before it", async () => {
  await withShop(async ({ url, published }) => {
    await running(startCli(["emit", url], { input: true }), async (child) => {
      child.stdin.write('{"type":"shop_closed"}\n');
      await until(async () => (await published()).length === 1, "the first event is there");
      child.stdin.end(Uint8Array.of(0x22, 0xff, 0x22, 0x0a));
      assert.is((await child.exit()).code, 1);
      assert.equal(child.stderr.lines, [
        "events-endpoint: what follows line 1 is not UTF-8",
        "events-endpoint: 1 accepted, up to line 1",
      ]);
    });
  });
});

test("emit reports which lines may have been accepted when an answer is lost", async () => {
  const app = new Hono();
  let requests = 0;
  // The server stops during the second request.
  let die = () => {};
  const dead = new Promise<void>((resolve) => die = resolve);
  app.post("/events", async (c) => {
    if (++requests === 1) return c.json({ accepted: 1 }, 202);
    die();
    return await new Promise<Response>(() => {});
  });
  let child: ReturnType<typeof startCli> | undefined;
  await serving(app, async (url) => {
    child = startCli(["emit", `${url}/events`, "--max-attempts", "1"], { input: true });
    child.stdin.write('{"type":"shop_closed"}\n');
    await until(() => requests === 1, "the first request is there");
    child.stdin.write('{"type":"shop_closed"}\n{"type":"shop_closed"}\n');
    await within(dead, "the second request");
  });
  await running(child!, async (child) => {
    assert.is((await child.exit()).code, 1);
    const [reason, summary, ...rest] = child.stderr.lines;
    assert.match(
      reason!,
      /^events-endpoint: gave up: cannot reach http:\S+\/events: (?:the connection was lost|connection refused)$/,
    );
    assert.match(summary!, /^events-endpoint: 1 accepted, up to line 1; lines 2 to [23] may have been too$/);
    assert.equal(rest, []);
  });
});

test("draftOf() leaves out what the server adds to an event, and changes nothing else", () => {
  const added = '"id":"e-1","time":"2026-11-28T03:00:00.000Z"';
  const payload = String.raw`{"id":4611686018427387905,"time":1.0,"1":"\u00e9\/","a":-0}`;
  assert.equal(draftOf(`{"type":"t","event":${payload},${added}}`), {
    draft: `{"type":"t","event":${payload}}`,
  });
  assert.equal(draftOf(`{"type":"t","subject":"a/b",${added}}`), { draft: '{"type":"t","subject":"a/b"}' });
  assert.equal(draftOf(String.raw`{ "\u0069d" : "e-1" , "type" : "t" }`), { draft: '{"type":"t"}' });
  for (const same of [`{"type":"t","event":${payload}}`, '{"id"', '"id"', "[]", '{"type":"events_seen"}']) {
    assert.equal(draftOf(same), { draft: same });
  }
  const lost = { type: "events_lost", event: { reason: "slow_consumer", count: 3 } };
  assert.equal(draftOf(JSON.stringify(lost)), { control: lost });
  assert.equal([lossIn(lost), lossIn({ type: "events_start" })], [{ count: 3 }, undefined]);
});

test("emit waits for a server that is not there, and publishes once what tail wrote", async () => {
  const port = await findFreePort();
  const url = `http://127.0.0.1:${port}/events`;
  const channel = createChannel(shop);
  const app = new Hono();
  let posts = 0;
  app.use(async (c, next) => {
    await next();
    // The first answer is lost after the events were accepted.
    if (c.req.method === "POST" && ++posts === 1) c.res = new Response(null, { status: 503 });
  });
  app.route("/events", eventsEndpoint(channel));
  const end = '"id":"e-1","time":"2026-11-28T03:00:00.000Z"}';
  await running(startCli(["emit", url], { input: true }), async (child) => {
    child.stdin.end([
      `{"type":"events_start","event":{"heartbeat":5},${end}`,
      `{"type":"note","event":"one",${end}`,
      `{"type":"events_lost","event":{"reason":"slow_consumer","count":2},${end}`,
      `{"type":"shop_closed",${end}`,
      "",
    ].join("\n"));
    await child.stderr.match(/cannot reach .*: connection refused; trying again$/);
    const server = await listen(app.fetch as Fetch, { host: "127.0.0.1", port });
    try {
      assert.is((await child.exit()).code, 0);
    } finally {
      await server.stop(0);
    }
    assert.equal(child.stdout.lines, ["2 accepted"]);
    assert.equal(child.stderr.lines, [
      "events-endpoint: line 3: events_lost: 2 events are missing before the next line",
      `events-endpoint: cannot reach ${url}: connection refused; trying again`,
      `events-endpoint: ${url} answers 503; trying again`,
      "events-endpoint: connected",
    ]);
  });
  assert.is(posts, 2);
  assert.is(channel.last, 2);
});

test("emit shows its progress on a terminal, and reads no lines from one", async () => {
  await withShop(async ({ url }) => {
    const emit = shellCommand(["emit", url]);
    const inTerminal = (command: string) => startProgram("script", ["-qfec", command, "/dev/null"]);
    await running(inTerminal(`echo '{"type":"shop_closed"}' | ${emit}`), async (child) => {
      assert.is((await child.exit()).code, 0);
      assert.ok(child.stdout.lines.join("\n").endsWith("\r\x1b[K1 accepted\r\x1b[K1 accepted\r"));
    });
    await running(inTerminal(emit), async (child) => {
      assert.is((await child.exit()).code, 2);
      assert.match(child.stdout.lines.join("\n"), /the TYPE of the event is missing/);
    });
  });
});

test("emit --api-key sends the key and never prints it", async () => {
  await withShop(async ({ url, published }) => {
    assert.equal(await emit([url, "shop_closed", "--api-key", "s3cret"]), accepted(1));
    assert.equal(await emit(["--api-key=s3cret", url], '{"type":"shop_closed"}'), accepted(1));
    const env = { EVENTS_API_KEY: "s3cret" };
    assert.equal(await emit([url, "shop_closed"], undefined, { env }), accepted(1));
    const wrong = refused(
      1,
      "Unauthorized: this wants a key: give the key by --api-key or EVENTS_API_KEY",
    );
    assert.equal(await emit([url, "shop_closed", "--api-key", "wr0ng"], undefined, { env }), wrong);
    assert.equal(await emit([url, "shop_closed"]), wrong);
    assert.equal(
      await emit([url, "shop_closed", "--api-key", "s3cret\n"]),
      refused(2, "--api-key must be visible ASCII characters without spaces"),
    );
    assert.is((await published()).length, 3);
  }, "s3cret");
});

test("emit exits with 2 and one line when the command line is not valid", async () => {
  const url = "http://127.0.0.1:1/events";
  const lines: [args: string[], reason: RegExp][] = [
    [[], /URL of the events is missing/],
    [["localhost:8085/events", "note"], /"localhost:8085\/events" is not an HTTP URL/],
    [["http://me:pass@127.0.0.1/events", "note"], /user name/],
    [[url, "note", "{"], /payload is not JSON/],
    [[url, "note", "x"], /"x" is neither/],
    [[url, "-", "x"], /standard input/],
    [[url, "note", "--frobnicate"], /--frobnicate/],
  ];
  for (const [args, reason] of lines) {
    const { code, stdout, stderr } = await emit(args);
    assert.equal({ code, stdout, lines: stderr.length }, { code: 2, stdout: [], lines: 1 }, args.join(" "));
    assert.match(stderr[0]!, reason);
  }
  const help = await emit(["--help"]);
  assert.is(help.code, 0);
  assert.match(help.stdout.join("\n"), /KEY=VALUE/);
});

test.run();
