/** Starts by time and number, and streams that end by themselves. */
import * as assert from "uvu/assert";
import * as v from "valibot";
import { type Channel, createChannel, defineEvents, eventsEndpoint } from "../../src/mod.ts";
import { parseTime } from "../../src/events/time.ts";
import { type Dictionary, type Lines, linesOf, until, within } from "../support/harness.ts";
import { suite } from "../support/suite.ts";

const test = suite("stream range");

const catalogue = defineEvents({ tick: v.object({ n: v.number() }), tock: v.object({ n: v.number() }) });
type TestChannel = Channel<typeof catalogue.schemas>;

/** Makes a channel with ticks and tocks in turn, at least a millisecond after each other, and returns their times. */
async function filled(count: number, keep = 1000): Promise<{ channel: TestChannel; times: string[] }> {
  const channel = createChannel(catalogue, { history: { events: keep } });
  const times: string[] = [];
  for (let n = 1; n <= count; n++) {
    const before = Date.now();
    await until(() => Date.now() > before, "the next millisecond");
    channel.publish(n % 2 === 1 ? "tick" : "tock", { n });
    const { entries: [entry] } = channel.read(channel.last - 1, 1);
    times.push(new Date(entry!.time).toISOString());
  }
  return { channel, times };
}

async function open(
  channel: TestChannel,
  query: string,
  headers: Record<string, string> = {},
): Promise<Lines> {
  const response = await eventsEndpoint(channel).request(`/?${query}`, { headers });
  if (response.status !== 200) throw new Error((await response.json()).error.code);
  return linesOf(response.body!);
}

/** Reads a stream that ends by itself. Returns the numbers, and other events by their types. */
async function read(
  channel: TestChannel,
  query: string,
  headers?: Record<string, string>,
): Promise<unknown[]> {
  const [start, ...events] = await within(
    (await open(channel, query, headers)).rest(),
    `the end of ?${query}`,
  );
  assert.is(start?.type, "events_start");
  return events.map(shown);
}

function shown({ type, event }: Dictionary): unknown {
  if (type === "events_lost") return `${event.reason} ${event.count}`;
  return event?.n ?? type;
}

test("GET ?since=TIME starts with the first event of that time or later", async () => {
  const { channel, times } = await filled(6);
  const since = (time: string) => read(channel, `follow=false&since=${encodeURIComponent(time)}`);
  assert.equal(await since(times[3]!), [4, 5, 6]);
  assert.equal(await since("2020-01-01T00:00:00Z"), [1, 2, 3, 4, 5, 6]);
  assert.equal(await since("2999-01-01T00:00:00Z"), []);
  assert.equal(await since("-1h"), [1, 2, 3, 4, 5, 6]);
  const local = new Date(Date.parse(times[3]!) + 7_200_000).toISOString().replace("Z", "+02:00");
  assert.equal(await since(local), [4, 5, 6]);
  assert.equal(await read(channel, `follow=false&since=${local}`), [4, 5, 6], "+ that has become a space");
  assert.equal(await read(channel, `follow=false&types=tock&since=${times[2]}`), [4, 6]);
});

test("GET ?since=TIME reports that events before what is kept may be missing", async () => {
  const { channel, times } = await filled(6, 3);
  const since = (time: string) => read(channel, `follow=false&since=${time}`);
  assert.equal(await since("2020-01-01T00:00:00Z"), ["history_expired null", 4, 5, 6]);
  assert.equal(await since(times[4]!), [5, 6]);
  const lines = await open(channel, `follow=false&since=-1h`);
  const [start, lost] = await lines.rest();
  assert.equal([start!.id, lost!.id], [`${channel.epoch}-3`, `${channel.epoch}-3`]);
});

