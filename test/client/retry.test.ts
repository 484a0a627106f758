import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import {
  connect,
  type Connection,
  type ConnectOptions,
  EventsError,
  type Status,
} from "../../src/client/mod.ts";
import { findFreePort, until, within } from "../support/harness.ts";
import {
  answers,
  cuts,
  ends,
  line,
  NDJSON,
  type Reply,
  scripted,
  SSE,
  start,
  streams,
} from "../support/scripted.ts";

const test = suite("client: retry");

/** What a connection did until it was closed, or waited for the first time. */
interface Course {
  /** The types of the events. */
  readonly events: string[];
  readonly statuses: Status[];
  /** What `next()` rejected with. */
  readonly error: EventsError | undefined;
  /** Number of requests. */
  readonly requests: number;
  readonly headers: unknown[];
}

/** Runs a connection against a script until it ends or waits. No socket may be left open. */
async function courseOf(replies: readonly Reply[], options: ConnectOptions = {}): Promise<Course> {
  return await scripted(replies, async ({ url, requests, open }) => {
    const statuses: Status[] = [];
    const events: string[] = [];
    let error: EventsError | undefined;
    const connection: Connection<{ type: string }> = connect(url, {
      reconnect: { min: 1, max: 8, jitter: false },
      ...options,
      onStatus: (status) => {
        statuses.push(status);
        if (status.type === "waiting" && options.onStatus === undefined) void connection.return();
        options.onStatus?.(status);
      },
    });
    const following = (async () => {
      for await (const { type } of connection) events.push(type);
    })();
    await within(following, "the end").catch((caught) => error = caught);
    assert.ok(error === undefined || error instanceof EventsError, String(error));
    assert.is(connection.status.type, "closed");
    await until(() => open() === 0, "no socket is open");
    return {
      events,
      statuses,
      error,
      requests: requests.length,
      headers: requests.map((one) => one.headers.get("x-token")),
    };
  });
}

/** Returns the wait that a course ended with. */
function waitOf({ statuses }: Course): { readonly code: string; readonly delay: number } {
  const waiting = statuses.find((status) => status.type === "waiting");
  if (waiting?.type !== "waiting") throw new Error("it did not wait");
  return { code: waiting.cause.code, delay: waiting.delay };
}

const GOOD = streams(NDJSON, start("a"), line("x", "b"));

/** A response whose body never ends. */
function endless(status: number, contentType: string): Reply {
  return (socket) => {
    socket.write(
      `HTTP/1.1 ${status} Endless\r\nContent-Type: ${contentType}\r\nContent-Length: 1000000000\r\n\r\n`,
    );
    const timer = setInterval(() => socket.write("x".repeat(10_000)), 1);
    socket.once("close", () => clearInterval(timer));
  };
}

for (
  const contentType of [
    "application/x-ndjson",
    "Application/JSONL; charset=utf-8",
    "application/ndjson",
    "application/json",
    "text/json",
    "text/plain",
    "application/octet-stream",
    undefined,
  ]
) {
  test(`connect() reads a stream from 200 with ${contentType ?? "no media type"}`, async () => {
    await scripted([streams(contentType, start("a"), line("x", "b"))], async ({ url }) => {
      const connection = connect(url);
      assert.is((await within(connection.next(), "an event")).value?.type, "x");
      await connection.return();
    });
  });
}

test("connect() ends without a retry after 204", async () => {
  const course = await courseOf([answers(204), GOOD]);
  assert.equal([course.events, course.error, course.requests], [[], undefined, 1]);
  assert.equal(course.statuses.at(-1), { type: "closed" });
  const later = await courseOf([ends(NDJSON, start("a"), line("x", "b")), answers(204)], {
    reconnect: { min: 0.001 },
    onStatus: () => {},
  });
  assert.equal([later.events, later.error, later.requests], [["x"], undefined, 2]);
});

