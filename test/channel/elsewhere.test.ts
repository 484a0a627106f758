/**
 * Streams of a channel whose events are stored elsewhere: it is asynchronous, and can begin a new epoch.
 *
 * @module
 */
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { type Channel, createChannel, eventsEndpoint, EventsError, type Start } from "../../src/mod.ts";
import { createSession, triblerEvents, type TriblerSchemas } from "../../src/tribler/mod.ts";
import { answering, elsewhere, numbers, open, serve, tick, upTo } from "../support/elsewhere.ts";
import { type Dictionary, linesOf, until, within } from "../support/harness.ts";
import { rejectionsDuring } from "../support/rejections.ts";
import { triblerPayloads } from "../support/tribler_payloads.ts";

const test = suite("channel: elsewhere");

test("GET /events delivers an asynchronous replay without gap or repeat before newer events", async () => {
  const there = elsewhere();
  there.held = 150;
  tick(there, 1, 200);
  const { app } = serve(there);
  const lines = await open(app, "since=earliest");
  assert.is((await lines.event()).type, "events_start");
  await until(() => there.questions.length === 1, "the read");
  tick(there, 201, 201);
  await answering(there, async () => {
    assert.equal(numbers(await lines.events(201)), upTo(201));
  });
  await lines.close();
});

test("GET /events has one read pending at a time, also between heartbeats", async () => {
  const there = elsewhere();
  there.held = 10;
  tick(there, 1, 10);
  const endpoint = eventsEndpoint(there.channel, { heartbeat: 0.02 });
  const lines = linesOf((await endpoint.request("/?since=earliest")).body!);
  await lines.event();
  for (let n = 0; n < 5; n++) assert.is(await lines.next(), "");
  assert.is(there.questions.length, 1);
  there.questions.shift()!.answer();
  assert.equal(numbers(await lines.events(10)), upTo(10));
  await lines.close();
});

test("GET /events reports the exact loss when a read finds that events have expired", async () => {
  const there = elsewhere(20);
  there.held = 90;
  tick(there, 1, 100);
  there.locate = () => ({ epoch: there.store.epoch, position: 30, unknownEpoch: false });
  const { app } = serve(there);
  const lines = await open(app, `since=${there.store.epoch}-30&follow=false`);
  await answering(there, async () => {
    const [start, lost, ...events] = await lines.rest();
    assert.is(start?.id, `${there.store.epoch}-30`);
    assert.equal(lost?.event, { reason: "slow_consumer", count: 50 });
    assert.is(lost?.id, `${there.store.epoch}-80`);
    assert.equal(numbers(events), upTo(100, 81));
  });
});

test("GET /events reports a loss once when events expire during a read", async () => {
  const there = elsewhere(20);
  tick(there, 1, 30);
  there.held = 20;
  const { app } = serve(there);
  const lines = await open(app, `since=${there.channel.epoch}-2`);
  await lines.event();
  await until(() => there.questions.length === 1, "the read");
  there.first = 12;
  tick(there, 31, 31);
  await answering(there, async () => {
    const received = await lines.events(21);
    const shown = received.map(({ type, event }) => type === "tick" ? event.n : -event.count);
    assert.equal(shown, [-9, ...Array.from({ length: 20 }, (_, index) => 12 + index)]);
  });
  await lines.close();
});

test("GET /events reports a loss that no event follows", async () => {
  const there = elsewhere();
  tick(there, 1, 10);
  const { app } = serve(there);
  const lines = await open(app, "");
  assert.is((await lines.event()).id, `${there.store.epoch}-10`);
  there.first = 16; // Five more were published and purged, which this process has not seen.
  there.wake();
  const lost = await lines.event();
  assert.equal([lost.event, lost.id], [{ reason: "slow_consumer", count: 5 }, `${there.store.epoch}-15`]);
  await lines.close();
});

