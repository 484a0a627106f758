import * as assert from "uvu/assert";
import type { EventLog } from "../../src/channel/channel.ts";
import { watchClose } from "../../src/channel/on_close.ts";
import { createChannel, defineEvents } from "../../src/mod.ts";
import { timersLeftBy, until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";

const test = suite("channel: on close");
const catalogue = defineEvents({ tick: null });

/** A listener that counts its calls. */
function counting(): { (): void; calls: number } {
  const listener = () => void listener.calls++;
  listener.calls = 0;
  return listener;
}

test("watchClose() calls each listener once when the channel is closed", async () => {
  const channel = createChannel(catalogue);
  const onClose = watchClose(channel);
  const [first, second, removed] = [counting(), counting(), counting()];
  onClose(first);
  onClose(first);
  onClose(second);
  onClose(removed)();
  channel.publish("tick");
  channel.close();
  await until(() => second.calls > 0, "the end of the channel");
  assert.equal([first.calls, second.calls, removed.calls], [2, 1, 0]);
});

test("watchClose() calls a listener that is added after the end, whether or not others came before", async () => {
  const channel = createChannel(catalogue);
  const onClose = watchClose(channel);
  const [early, late, later] = [counting(), counting(), counting()];
  onClose(early);
  channel.close();
  onClose(late);
  await until(() => early.calls > 0, "the end of the channel");
  onClose(later)();
  watchClose(channel)(later);
  assert.equal([early.calls, late.calls, later.calls], [1, 1, 2]);
});

test("watchClose() watches again when a listener is added after all others were removed", async () => {
  const channel = createChannel(catalogue);
  const onClose = watchClose(channel);
  const listener = counting();
  onClose(counting())();
  await until(() => channel.stats().readers === 0, "the end of the first watch");
  onClose(listener);
  channel.close();
  await until(() => listener.calls > 0, "the end of the channel");
  assert.is(listener.calls, 1);
});

test("watchClose() calls a listener once that is added while the watch of removed listeners still ends", async () => {
  const channel = createChannel(catalogue);
  const onClose = watchClose(channel);
  const [left, listener] = [counting(), counting()];
  onClose(left)();
  const remove = onClose(listener);
  channel.close();
  await until(() => listener.calls > 0, "the end of the channel");
  remove();
  await new Promise((resolve) => setTimeout(resolve)); // Then the other watch has ended as well.
  assert.equal([left.calls, listener.calls], [0, 1]);
});

test("watchClose() calls its listeners when the channel is closed while its batches cannot be read", async () => {
  const log = { closed: false, batches: () => ({ next: () => Promise.reject(new Error("no answer")) }) };
  const [early, late] = [counting(), counting()];
  const onClose = watchClose(log as unknown as EventLog);
  const left = await timersLeftBy(async () => {
    onClose(counting())();
    onClose(early);
    await new Promise((resolve) => setTimeout(resolve)); // Then the first attempt has failed.
    onClose(late);
    log.closed = true;
    await until(() => late.calls > 0, "the next attempt");
  });
  assert.equal([early.calls, late.calls, left], [1, 1, 0]);
});

test("watchClose() leaves no timer and no reader behind when all listeners are removed", async () => {
  const channel = createChannel(catalogue);
  const log = { closed: false, batches: () => ({ next: () => Promise.reject(new Error("no answer")) }) };
  const left = await timersLeftBy(async () => {
    const removals = [watchClose(channel)(() => {}), watchClose(log as unknown as EventLog)(() => {})];
    await new Promise((resolve) => setTimeout(resolve));
    for (const remove of removals) remove();
    await new Promise((resolve) => setTimeout(resolve));
  });
  assert.equal([left, channel.stats().readers], [0, 0]);
});

test.run();