test("connect() retries after a head that was cut off, which Chromium takes for a whole one", async () => {
  for (const type of ["application/x-ndjso", "text/event-s", "appl"]) {
    const course = await courseOf([answers(200, { "Content-Type": type }), GOOD]);
    assert.equal([waitOf(course).code, course.error], ["ConnectionLost", undefined], type);
  }
  for (const status of [5, 50]) {
    const fetch = () => Object.defineProperty(new Response(), "status", { value: status });
    const course = await courseOf([], { fetch });
    assert.equal([waitOf(course).code, course.error], ["Unavailable", undefined]);
  }
});

test("next() rejects with UnexpectedResponse after another 2xx or another media type", async () => {
  const cases: [Reply, RegExp][] = [
    [answers(201, { "Content-Type": NDJSON }), /answers 201 with "application\/x-ndjson", not a stream/],
    [answers(206, { "Content-Type": SSE }), /answers 206/],
    [answers(200, { "Content-Type": "text/html" }, "<h1>"), /answers 200 with "text\/html"/],
    [endless(200, "text/html"), /answers 200/],
  ];
  for (const [reply, message] of cases) {
    const course = await courseOf([reply, GOOD]);
    assert.is(course.error?.code, "UnexpectedResponse");
    assert.match(course.error!.message, message);
    assert.is(course.requests, 1);
    assert.is(course.statuses.at(-1)?.type, "closed");
  }
});

test("next() rejects with UnexpectedResponse after 200 with one JSON document that is no event", async () => {
  const info = '{"public_key":"4c69","version":"8.1.0","sessions":"1"}';
  for (const contentType of ["application/json; charset=utf-8", "text/plain", NDJSON, SSE]) {
    for (const document of [info, '[{"type":"a"}]', '"ok"', "{}"]) {
      const course = await courseOf([answers(200, { "Content-Type": contentType }, document), GOOD]);
      assert.equal([course.error?.code, course.error?.status], ["UnexpectedResponse", 200], document);
      assert.match(
        course.error!.message,
        /answers 200 with "[^"]+", one document and not a stream of events$/,
      );
      assert.is(course.requests, 1);
      assert.equal(course.statuses.at(-1), { type: "closed", cause: course.error });
    }
  }
  // The beginning of an event is none, and neither is one that has lost its line end.
  for (const text of ['{"type":"a","event', '{"type":"a"}', "{"]) {
    const course = await courseOf([answers(200, { "Content-Type": "application/json" }, text), GOOD]);
    assert.equal([course.error, waitOf(course).code], [undefined, "ConnectionLost"], text);
  }
});

test("connect() waits as long as an unterminated block of SSE asks for, however the stream ends", async () => {
  const before = 'retry: 2000\nevent: x\ndata: {"type":"x","id":"1"}\nid: 1\n\n';
  const cases: [text: string, delay: number][] = [
    ["", 2 + 1],
    ["retry: 4321\n", 4.321 + 1],
    [":\nretry:4321\n:\n", 4.321 + 1],
    ["retry: 1\nretry: 6000\n", 6 + 1],
    ["retry: 1\r\nretry: 6000\r\n", 6 + 1],
    ["retry: 43", 2 + 1],
    ["retry: 4x\n", 2 + 1],
    ["id: 2\nretry: 5000\ndata: {", 5 + 1],
  ];
  for (const [text, delay] of cases) {
    for (const reply of [ends(SSE, before + text), cuts(SSE, before + text)]) {
      const course = await courseOf([reply]);
      // Bun may drop what it has received when the connection is cut.
      if (course.events.length === 0) continue;
      assert.is(waitOf(course).delay.toFixed(3), delay.toFixed(3), text);
    }
  }
});

test("connect() without reconnect takes a stream that ends in comment lines or retry for whole", async () => {
  for (const rest of [":\n", "retry: 4321\n", ":\n:\nretry: 4321\n", ""]) {
    const course = await courseOf([ends(SSE, `data: {"type":"x"}\n\n${rest}`)], { reconnect: false });
    assert.equal([course.events, course.error], [["x"], undefined], rest);
  }
});