test("GET /events drops the result of a read after its client has disconnected", async () => {
  const there = elsewhere();
  there.held = 10;
  tick(there, 1, 10);
  const { app, endpoint } = serve(there);
  const lines = await open(app, "since=earliest");
  await lines.event();
  await until(() => there.questions.length === 1, "the read");
  await lines.close();
  assert.is(endpoint.stats().subscribers, 0);
  const rejections = await rejectionsDuring(() => Promise.resolve(there.questions.shift()!.answer()));
  assert.equal(rejections, []);
  assert.is(there.questions.length, 0);
});

test("GET /events cuts off the stream whose read fails, and no other", async () => {
  const there = elsewhere();
  there.held = 10;
  tick(there, 1, 10);
  const errors: unknown[] = [];
  const { app, endpoint } = serve(there, (error) => void errors.push(error));
  const lines = await open(app, "since=earliest");
  const other = await open(app, "");
  await lines.event();
  await other.event();
  await until(() => there.questions.length === 1, "the read");
  const error = new Error("the disk failed");
  there.questions.shift()!.refuse(error);
  const cut = await lines.event().then(() => false, () => true);
  assert.ok(cut);
  assert.equal(errors, [error]);
  assert.is(endpoint.stats().formats["ndjson"]!.ended.failed, 1);
  await answering(there, () => Promise.resolve(there.channel.publish("tick", { n: 11 })));
  assert.equal(numbers(await other.events(1)), [11]);
  await other.close();
});

test("close() ends streams whose reads are pending", async () => {
  const there = elsewhere();
  there.held = 10;
  tick(there, 1, 10);
  const { app } = serve(there);
  const lines = await open(app, "since=earliest");
  await lines.event();
  await until(() => there.questions.length === 1, "the read");
  const { read } = there.store;
  there.store.read = () => ({ entries: [] }); // It is not available any more.
  there.channel.close();
  there.questions.shift()!.answer();
  assert.equal(await lines.rest(), []);
  there.store.read = read;
});

test("GET /events reports a new epoch on every open stream, and continues in it", async () => {
  const there = elsewhere();
  tick(there, 1, 100);
  const { app } = serve(there);
  const live = await open(app, "");
  const filtered = await open(app, "types=tick", { Accept: "text/event-stream" });
  const old = there.store.epoch;
  assert.is((await live.event()).id, `${old}-100`);
  there.held = 100;
  const replaying = await open(app, "since=earliest");
  await replaying.event();
  await until(() => there.questions.length === 1, "the read");
  there.held = 0;
  there.beginAnew();
  await answering(there, () => Promise.resolve(there.channel.publish("tick", { n: 1 })));
  const { epoch } = there.store;
  assert.is.not(epoch, old);
  for (const lines of [live, replaying]) {
    const [lost, event] = await lines.events(2);
    assert.equal([lost?.type, lost?.event, lost?.id], [
      "events_lost",
      { reason: "unknown_epoch", count: null },
      `${epoch}-0`,
    ]);
    assert.equal([event?.event, event?.id], [{ n: 1 }, `${epoch}-1`]);
  }
  const seen: string[] = [];
  while (!seen.includes(`id: ${epoch}-1`)) seen.push((await filtered.next())!);
  assert.ok(seen.includes(`id: ${epoch}-0`) && seen.includes("event: events_lost"));
  for (const lines of [live, filtered, replaying]) await lines.close();
});

test("GET /events sends no event of a new epoch before it has reported it", async () => {
  const there = elsewhere(5000);
  tick(there, 1, 3000);
  there.held = 3000;
  const { app } = serve(there);
  const lines = await open(app, "since=earliest");
  await lines.event();
  await until(() => there.questions.length === 1, "the read");
  there.held = 0;
  there.replaceStore();
  const { epoch } = there.store;
  for (const n of upTo(5000, 3001)) there.store.publish("tick", { n });
  there.questions.shift()!.answer();
  await new Promise((resolve) => setTimeout(resolve));
  there.wake();
  const received: Dictionary[] = [];
  while (received.at(-1)?.id !== `${epoch}-2000`) received.push(await lines.event());
  const inNewEpoch = received.filter(({ id }) => id.startsWith(epoch));
  assert.equal([inNewEpoch[0]?.type, inNewEpoch[0]?.event.reason, inNewEpoch[0]?.id], [
    "events_lost",
    "unknown_epoch",
    `${epoch}-0`,
  ]);
  assert.equal(numbers(inNewEpoch.slice(1)), upTo(5000, 3001));
  await lines.close();
});

