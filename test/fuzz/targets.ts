/**
 * The parsers that are fuzzed: what each must do with any bytes, and the other opinion that it is compared with.
 *
 * @module
 */
import { createParser } from "eventsource-parser";
import * as assert from "uvu/assert";
import * as v from "valibot";
import type { SseBlock } from "../../src/client/block.ts";
import { ndjsonDecoder } from "../../src/client/decode.ts";
import { readFrame } from "../../src/client/dialect.ts";
import type { Decoder, Frame } from "../../src/client/frame.ts";
import { parseExactly, sseDecoder } from "../../src/client/sse.ts";
import { readServeOptions } from "../../src/cli/serve_options.ts";
import { UsageError } from "../../src/cli/usage.ts";
import { parseCursor } from "../../src/events/cursor.ts";
import { EventsError } from "../../src/events/errors.ts";
import { membersOf, partsOf } from "../../src/events/json_text.ts";
import { parseTime } from "../../src/events/time.ts";
import { negotiate } from "../../src/http/negotiate.ts";
import { parseBody } from "../../src/http/parse_body.ts";
import { defineEvents } from "../../src/mod.ts";
import { Bencode, BencodeError, BencodeLimitError, type Value } from "../../src/server/bencode.ts";
import { readEventStream } from "../support/event_stream.ts";

/** A parser under test. */
export interface Target {
  /** Inputs to begin with; each character is a byte. */
  readonly seeds: readonly string[];
  /** What inputs are made of, beside what is found in them. */
  readonly words: readonly string[];
  /** Throws if the parser does what it must not. */
  run(input: Uint8Array): void;
}

const textOf = (bytes: Uint8Array) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);

/** Returns what a function returns or throws, which may be an error of these classes alone. */
function outcomeOf<T>(
  run: () => T,
  ...classes: (new (...args: never[]) => Error)[]
): { value?: T; error?: Error } {
  try {
    return { value: run() };
  } catch (error) {
    if (!classes.some((one) => error instanceof one)) throw error;
    return { error: error as Error };
  }
}