test("next() rejects with the message of an error that has no code, as Tribler sends it", async () => {
  const bodies = ['{"error":{"handled":true,"message":"no such thing"}}', '{"error":"no such thing"}'];
  for (const body of bodies) {
    const course = await courseOf([answers(404, { "Content-Type": "application/json" }, body)]);
    assert.equal([course.error?.code, course.error?.serverCode], ["RequestRejected", undefined]);
    assert.match(course.error!.message, /answers 404: no such thing$/);
  }
});

test("next() rejects with Redirected and the location, and the redirect is not followed", async () => {
  for (const status of [301, 302, 303, 307, 308]) {
    await scripted([GOOD], async (other) => {
      const course = await courseOf([answers(status, { Location: other.url }), GOOD], { apiKey: "secret" });
      assert.is(course.error?.code, "Redirected");
      assert.ok(course.error!.message.includes(other.url));
      assert.equal([course.requests, other.requests.length], [1, 0], "the key is not sent elsewhere");
    });
  }
});

test("next() rejects with the location of a redirect without its query, which may hold a key", async () => {
  for (const place of ["https://elsewhere.example/events", "/events/"]) {
    const { error } = await courseOf([answers(301, { Location: `${place}?key=secret` }), GOOD]);
    assert.match(error!.message, ` redirects to "${place}": `);
  }
});

test("next() rejects with Redirected after the opaque response of a browser", async () => {
  const opaque = Object.defineProperties(new Response(null), {
    status: { value: 0 },
    type: { value: "opaqueredirect" },
  });
  const connection = connect("http://localhost/", { fetch: () => opaque });
  const error = await connection.next().then(() => undefined, (error: EventsError) => error);
  assert.is(error?.code, "Redirected");
});

const REFUSAL = JSON.stringify({ error: { handled: true, code: "NoKey", message: "a key is required" } });

test("next() rejects with Unauthorized after 401 when headers is not a function", async () => {
  for (const headers of [undefined, { "X-Token": "1" }]) {
    const course = await courseOf([answers(401, {}, REFUSAL), GOOD], headers && { headers });
    assert.is(course.error?.code, "Unauthorized");
    assert.equal([course.error?.status, course.error?.serverCode, course.requests], [401, "NoKey", 1]);
    assert.match(course.error!.message, /answers 401: a key is required/);
  }
});

test("connect() retries once at once after 401 when headers is a function", async () => {
  const headers: ConnectOptions["headers"] = ({ unauthorized }) => ({
    "X-Token": unauthorized ? "new" : "old",
  });
  const twice = await courseOf([answers(401), answers(401, {}, REFUSAL), GOOD], { headers });
  assert.is(twice.error?.code, "Unauthorized");
  assert.equal(twice.headers, ["old", "new"]);

  const end = (text: string) => ends(NDJSON, text);
  const replies = [
    answers(401),
    end(start("a") + line("x", "b")),
    answers(401),
    end(start("b") + line("y", "c")),
    answers(204),
  ];
  const course = await courseOf(replies, { headers, reconnect: { min: 0.001 }, onStatus: () => {} });
  assert.equal([course.events, course.error], [["x", "y"], undefined], "a stream that opened was authorized");
  assert.equal(course.headers, ["old", "new", "old", "new", "old"]);

  const between = [answers(401), answers(503), answers(401), end(start("a") + line("x", "b")), answers(204)];
  const other = await courseOf(between, { headers, reconnect: { min: 0.001 }, onStatus: () => {} });
  assert.equal([other.events, other.error], [["x"], undefined], "there was another response between them");
  assert.equal(other.headers, ["old", "new", "old", "new", "old"]);
});

test("connect() retries after 408, 425, 429 and 5xx, not before Retry-After", async () => {
  for (const status of [408, 425, 429, 500, 501, 502, 503, 504, 599]) {
    assert.equal(waitOf(await courseOf([answers(status)])), { code: "Unavailable", delay: 1 }, `${status}`);
    const later = await courseOf([answers(status, { "Retry-After": "7" }, REFUSAL)]);
    assert.equal(waitOf(later), { code: "Unavailable", delay: 8 }, `${status}`);
  }
  const date = new Date(Date.now() + 100_000).toUTCString();
  const { delay } = waitOf(await courseOf([answers(503, { "Retry-After": date })]));
  assert.ok(delay > 80 && delay <= 101, `${delay} s`);
  for (const nonsense of ["", "soon", "-5", "1.5", new Date(0).toUTCString()]) {
    assert.is(waitOf(await courseOf([answers(503, { "Retry-After": nonsense })])).delay, 1, nonsense);
  }
});