test("GET /events delivers no event of an old epoch to a new subscriber", async () => {
  const there = elsewhere();
  const { app } = serve(there);
  const early = await open(app, "");
  await early.event();
  tick(there, 1, 3);
  assert.equal(numbers(await early.events(3)), [1, 2, 3]);
  there.replaceStore();
  const { epoch } = there.store;
  for (const n of [11, 12, 13]) there.store.publish("tick", { n });
  const late = await open(app, `since=${epoch}-1`);
  await late.event();
  there.wake();
  assert.equal(numbers(await late.events(2)), [12, 13]);
  const [lost, ...events] = await early.events(4);
  assert.equal([lost!.event, lost!.id], [{ reason: "unknown_epoch", count: null }, `${epoch}-0`]);
  assert.equal(numbers(events), [11, 12, 13]);
  tick(there, 14, 14);
  for (const lines of [early, late]) {
    assert.equal(numbers(await lines.events(1)), [14]);
    await lines.close();
  }
});

test("batches() reports a new epoch and continues in it", async () => {
  const there = elsewhere();
  tick(there, 1, 3);
  const batches = there.channel.batches("earliest");
  assert.is((await batches.next()).value.entries.length, 3);
  const next = batches.next();
  there.beginAnew();
  assert.equal((await within(next, "the loss")).value, {
    lost: { reason: "unknown_epoch", count: null },
    entries: [],
  });
  tick(there, 1, 2);
  assert.is((await batches.next()).value.entries[0].id, `${there.store.epoch}-1`);
  await batches.return!();
  assert.is(there.channel.stats().readers, 0);
});

test("batches() awaits its start and its reads, and return() ends it at any time", async () => {
  const there = elsewhere(20);
  there.held = 95;
  tick(there, 1, 100);
  const start: Start = { epoch: there.store.epoch, position: 30, unknownEpoch: false };
  let found = (_: Start) => {};
  there.locate = () => new Promise((resolve) => found = resolve);
  const batches = there.channel.batches("whatever");
  const first = batches.next();
  found(start);
  await until(() => there.questions.length === 1, "the read");
  there.questions.shift()!.answer();
  const { value } = await within(first, "a batch");
  assert.equal(value.lost, { reason: "slow_consumer", count: 50 });
  assert.is(value.entries[0].position, 81);
  assert.is(value.entries.at(-1).position, 100);
  await batches.return!();

  const leaving = there.channel.batches("whatever");
  const never = leaving.next();
  await leaving.return!();
  assert.equal(await within(never, "its end"), { done: true, value: undefined });
  found(start);

  there.locate = () => Promise.reject(new EventsError("ChannelUnavailable", "away"));
  const refused = there.channel.batches("whatever");
  const error = await refused.next().then(() => undefined, (error) => error);
  assert.is(error?.code, "ChannelUnavailable");
});