test("GET ?last=N starts with the newest events that the request may see, and goes on live", async () => {
  const { channel } = await filled(9);
  assert.equal(await read(channel, "follow=false&last=2"), [8, 9]);
  assert.equal(await read(channel, "follow=false&last=100"), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.equal(await read(channel, "follow=false&last=2&types=tock"), [6, 8]);
  const lines = await open(channel, "last=1&types=tick");
  assert.equal(
    (await lines.events(2)).map(shown),
    ["events_start", 9],
  );
  channel.publish("tock", { n: 10 });
  channel.publish("tick", { n: 11 });
  assert.is(shown(await lines.event()), 11);
  await lines.close();
  const resumed = { "Last-Event-ID": `${channel.epoch}-9` };
  assert.equal(
    await read(channel, "follow=false&last=1", resumed),
    [10, 11],
    "a reconnecting EventSource repeats the URL",
  );
  const ofUser = eventsEndpoint(channel, { filter: (event) => event.type === "tock" });
  const response = await ofUser.request("/?follow=false&last=2");
  assert.equal((await linesOf(response.body!).rest()).slice(1).map(shown), [8, 10]);
});

test("GET ?limit=N ends the response after N events that it carries", async () => {
  const { channel } = await filled(5);
  assert.equal(await read(channel, "since=earliest&limit=3"), [1, 2, 3]);
  assert.equal(await read(channel, "since=earliest&limit=2&types=tock"), [2, 4]);
  assert.equal(await read(channel, "since=earliest&limit=9&follow=false"), [1, 2, 3, 4, 5]);
  const live = await open(channel, "limit=2&types=tick&bookmarks=true");
  for (let n = 6; n <= 12; n++) channel.publish(n % 2 === 1 ? "tick" : "tock", { n });
  const events = await within(live.rest(), "the end");
  assert.equal(events.map(shown), ["events_start", 7, 9]);
  assert.equal(
    await read(channel, `since=${events.at(-1)!.id}&limit=1`),
    [10],
    "it ends right after the last one",
  );
  const others = await open(channel, "types=tick");
  channel.publish("tick", { n: 13 });
  assert.equal((await others.events(2)).map(shown).at(-1), 13, "the others do not notice");
  await others.close();
});

test("GET ?until=CURSOR ends the response there, also if that is still to come", async () => {
  const { channel, times } = await filled(5);
  assert.equal(await read(channel, `since=earliest&until=${channel.epoch}-3`), [1, 2, 3]);
  const live = await open(channel, `until=${channel.epoch}-7`);
  for (let n = 6; n <= 9; n++) channel.publish("tick", { n });
  assert.equal((await within(live.rest(), "the end")).map(shown), ["events_start", 6, 7]);
  assert.equal(await read(channel, `since=earliest&until=${times[2]}`), [1, 2, 3]);
  assert.equal(await read(channel, `since=${times[1]}&until=${times[2]}&types=tock`), [2]);
});

test("GET ?until=TIME ends the response at a time to come, also in silence", async () => {
  const { channel } = await filled(2);
  const at = Date.now() + 300;
  const lines = await open(channel, `since=earliest&until=${new Date(at).toISOString()}`);
  assert.equal((await lines.events(3)).map(shown), ["events_start", 1, 2]);
  channel.publish("tick", { n: 3 });
  assert.equal((await within(lines.rest(), "the end", 5000)).map(shown), [3]);
  assert.ok(Date.now() >= at);
});

test("GET ?until= answers 204 to a request that resumes at the end, at which an EventSource stops", async () => {
  const { channel, times } = await filled(5, 3);
  const endpoint = eventsEndpoint(channel);
  const cursor = (n: number) => `${channel.epoch}-${n}`;
  const status = async (query: string, headers: Record<string, string> = {}, method = "GET") => {
    const response = await endpoint.request(`/?${query}`, { headers, method });
    await response.body?.cancel();
    return response.status;
  };
  const past = `until=${times[3]}`;
  for (const end of [`until=${cursor(4)}`, past]) {
    await until(() => Date.now() > Date.parse(times[4]!) + 200, "the end is past");
    assert.is(await status(`since=earliest&${end}`), 200);
    assert.is(await status(`since=${cursor(3)}&${end}`), 200);
    assert.is(await status(`since=${cursor(4)}&${end}`), 204);
    assert.is(await status(`since=${cursor(5)}&${end}`), 204);
    assert.is(await status(`since=${cursor(4)}&${end}`, {}, "HEAD"), 204);
    assert.is(await status(`since=earliest&${end}`, { "Last-Event-ID": cursor(4) }), 204);
    assert.is(await status(`since=${cursor(1)}&${end}`), 200, "the loss is reported");
    assert.is(await status(`since=0ther-4&${end}`), 200, "the loss is reported");
  }
  assert.is(await status(`since=${cursor(5)}&until=2999-01-01T00:00:00Z`), 200);
});

test("GET ?until=TIME answers 204 in the millisecond in which a stream with that end ends", async () => {
  const { channel } = await filled(2);
  const { now } = Date;
  const time = now() + 1000;
  const status = async (ms: number) => {
    Date.now = () => time + ms;
    try {
      const query = `since=${channel.epoch}-2&until=${new Date(time).toISOString()}`;
      const response = await eventsEndpoint(channel).request(`/?${query}`);
      await response.body?.cancel();
      return response.status;
    } finally {
      Date.now = now;
    }
  };
  assert.equal([await status(99), await status(100)], [200, 204]);
});

test("GET ?until=TIME answers 204 at the end, also if the clock was set back since", async () => {
  const { channel, times } = await filled(2);
  const query = `since=${channel.epoch}-1&until=${times[0]}`;
  const { now } = Date;
  try {
    Date.now = () => Date.parse(times[0]!) - 3_600_000;
    const { status } = await eventsEndpoint(channel).request(`/?${query}`);
    assert.is(status, 204, "an EventSource would get an empty stream again and again for an hour");
  } finally {
    Date.now = now;
  }
});

test("GET ?until=TIME ends once, also if the clock is set back after it", async () => {
  const { channel } = await filled(1);
  const at = Date.now() + 60_000;
  const lines = await open(channel, `since=earliest&until=${new Date(at).toISOString()}`);
  const { now } = Date;
  try {
    for (const [n, ms] of [[2, at], [3, at + 1], [4, at - 1]] as const) {
      Date.now = () => ms;
      channel.publish("tick", { n });
    }
  } finally {
    Date.now = now;
  }
  assert.equal((await within(lines.rest(), "the end")).map(shown), ["events_start", 1, 2]);
});

test("GET rejects ranges that are none", async () => {
  const { channel } = await filled(1);
  const code = (query: string) => open(channel, query).then(() => "", ({ message }) => message);
  for (const query of ["last=0", "last=x", "limit=0", "limit=-1", "limit=1.5", "last=2&since=earliest"]) {
    assert.is(await code(query), "InvalidParameter", query);
  }
  for (
    const query of ["since=yesterday", "since=-10", "since=2026-13-01T00:00:00Z", "until=x", "until=0ther-5"]
  ) {
    assert.is(await code(query), "InvalidCursor", query);
  }
});

test("GET says what a place in a stream can be when it rejects one", async () => {
  const endpoint = eventsEndpoint(createChannel(catalogue));
  const message = async (query: string) =>
    (await (await endpoint.request(`/?${query}`)).json()).error.message;
  const places = 'the "id" of an event, or a time like 2026-11-28T03:00:00Z or -10m';
  assert.is(await message("since=10m"), `since must be earliest, latest, ${places}, not "10m"`);
  assert.is(await message("until=noon"), `until must be ${places}, not "noon"`);
  assert.match(await message("lastEventId=10m"), 'hand back the "id"');
});

test("parseTime() reads RFC 3339 and durations back, and nothing else", () => {
  const now = Date.parse("2026-11-28T12:00:00Z");
  const shownAs = (text: string) => {
    const time = parseTime(text, now);
    return time === undefined ? undefined : new Date(time).toISOString();
  };
  assert.is(shownAs("2026-11-28T03:00:00Z"), "2026-11-28T03:00:00.000Z");
  assert.is(shownAs("2026-11-28t03:00:00.1239z"), "2026-11-28T03:00:00.123Z");
  assert.is(shownAs("2026-11-28T03:00:00+01:30"), "2026-11-28T01:30:00.000Z");
  assert.is(shownAs("2026-11-28T03:00:00 01:30"), "2026-11-28T01:30:00.000Z");
  assert.is(shownAs("-10m"), "2026-11-28T11:50:00.000Z");
  // Engines take some of these for the next day, or the next month.
  for (const day of ["2026-02-30", "2025-02-29", "2026-04-31", "2026-00-01", "2026-01-00", "2026-13-01"]) {
    assert.is(parseTime(`${day}T00:00:00Z`, now), undefined, day);
  }
  for (const rest of ["24:00:00Z", "00:60:00Z", "00:00:60Z", "00:00:00+24:00", "00:00:00+00:60"]) {
    assert.is(parseTime(`2026-11-28T${rest}`, now), undefined, rest);
  }
  assert.is(shownAs("2024-02-29T23:59:59-23:59"), "2024-03-01T23:58:59.000Z");
  for (const text of ["", "10m", "-10", "2026-11-28", "2026-11-28T03:00", "2026-02-30T25:00:00Z", "now"]) {
    assert.is(shownAs(text), undefined, text);
  }
});

test.run();