test("connect() counts the time until the date in Retry-After from the Date of the response", async () => {
  for (const hours of [-5, 5]) {
    const server = Date.now() + hours * 3_600_000;
    const headers = {
      "Date": new Date(server).toUTCString(),
      "Retry-After": new Date(server + 100_000).toUTCString(),
    };
    assert.is(waitOf(await courseOf([answers(503, headers)])).delay, 101, `${hours} hours`);
  }
});

test("reconnect.maxRetryAfter limits what Retry-After and retry ask for, by default to an hour", async () => {
  const asking = [
    answers(503, { "Retry-After": "86400" }),
    answers(429, { "Retry-After": "9".repeat(400) }),
    answers(503, { "Retry-After": new Date(Date.now() + 1e9).toUTCString() }),
    ends(SSE, `retry: 86400000\n\ndata: ${line("x")}\n`),
  ];
  const reconnect = { min: 1, max: 8, jitter: false };
  for (const [index, reply] of asking.entries()) {
    assert.is(waitOf(await courseOf([reply])).delay, 3601, `${index}`);
    const limited = { reconnect: { ...reconnect, maxRetryAfter: 7 } };
    assert.is(waitOf(await courseOf([reply], limited)).delay, 8, `${index}`);
    const long = { reconnect: { ...reconnect, maxRetryAfter: 1_000_000 } };
    assert.ok(waitOf(await courseOf([reply], long)).delay > 86_400, `${index}`);
  }
});

test("next() rejects with RequestRejected and the server's code and message after another 4xx", async () => {
  for (const status of [400, 403, 404, 406, 410, 422]) {
    const body = JSON.stringify({
      error: { handled: true, code: "InvalidCursor", message: "no such cursor" },
    });
    const course = await courseOf([answers(status, {}, body), GOOD]);
    const { error, requests } = course;
    assert.equal([error?.code, error?.status, error?.serverCode], [
      "RequestRejected",
      status,
      "InvalidCursor",
    ]);
    assert.match(error!.message, new RegExp(`answers ${status}: no such cursor`));
    assert.is(requests, 1);
  }
  for (
    const body of [
      "",
      "<h1>Not Found</h1>",
      "null",
      '{"error":null}',
      '{"error":{"code":1}}',
      "x".repeat(200_000),
    ]
  ) {
    const { error } = await courseOf([answers(404, {}, body), GOOD]);
    assert.equal([error?.code, error?.status, error?.serverCode], ["RequestRejected", 404, undefined]);
    assert.match(error!.message, /answers 404$/);
  }
  assert.is((await courseOf([endless(404, "application/json")])).error?.code, "RequestRejected");
  const stalled: Reply = (socket) => socket.write("HTTP/1.1 404 Stalled\r\nContent-Length: 100\r\n\r\n{");
  assert.is((await courseOf([stalled, GOOD])).error?.code, "RequestRejected");
});

test("connect() retries after a failed connection, and when no response arrives", async () => {
  const cut: Reply = (socket) => socket.destroy();
  assert.is(waitOf(await courseOf([cut])).code, "ConnectionFailed");
  const half: Reply = (socket) => socket.end("HTTP/1.1 200");
  assert.is(waitOf(await courseOf([half])).code, "ConnectionFailed");
  assert.is(waitOf(await courseOf([() => {}], { idleTimeout: 0.1 })).code, "Timeout");

  const port = await findFreePort();
  const statuses: Status[] = [];
  const connection: Connection<unknown> = connect(`http://127.0.0.1:${port}/events?key=secret`, {
    onStatus: (status) => {
      statuses.push(status);
      if (status.type === "waiting") void connection.return();
    },
  });
  await within(connection.next(), "the first wait");
  const cause = statuses[1]?.type === "waiting" ? statuses[1].cause : undefined;
  assert.is(cause?.code, "ConnectionFailed");
  assert.match(cause!.message, /^no response from http:\/\/127\.0\.0\.1:\d+\/events: /);
  assert.not.match(cause!.message, /secret/);
});

