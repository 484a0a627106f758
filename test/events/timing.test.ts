/** Waiting with a limit: what it resolves with, and what is left when it is over. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { abortable, delay, withDeadline } from "../../src/events/timing.ts";

const test = suite("timing");
const never = new Promise<never>(() => {});

test("withDeadline() resolves with what the promise does when that is first", async () => {
  assert.is(await withDeadline(Promise.resolve("done"), 10_000, "late"), "done");
  assert.is(await withDeadline(Promise.resolve("done"), Infinity, "late"), "done");
});

test("withDeadline() resolves with the other value when the time is over", async () => {
  assert.is(await withDeadline(never, 5, "late"), "late");
});

test("withDeadline() rejects as the promise does", async () => {
  const error = new Error("no");
  assert.is(await withDeadline(Promise.reject(error), 10_000, "late").catch((error) => error), error);
});

test("delay() waits, and rejects with the reason of its signal when that is aborted", async () => {
  const started = performance.now();
  await delay(20, new AbortController().signal);
  assert.ok(performance.now() - started >= 15);
  const reason = new Error("stop");
  assert.is(await delay(10_000, AbortSignal.abort(reason)).catch((error) => error), reason);
  const controller = new AbortController();
  const waiting = delay(10_000, controller.signal).catch((error) => error);
  controller.abort(reason);
  assert.is(await waiting, reason);
});

test("abortable() settles as the promise does when its signal is not aborted, and listens no longer", async () => {
  let listeners = 0;
  const counted = {
    aborted: false,
    addEventListener: () => void listeners++,
    removeEventListener: () => void listeners--,
  } as unknown as AbortSignal;
  assert.is(await abortable(Promise.resolve(1), counted), 1);
  const error = new Error("no");
  assert.is(await abortable(Promise.reject(error), counted).catch((error) => error), error);
  assert.is(listeners, 0);
});

test("abortable() rejects with the reason of its signal when that is aborted first", async () => {
  const reason = new Error("stop");
  assert.is(await abortable(never, AbortSignal.abort(reason)).catch((error) => error), reason);
});

test.run();
