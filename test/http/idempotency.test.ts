import * as fc from "fast-check";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import * as v from "valibot";
import {
  createIdempotencyStore,
  type IdempotencyStore,
  readIdempotencyKey,
} from "../../src/http/idempotency.ts";
import { defineEvents, type EventsEndpoint, EventsError, type EventsErrorCode } from "../../src/mod.ts";
import { makeEndpoint } from "../support/endpoint.ts";
import { openWire, serving, until, within } from "../support/harness.ts";

const catalogue = defineEvents({ tick: v.object({ n: v.number() }) });

const test = suite("http: idempotency");

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
  readonly code: string | undefined;
}

async function post(
  endpoint: EventsEndpoint,
  body: unknown,
  key?: string,
  type: string = "application/json",
): Promise<Answer> {
  const headers = {
    "Content-Type": type,
    ...(key !== undefined && { "Idempotency-Key": key }),
  };
  const response = await endpoint.request("/", {
    method: "POST",
    headers,
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  const text = await response.text();
  return {
    status: response.status,
    text,
    headers: response.headers,
    code: JSON.parse(text).error?.code,
  };
}

function tick(n: number) {
  return { type: "tick", event: { n } };
}

function isError(code: EventsErrorCode) {
  return (error: unknown) => error instanceof EventsError && error.code === code;
}

test("Idempotency-Key repeats the first response, and nothing is published twice", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue);
  const first = await post(endpoint, [tick(1), tick(2)], "k-1");
  assert.is(first.status, 202);
  await post(endpoint, tick(3));
  for (let again = 0; again < 3; again++) {
    const answer = await post(endpoint, [tick(1), tick(2)], "k-1");
    assert.equal([answer.status, answer.text], [202, first.text]);
  }
  assert.is(channel.last, 3);
  assert.is((await post(endpoint, tick(1), "k-2")).status, 202, "with another key");
  assert.is((await post(endpoint, tick(1))).status, 202, "without a key");
  assert.is(channel.last, 5);
});

test("Idempotency-Key makes one request of many at the same time", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue);
  const answers = await Promise.all(Array.from({ length: 50 }, () => post(endpoint, tick(1), "k")));
  assert.equal(new Set(answers.map(({ text }) => text)).size, 1);
  assert.ok(answers.every(({ status }) => status === 202));
  assert.is(channel.last, 1);
});

test("Idempotency-Key rejects another body, and keeps the first response", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue);
  const first = await post(endpoint, tick(1), "k");
  for (const other of [tick(2), `${JSON.stringify(tick(1))} `, "not JSON", ""]) {
    const answer = await post(endpoint, other, "k");
    assert.equal([answer.status, answer.code], [422, "IdempotencyKeyReused"]);
  }
  assert.is((await post(endpoint, tick(1), "k")).text, first.text);
  assert.is(channel.last, 1);
});

test("Idempotency-Key does not keep a rejected request", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue);
  for (const body of [{ type: "nope" }, "not JSON", { type: "nope" }]) {
    assert.is((await post(endpoint, body, "k")).code, "InvalidEvent");
  }
  assert.is((await post(endpoint, tick(1), "k")).status, 202);
  assert.is(channel.last, 1);
});

test("Idempotency-Key does not hide 415 for a media type that cannot be read", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue);
  assert.is((await post(endpoint, tick(1), "k")).status, 202);
  assert.is((await post(endpoint, tick(1), "k", "text/plain")).status, 415);
  assert.is(channel.last, 1);
});

test("Idempotency-Key is the same with and without quotes, and is rejected if it is malformed", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue);
  const first = await post(endpoint, tick(1), "8e03978e-40d5-43dd-bc93-6894a57f9324");
  assert.is((await post(endpoint, tick(1), '"8e03978e-40d5-43dd-bc93-6894a57f9324"')).text, first.text);
  assert.is((await post(endpoint, tick(1), '"a\\"b\\\\c"')).status, 202);
  assert.is((await post(endpoint, tick(1), 'a"b\\c')).status, 202);
  assert.is(channel.last, 2);
  const wrong = ["", '""', "a b", '"a b"', '"a', 'a, "b"', '"a", "b"', "é", "x".repeat(256), '"\\x"'];
  for (const key of wrong) {
    const answer = await post(endpoint, tick(1), key);
    assert.equal([answer.status, answer.code], [400, "InvalidParameter"], key);
  }
  assert.is((await post(endpoint, tick(1), "x".repeat(255))).status, 202);
  assert.is(channel.last, 3);
  assert.is(readIdempotencyKey(undefined), undefined);
});

test("idempotencyWindow forgets a key after its time, and null ignores keys", async () => {
  const short = makeEndpoint(catalogue, { idempotencyWindow: 0.02 });
  await post(short.endpoint, tick(1), "k");
  await until(async () => {
    await post(short.endpoint, tick(1), "k");
    return short.channel.last === 2;
  }, "the key is forgotten");
  const off = makeEndpoint(catalogue, { idempotencyWindow: null });
  await post(off.endpoint, tick(1), "k");
  await post(off.endpoint, tick(2), "k");
  assert.is(off.channel.last, 2);
});