test("connect() limits the wait for a response and its first event to 30 s before a heartbeat is announced", async () => {
  const limits: (number | undefined)[] = [];
  const { setTimeout } = globalThis;
  const patched = (callback: () => void, ms?: number) => {
    limits.push(ms);
    return setTimeout(callback, ms);
  };
  Object.assign(globalThis, { setTimeout: patched });
  try {
    const fetch = () => new Response(new ReadableStream(), { headers: { "Content-Type": NDJSON } });
    const connection = connect("http://localhost/", { fetch });
    const next = connection.next();
    await until(() => limits.filter((ms) => ms === 30_000).length === 2, "both are limited");
    await connection.return();
    assert.is((await within(next, "the end")).done, true);
  } finally {
    Object.assign(globalThis, { setTimeout });
  }
});

test("next() rejects with the runtime's own message without the query, which may hold a key", async () => {
  const fetch = (url: string) => {
    throw new TypeError(`cannot reach (${url})`, { cause: new Error(`"${url}" is down`) });
  };
  const connection = connect("http://localhost/events?key=secret", { fetch, reconnect: false });
  const error = await connection.next().then(() => undefined, (error: EventsError) => error);
  const place = "http://localhost/events";
  assert.is(error?.message, `no response from ${place}: cannot reach (${place}): "${place}" is down`);
});

test("connect() resumes after the last event when a stream ends, is cut off or falls silent", async () => {
  const options: ConnectOptions = { reconnect: { min: 0.001 }, onStatus: () => {} };
  const text = start("a") + line("x", "b");
  const losses: [Reply, string, ConnectOptions?][] = [
    [ends(NDJSON, text), "ConnectionLost"],
    [ends(NDJSON, text + line("y", "c").slice(0, -1)), "ConnectionLost"],
    [streams(NDJSON, text), "Timeout", { idleTimeout: 0.2 }],
    [cuts(NDJSON, text + '{"type":"y","event":123'), "ConnectionLost"],
  ];
  for (const [reply, code, more] of losses) {
    // On Bun nothing of a stream that was cut off may have arrived, so the server sends what was requested.
    const rest: Reply = (socket, request) => {
      const missed = request.query.get("since") === "b" ? "" : line("x", "b");
      ends(NDJSON, start(request.query.get("since") ?? "a") + missed + line("y", "c"))(socket, request);
    };
    const course = await courseOf([reply, rest, answers(204)], { ...options, ...more });
    assert.equal([course.events, course.error, course.requests], [["x", "y"], undefined, 3], code);
    const waiting = course.statuses.find(({ type }) => type === "waiting");
    assert.is(waiting?.type === "waiting" ? waiting.cause.code : "", code);
  }
});

test("next() rejects with InvalidLine or LineTooLong after the events before it", async () => {
  const course = await courseOf([streams(NDJSON, start("a") + line("x", "b") + '{"error": "no"}\n'), GOOD]);
  assert.equal([course.events, course.error?.code, course.requests], [["x"], "InvalidLine", 1]);
  assert.match(course.error!.message, /\{\\"error\\": \\"no\\"\}/);
  const long = streams(NDJSON, start("a") + line("x", "b") + "y".repeat(2000));
  const tooLong = await courseOf([long, GOOD], { maxLineBytes: 1000 });
  assert.equal([tooLong.events, tooLong.error?.code, tooLong.requests], [["x"], "LineTooLong", 1]);
});