/** The value of `JSON.parse()`; `undefined` if the text is no JSON. */
function jsonOf(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

/** Feeds bytes whole, and in pieces whose length the first byte says. Both must give the same frames. */
function decodeBoth(make: () => Decoder, bytes: Uint8Array): { frames: readonly Frame[]; decoder: Decoder } {
  const decoder = make();
  const frames = decoder.push(bytes);
  const pieces = make();
  const size = 1 + (bytes[0] ?? 0) % 7;
  const found: Frame[] = [];
  for (let at = 0; at < bytes.length; at += size) found.push(...pieces.push(bytes.subarray(at, at + size)));
  assert.equal(found, frames);
  assert.is(pieces.retry(), decoder.retry());
  return { frames, decoder };
}

const tooLong = () => new EventsError("LineTooLong", "");
const catalogue = defineEvents({ note: v.any(), empty: null });

const ndjson: Target = {
  seeds: ['{"type":"a"}\n\n{"type":"b","id":"x-1"}\r\n', "\ufeff", '{"type":1}\n[]\n{\n'],
  words: [
    "\n",
    "\r\n",
    '{"type":"a"}',
    '"id":"',
    "\xef\xbb\xbf",
    "\xe2\x80\xa8",
    "\xf0\x9f",
    " ",
    "\t",
    "null",
  ],
  run: (bytes) => {
    const { frames } = decodeBoth(() => ndjsonDecoder(1_000_000), bytes);
    const lines = textOf(bytes).split("\n").slice(0, -1);
    assert.equal(frames, lines);
    for (const line of lines) {
      const json = jsonOf(line)?.value as { type?: unknown } | null | undefined;
      const isEvent = typeof json === "object" && json !== null && !Array.isArray(json) &&
        typeof json.type === "string";
      const { value, error } = outcomeOf(() => readFrame(line), EventsError);
      if (isEvent) assert.equal(value?.event, json);
      else assert.is(error === undefined, /^[ \t\r]*$/.test(line), line);
    }
  },
};

const sse: Target = {
  seeds: [
    "retry: 5\nevent: a\ndata: {}\nid: 1\n\n:\n\ndata\r\rid\n\n",
    "\xef\xbb\xbfdata: x\r\n\r\n",
    "datax\nid: 1\n\n",
  ],
  words: [
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    "data",
    "data: ",
    "id: ",
    "event: ",
    "retry: ",
    ": c",
    "\0",
    "\xef\xbb\xbf",
    "9",
    "\xc3",
  ],
  run: (bytes) => {
    const { frames, decoder } = decodeBoth(() => sseDecoder(1_000_000, tooLong), bytes);
    const found = (frames as SseBlock[]).map(({ event, id, data }) => ({ event, id, data }));
    const { blocks, retry } = readEventStream(bytes);
    const due = blocks.map((block) => ({ ...block, data: block.data ?? "" }));
    assert.equal(found, due.filter(({ id, data }) => data !== "" || id !== undefined));
    assert.is(decoder.retry(), retry / 1000);
    // The parser alone sees the blocks that have data, and the same of them.
    const alone: typeof found = [];
    const parser = createParser({ onEvent: ({ event, id, data }) => void alone.push({ event, id, data }) });
    parser.feed(`\n${new TextDecoder().decode(bytes)}`);
    const hasData = ({ data }: { data: string }) => data !== "";
    if (!textOf(bytes).endsWith("\r")) assert.equal(alone.filter(hasData), found.filter(hasData));
  },
};

const body: Target = {
  seeds: [
    '{"type":"note","event":{"a":[1,"\\u00e9"]}}',
    '[{"type":"empty"},{"type":"note","event":null}]',
    '{"type":"note","event":9007199254740993}',
  ],
  words: [
    '{"type":"note","event":',
    '"type":"empty"',
    '"subject":"a"',
    "}",
    "]",
    "[",
    ",",
    "\n",
    "1e400",
    "9007199254740993",
    "-0",
    '"__proto__":',
    "\\ud800",
    "\\",
    '"',
    " ",
    "1.0",
    "null",
  ],
  run: (bytes) => {
    const text = textOf(bytes);
    for (const isLines of [false, true]) {
      const read = () => parseBody(isLines, text, catalogue, { maxBatch: 50, maxDepth: 8 });
      const { value: drafts, error } = outcomeOf(read, EventsError);
      const parts = isLines ? text.split("\n").filter((line) => !/^[ \t\r]*$/.test(line)) : [text];
      const values = parts.map(jsonOf);
      if (drafts === undefined) {
        assert.match((error as EventsError).code, /^(?:InvalidEvent|PayloadTooLarge)$/);
        continue;
      }
      assert.ok(values.every((json) => json !== undefined), "what is accepted is JSON");
      const whole = values.map((json) => json!.value);
      const due = (!isLines && Array.isArray(whole[0]) ? whole[0] : whole) as Record<string, unknown>[];
      assert.ok(due.length > 0 && due.length <= 50);
      assert.equal(drafts.map(({ type }) => type), due.map(({ type }) => type));
      for (const [index, draft] of drafts.entries()) {
        if (due[index]!["event"] !== null) assert.equal(draft.event, due[index]!["event"]);
      }
      const bare = text.replaceAll(/"(?:[^"\\]|\\.)*"/gs, '""');
      for (const [number] of bare.matchAll(/-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g)) {
        const isExact = !/^-?\d+$/.test(number) || Number.isSafeInteger(Number(number));
        assert.ok(isExact && Number.isFinite(Number(number)), `${number} is accepted`);
      }
    }
  },
};

const jsonText: Target = {
  seeds: ['{"a":[1,{"b":"\\"}"}],"c":12345678901234567890}', "[1, [2] ,{}]", '{"a":1,"a":{"b":2}}'],
  words: [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    '"',
    "\\",
    '"a":',
    "9007199254740993",
    "-12345678901234567890",
    "1e5",
    " ",
    "\n",
    "true",
    "__proto__",
  ],
  run: (bytes) => {
    const text = textOf(bytes);
    const json = jsonOf(text);
    if (json === undefined) return;
    const { value } = json;
    const inexact = (one: unknown): unknown =>
      JSON.parse(JSON.stringify(one, (_, part) => typeof part === "bigint" ? Number(part) : part) ?? "null");
    assert.equal(inexact(parseExactly(text)), inexact(value));
    if (typeof value !== "object" || value === null) return;
    const parts = partsOf(text);
    if (Array.isArray(value)) assert.equal(parts.map((part) => JSON.parse(part)), value);
    else {
      const members = [...membersOf(text)].map(([key, part]) => [key, JSON.parse(part)]);
      assert.equal(Object.fromEntries(members), { ...value });
    }
  },
};

const cursor: Target = {
  seeds: ["k3f9-17", "0-0", "a-9007199254740991", "earliest"],
  words: ["-", "0", "9", "a", "z", "A", "\n", " ", "\0", "9007199254740992"],
  run: (bytes) => {
    const text = textOf(bytes);
    const at = text.lastIndexOf("-");
    const [epoch, digits] = [text.slice(0, at), text.slice(at + 1)];
    const isEpoch = epoch.length >= 1 && epoch.length <= 32 &&
      [...epoch].every((char) => "0123456789abcdefghijklmnopqrstuvwxyz".includes(char));
    const isDue = at !== -1 && isEpoch && `${Number(digits)}` === digits &&
      Number.isSafeInteger(Number(digits)) && !digits.startsWith("-");
    const { value, error } = outcomeOf(() => parseCursor(text), EventsError);
    assert.equal(value, isDue ? { epoch, position: Number(digits) } : undefined);
    if (!isDue) assert.is((error as EventsError).code, "InvalidCursor");
  },
};