test("GET /events awaits locate(), and answers with its error", async () => {
  const there = elsewhere();
  tick(there, 1, 5);
  let found = (_: Start) => {};
  there.locate = () => new Promise((resolve) => found = resolve);
  const { app, endpoint } = serve(there);
  const opening = app.request(`/events?since=${there.store.epoch}-4`);
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.is(endpoint.stats().subscribers, 0);
  found({ epoch: there.store.epoch, position: 4, unknownEpoch: false });
  const lines = linesOf((await opening).body!);
  assert.is((await lines.event()).id, `${there.store.epoch}-4`);
  assert.equal(numbers(await lines.events(1)), [5]);
  await lines.close();

  there.locate = () => Promise.reject(new EventsError("ChannelUnavailable", "the store is away"));
  const refused = await app.request("/events");
  assert.is(refused.status, 503);
  assert.match(refused.headers.get("retry-after") ?? "", /^\d+$/);
  assert.is((await refused.json()).error.code, "ChannelUnavailable");
  // An EventSource would never reconnect after a 503.
  const away = await app.request("/events", { headers: { Accept: "text/event-stream" } });
  assert.is(away.status, 200);
  assert.match(await away.text(), /^retry: \d+\n$/);
  assert.is(endpoint.stats().refusals.ChannelUnavailable, 2);
});

test("POST /events answers once the events are stored, and with an error if they are not", async () => {
  const there = elsewhere();
  const { app, endpoint } = serve(there);
  const post = (key?: string) =>
    app.request("/events", {
      method: "POST",
      headers: { "Content-Type": "application/json", ...(key && { "Idempotency-Key": key }) },
      body: '{"type":"tick","event":{"n":1}}',
    });
  let isAnswered = false;
  const taken = Promise.resolve(post()).then((response) => {
    isAnswered = true;
    return response;
  });
  await until(() => there.questions.length === 1, "the event is to be stored");
  assert.is(isAnswered, false);
  there.questions.shift()!.answer();
  assert.is((await taken).status, 202);
  assert.equal(await (await taken).json(), { accepted: 1, last_id: `${there.store.epoch}-1` });

  for (const code of ["ChannelUnavailable", "PublishUnconfirmed"] as const) {
    const refused = post("k1");
    await until(() => there.questions.length === 1, "the event is to be stored");
    there.questions.shift()!.refuse(new EventsError(code, "away"));
    assert.is((await refused).status, 503);
    assert.match((await refused).headers.get("retry-after") ?? "", /^\d+$/);
    assert.is((await (await refused).json()).error.code, code);
    assert.is(endpoint.stats().refusals[code], 1);
  }
  // A rejected request is not kept: its key may be sent again.
  const again = post("k1");
  await until(() => there.questions.length === 1, "the event is to be stored");
  there.questions.shift()!.answer();
  assert.is((await again).status, 202);
});

test("createSession() publishes on an asynchronous channel, and may repeat what was not stored", async () => {
  const store = createChannel(triblerEvents);
  let isAway = false;
  const later = async <T>(run: () => T): Promise<T> => {
    await Promise.resolve();
    if (isAway) throw new EventsError("ChannelUnavailable", "away");
    return run();
  };
  const channel: Channel<TriblerSchemas> = {
    ...store,
    publish: (type, ...payload) => later(() => store.publish(type, ...payload)),
    publishBatch: (drafts) => later(() => store.publishBatch(drafts)),
  };
  const session = createSession({ version: "1", channel });
  assert.is(session.channel, channel);
  await session.start();
  const payload = triblerPayloads.search_result_torrent;
  isAway = true;
  const refused = session.emit("search_result_torrent", payload);
  assert.is(session.emit("search_result_torrent", payload), undefined, "its publication is pending");
  assert.is(await Promise.resolve(refused).catch(({ code }) => code), "ChannelUnavailable");
  const rejections = await rejectionsDuring(async () => {
    await session.exception(new Error("waits for a client"));
    session.onConnect()();
    await new Promise((resolve) => setTimeout(resolve));
  });
  assert.equal(rejections, []);
  assert.is(store.last, 1);

  isAway = false;
  assert.is(await session.emit("search_result_torrent", payload), `${store.epoch}-2`);
  session.onConnect();
  await until(() => store.last === 3, "the next one is published");
  const [, , exception] = store.read(0, Infinity).entries;
  assert.match(JSON.stringify(store.parse(exception!)), /waits for a client/);
});

test.run();