test("connect() doubles its delay with each failure in a row, up to reconnect.max", async () => {
  const delays: number[] = [];
  const attempts: number[] = [];
  await courseOf(Array.from({ length: 9 }, () => answers(503)), {
    reconnect: { min: 0.001, max: 0.02, jitter: false, maxAttempts: 8 },
    onStatus: (status) => {
      if (status.type === "waiting") delays.push(status.delay);
      if (status.type === "connecting") attempts.push(status.attempt);
    },
  });
  assert.equal(delays, [0.001, 0.002, 0.004, 0.008, 0.016, 0.02, 0.02]);
  assert.equal(attempts, [1, 2, 3, 4, 5, 6, 7, 8]);
});

test("reconnect.jitter spreads the delays from 0 to the longest", async () => {
  const delays: number[] = [];
  await courseOf(Array.from({ length: 60 }, () => answers(503)), {
    reconnect: { min: 0.004, max: 0.004, maxAttempts: 60 },
    onStatus: (status) => status.type === "waiting" && delays.push(status.delay),
  });
  assert.ok(delays.every((delay) => delay >= 0 && delay < 0.004));
  assert.ok(Math.min(...delays) < 0.001 && Math.max(...delays) > 0.003, "they are spread");
});

test("connect() adds its delay to the one that the server asks for", async () => {
  const course = await courseOf([ends(SSE, `retry: 3000\n\ndata: ${line("x")}\n`)]);
  assert.equal([course.events, waitOf(course)], [["x"], { code: "ConnectionLost", delay: 4 }]);
});

test("next() rejects with RetriesExhausted and the last error as its cause after reconnect.maxAttempts", async () => {
  for (const maxAttempts of [1, 3]) {
    const replies = Array.from({ length: 4 }, () => answers(503, {}, REFUSAL));
    const { error, requests } = await courseOf(replies, {
      reconnect: { min: 0.001, maxAttempts },
      onStatus: () => {},
    });
    assert.equal([error?.code, requests], ["RetriesExhausted", maxAttempts]);
    assert.match(error!.message, `reconnect.maxAttempts (${maxAttempts}) is reached: http://127.0.0.1:`);
    assert.is((error?.cause as EventsError).code, "Unavailable");
  }
});

test("connect() waits longer each time for a server that dies within 5 s, and not for one that lasted", async () => {
  const { now } = performance;
  let later = 0;
  performance.now = () => now.call(performance) + later;
  try {
    for (const lasted of [0, 4_000, 6_000]) {
      const delays: number[] = [];
      const once = ends(NDJSON, start("a") + line("x", "b"));
      await courseOf([once, once, once, once, answers(204)], {
        reconnect: { min: 0.001, max: 1, jitter: false },
        onStatus: (status) => {
          if (status.type === "open") later += lasted;
          if (status.type === "waiting") delays.push(status.delay);
        },
      });
      assert.equal(
        delays,
        lasted < 5_000 ? [0.001, 0.002, 0.004, 0.008] : [0.001, 0.001, 0.001, 0.001],
        `${lasted}`,
      );
    }
  } finally {
    performance.now = now;
  }
});

test("connect() counts a stream as failed when nothing but silence made it last", async () => {
  const { now } = performance;
  let later = 0;
  performance.now = () => now.call(performance) + later;
  const { setTimeout } = globalThis;
  // The time-out of a silence passes at once.
  const patched = (callback: () => void, ms: number) => {
    if (ms < 5_900) return setTimeout(callback, ms);
    return setTimeout(() => {
      later += ms;
      callback();
    }, 100);
  };
  Object.assign(globalThis, { setTimeout: patched });
  try {
    for (const texts of [[], [start("a")]]) {
      const { error, requests } = await courseOf(Array.from({ length: 9 }, () => streams(NDJSON, ...texts)), {
        idleTimeout: 6,
        reconnect: { min: 0.001, maxAttempts: 3 },
        onStatus: () => {},
      });
      assert.equal([error?.code, requests], ["RetriesExhausted", 3]);
      assert.is((error?.cause as EventsError).code, "Timeout");
    }
  } finally {
    Object.assign(globalThis, { setTimeout });
    performance.now = now;
  }
});

test.run();