test("maxIdempotencyKeys rejects new keys when it is reached, and forgets no old one", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue, { maxIdempotencyKeys: 2 });
  const first = await post(endpoint, tick(1), "a");
  await post(endpoint, tick(2), "b");
  const refused = await post(endpoint, tick(3), "c");
  assert.equal([refused.status, refused.code], [503, "TooManyIdempotencyKeys"]);
  assert.match(refused.headers.get("retry-after") ?? "", /^\d+$/);
  assert.is((await post(endpoint, tick(1), "a")).text, first.text);
  assert.is((await post(endpoint, tick(3))).status, 202, "without a key");
  assert.is(channel.last, 3);
});

test("Idempotency-Key does not count a request that breaks off", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue);
  await serving(endpoint, async (url, port) => {
    const body = JSON.stringify(tick(1));
    const head =
      "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nIdempotency-Key: k\r\n" +
      `Content-Length: ${body.length}\r\n\r\n`;
    const broken = await openWire(port);
    broken.write(head + body.slice(0, 10));
    const late = await openWire(port);
    late.write(head + body.slice(0, 10));
    broken.socket.destroy();
    await within(broken.closed, "the end of the broken request");
    const answer = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": "k" },
      body,
    });
    const text = await answer.text();
    assert.is(answer.status, 202, text);
    late.write(body.slice(10)); // It began first, and ends second.
    await until(() => late.received().includes(text), "the second has the answer of the first");
    assert.is(channel.last, 1);
    late.socket.destroy();
  });
});

test("run() does not keep an error of the application", async () => {
  const answers = createIdempotencyStore<number>(1000, 10);
  const failing = () => Promise.reject(new Error("mine"));
  const both = await Promise.allSettled([answers.run("k", "b", failing), answers.run("k", "b", failing)]);
  for (const each of both) assert.is(each.status === "rejected" && each.reason.message, "mine");
  assert.is(answers.size, 0);
  assert.is(await answers.run("k", "b", () => 7), 7);
});

test("run() runs each key once in its window, with one body and bounded memory, in any order", () =>
  fc.assert(fc.asyncProperty(
    fc.array(
      fc.oneof(
        fc.record({
          key: fc.constantFrom("a", "b", "c", "d"),
          body: fc.constantFrom("x", "y"),
          fails: fc.boolean(),
        }),
        fc.record({ wait: fc.integer({ min: 1, max: 60 }) }),
      ),
      { maxLength: 40 },
    ),
    async (steps) => {
      let time = 0;
      let answer = 0;
      const answers = createIdempotencyStore<number>(100, 3, () => time);
      const model = new Map<string, { body: string; answer: number; until: number }>();
      for (const step of steps) {
        if ("wait" in step) {
          time += step.wait;
          continue;
        }
        const { key, body, fails } = step;
        for (const [known, { until }] of model) if (until <= time) model.delete(known);
        const known = model.get(key);
        const isFull = known === undefined && model.size === 3;
        let ran = false;
        const outcome = answers.run(key, body, () => {
          ran = true;
          if (fails) throw new EventsError("InvalidEvent", "no");
          return ++answer;
        }).then((value) => value, (error: EventsError) => error.code);
        const result = await outcome;
        assert.is(ran, known === undefined && !isFull);
        if (known !== undefined) {
          assert.is(result, known.body === body ? known.answer : "IdempotencyKeyReused");
        } else if (isFull) {
          assert.is(result, "TooManyIdempotencyKeys");
        } else if (fails) {
          assert.is(result, "InvalidEvent");
        } else {
          assert.is(result, answer);
          model.set(key, { body, answer, until: time + 100 });
        }
        assert.ok(answers.size <= 3, `${answers.size} keys`);
      }
    },
  )));

/** Begins a request that settle() answers. It is the first, although digests are computed side by side. */
async function beginSlow(answers: IdempotencyStore<string>) {
  let settle = (_: string) => {};
  const answer = new Promise<string>((resolve) => settle = resolve);
  const slow = answers.run("slow", "b", () => answer);
  await until(() => answers.size === 1, "the slow request is remembered");
  return { slow, settle };
}

test("run() keeps pending requests beyond their window, and forgets expired ones behind them", async () => {
  let time = 0;
  const answers = createIdempotencyStore<string>(100, 3, () => time);
  const { slow, settle } = await beginSlow(answers);
  await answers.run("a", "b", () => "a");
  await answers.run("b", "b", () => "b");
  const rejected = await answers.run("c", "b", () => "c").catch((error) => error);
  assert.ok(isError("TooManyIdempotencyKeys")(rejected));
  time = 150;
  assert.is(await answers.run("c", "b", () => "c"), "c");
  assert.is(answers.size, 2, "expired keys behind a pending one made room");
  const again = answers.run("slow", "b", () => "never");
  settle("done");
  assert.equal(await Promise.all([slow, again]), ["done", "done"]);
  time = 249;
  assert.is(await answers.run("slow", "b", () => "never"), "done", "its window begins with its response");
  time = 251;
  assert.is(await answers.run("slow", "b", () => "new"), "new");
});

test("run() begins the window of a key with its response", async () => {
  let time = 0;
  const answers = createIdempotencyStore<string>(100, 10, () => time);
  const { slow, settle } = await beginSlow(answers);
  await answers.run("a", "b", () => "a");
  time = 50;
  settle("done");
  await slow;
  time = 120;
  assert.is(await answers.run("a", "b", () => "again"), "again");
  assert.is(await answers.run("slow", "b", () => "never"), "done");
});

test.run();