const OURS = ["application/x-ndjson", "application/jsonl", "application/ndjson", "text/event-stream"];
/** A range of plain form (RFC 9110, 12.5.1). */
const RANGE =
  /^[ \t]*([a-z0-9*.+-]+\/[a-z0-9*.+-]+)(?:[ \t]*;[ \t]*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?[ \t]*$/i;

const accept: Target = {
  seeds: [
    "*/*",
    "text/event-stream;q=0.5, application/x-ndjson;q=0.4",
    "text/*, application/jsonl; q=0",
    'a/b;c="d,e"',
  ],
  words: [...OURS, "*/*", "text/*", "application/*", ";q=", "0.5", "1", "0", ",", ";", '"', "\\", " ", "="],
  run: (bytes) => {
    const text = textOf(bytes);
    const { value, error } = outcomeOf(() => negotiate(text, undefined), EventsError);
    if (error !== undefined) assert.is((error as EventsError).code, "NotAcceptable");
    const ranges = (text.trim() || "*/*").split(",").map((range) => RANGE.exec(range));
    if (ranges.some((range) => range === null)) return; // The standard's own algorithm, for what is of plain form.
    const qualities = new Map<string, number>();
    for (const [, type, quality] of ranges as RegExpExecArray[]) {
      const key = type!.toLowerCase();
      if (qualities.has(key)) return; // Nothing is said about a type that is named twice.
      qualities.set(key, Number(quality ?? 1));
    }
    const qualityOf = (type: string) =>
      qualities.get(type) ?? qualities.get(type.replace(/\/.*/, "/*")) ?? qualities.get("*/*") ?? 0;
    const best = Math.max(...OURS.map(qualityOf));
    assert.is(value === undefined, best === 0, text);
    if (value !== undefined) assert.is(qualityOf(value.mediaType), best, text);
  },
};

/** Bencode as its page defines it, written plainly; `undefined` if the text is not well-formed. */
function plainBencode(bytes: Uint8Array, at = 0): { value: unknown; end: number } | undefined {
  const text = (from: number, to: number) => String.fromCharCode(...bytes.subarray(from, to));
  const kind = text(at, at + 1);
  if (kind === "i") {
    const end = bytes.indexOf(0x65, at);
    return end !== -1 && /^-?\d+$/.test(text(at + 1, end))
      ? { value: text(at + 1, end), end: end + 1 }
      : undefined;
  }
  if (/^\d$/.test(kind)) {
    const colon = bytes.indexOf(0x3a, at);
    if (colon === -1 || !/^\d+$/.test(text(at, colon))) return undefined;
    const end = colon + 1 + Number(text(at, colon));
    return end <= bytes.length ? { value: bytes.slice(colon + 1, end), end } : undefined;
  }
  if (kind !== "l" && kind !== "d") return undefined;
  const items: unknown[] = [];
  for (at++; text(at, at + 1) !== "e";) {
    const isKey = kind === "d" && items.length % 2 === 0;
    const item = isKey && !/^\d$/.test(text(at, at + 1)) ? undefined : plainBencode(bytes, at);
    if (item === undefined) return undefined;
    items.push(item.value);
    at = item.end;
  }
  return kind === "d" && items.length % 2 === 1 ? undefined : { value: [kind, items], end: at + 1 };
}

/** The same of what the parser under test found. */
function readBencode(bencode: Bencode, value: Value): unknown {
  const string = bencode.string(value);
  if (string !== undefined) return string.slice();
  if (bencode.isList(value)) {
    return [
      "l",
      [...bencode.items(value)].map((item) => readBencode(bencode, item)),
    ];
  }
  if (!bencode.isDictionary(value)) return String.fromCharCode(...bencode.section(value).subarray(1, -1));
  return ["d", [...bencode.entries(value)].flatMap(([key, one]) => [key.slice(), readBencode(bencode, one)])];
}

const bencode: Target = {
  seeds: ["d4:infod4:name1:a6:lengthi5eee", "li-1e0:lee", "d1:ai01e1:b03:abce", "i9007199254740993e"],
  words: [
    "d",
    "l",
    "e",
    "i",
    "-",
    "0",
    "1",
    "9",
    ":",
    "1:a",
    "0:",
    "i0e",
    "de",
    "le",
    "99999999999999999999:",
  ],
  run: (bytes) => {
    const read = () => new Bencode(bytes, { maxValues: 1000, maxDepth: 50 });
    const { value, error } = outcomeOf(read, BencodeError, BencodeLimitError);
    if (error instanceof BencodeLimitError) return;
    const due = plainBencode(bytes);
    assert.is(value === undefined, due === undefined, error?.message ?? "");
    if (value === undefined || due === undefined) return;
    assert.equal(readBencode(value, value.root), due.value);
    assert.is(value.section(value.root).length, due.end);
    const number = value.integer(value.root);
    if (number !== undefined) assert.is(number, Number(due.value));
    value.findUncanonical(value.root);
  },
};

const NOW = Date.UTC(2026, 10, 28, 3);

const time: Target = {
  seeds: [
    "2026-11-28T03:00:00Z",
    "2024-02-29 23:59:59.999999999+05:30",
    "-10m",
    "-1.5h",
    "2026-02-30T00:00:00Z",
    "2026-01-01T24:00:00Z",
  ],
  words: ["-", ":", "T", "Z", "+", ".", "0", "1", "2", "9", "31", "60", "24", "s", "m", "h", "d", " "],
  run: (bytes) => {
    const text = textOf(bytes);
    const found = parseTime(text, NOW);
    const [, amount, unit] = /^-(\d{1,9}(?:\.\d{1,3})?)([smhd])$/.exec(text) ?? [];
    if (unit !== undefined) {
      const seconds = { s: 1, m: 60, h: 3600, d: 86400 }[unit]!;
      assert.is(found, NOW - Number(amount) * seconds * 1000);
      return;
    }
    const [, ...parts] =
      /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?([Zz]|[+ -]\d\d:\d\d)$/.exec(text) ??
        [];
    const [year, month, day, hour, minute, second] = parts.map(Number) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const [zoneHour, zoneMinute] = [Number(parts[7]?.slice(1, 3) || 0), Number(parts[7]?.slice(4) || 0)];
    const days = new Date(Date.UTC(2000 + year % 400, month, 0)).getUTCDate(); // Of that month; the calendar repeats.
    // RFC 3339, 5.6 and 5.7. A leap second is none that a computer's clock has.
    const isTime = parts.length > 0 && month >= 1 && month <= 12 && day >= 1 && day <= days && hour <= 23 &&
      minute <= 59 &&
      second <= 59 && zoneHour <= 23 && zoneMinute <= 59;
    assert.is(found !== undefined, isTime, text);
    if (!isTime) return;
    const date = new Date(0);
    date.setUTCFullYear(year, month - 1, day);
    date.setUTCHours(hour, minute, second, Number((parts[6] ?? "0").slice(0, 3).padEnd(3, "0")));
    const offset = (zoneHour * 60 + zoneMinute) * (parts[7]!.startsWith("-") ? -1 : 1);
    assert.is(found, date.getTime() - offset * 60_000, text);
  },
};

const flags: Target = {
  seeds: [
    "--port\n8085\n--host\n::1",
    "--heartbeat=off\n--history\n5",
    "--keep-age\n7d\n--log\njson",
    "--dialect\n7.5,8\n--path\n/a,/b",
    "--help",
  ],
  words: [
    "\n",
    "--port",
    "--host",
    "--heartbeat",
    "--keep-age",
    "--keep-bytes",
    "--dialect",
    "--path",
    "--api-key",
    "--nats",
    "--stream",
    "--data",
    "--log",
    "=",
    "off",
    "1e3",
    "0x10",
    "-1",
    "7d",
    ",",
    "65536",
    "",
    " ",
  ],
  run: (bytes) => {
    const args = textOf(bytes).split("\n");
    const { value, error } = outcomeOf(() => readServeOptions(args, {}), UsageError);
    if (error !== undefined) {
      assert.ok(error.message.length > 0 && !error.message.includes("\n"), error.message);
    }
    if (value === undefined || value === "help") return;
    assert.ok(Number.isInteger(value.port) && value.port >= 0 && value.port <= 65535);
    assert.ok(value.host !== "" && value.mounts.length > 0);
    const { heartbeat, stallTimeout, history, keepAlive } = value;
    for (const number of [heartbeat, stallTimeout, history, keepAlive]) {
      assert.ok(
        number === null || number === undefined || (number > 0 && Number.isFinite(number)),
        `${number}`,
      );
    }
  },
};

export const TARGETS: Readonly<Record<string, Target>> = {
  ndjson,
  sse,
  body,
  jsonText,
  cursor,
  accept,
  bencode,
  time,
  flags,
};
