/**
 * Bad queries, cursors and `Accept` headers.
 *
 * @module
 */
import { type Attack, get } from "../attacked.ts";
import { ENCODED_INJECTION, table, times } from "./table.ts";

// Queries and cursors.

const BROKEN_ESCAPES = [
  "%",
  "%2",
  "%zz",
  "%u0041",
  "%00",
  "%e0%a4",
  "%c0%af",
  "%e0%80%af",
  "%f8%88%80%80%80",
  "%ed%a0%80",
  "%ed%bf%bf",
  "%fe%ff",
  "%ff",
  "%f4%90%80%80",
];

// deno-fmt-ignore
const TYPES = [
  "nothing", "**", "*torrent", "to*rent", "torrent_**", "torrent_*x", "?", ".*", "torrent_finished%20x", "TORRENT_FINISHED", "torrent%5ffinishe", "__proto__", "constructor",
  "toString", "hasOwnProperty", "__proto__*", "torrent_finished,nothing", "torrent_finished;market_ask", "%22torrent_finished%22", "[torrent_finished]", "%7B%7D", "%3Cscript%3E",
  ENCODED_INJECTION, "a".repeat(8_000), "%F0%9F%98%80", "torrent_finished%00", "torrent_finished%0a,x", ...BROKEN_ESCAPES,
];

// deno-fmt-ignore
const BOOLEANS = [
  "", "yes", "no", "1", "0", "TRUE", "True", "null", "undefined", "true,true", "%20true", "true%00", "truefalse", "[]", "{}", "__proto__", ENCODED_INJECTION, "t".repeat(5_000),
  "%22true%22", ...BROKEN_ESCAPES,
];

// deno-fmt-ignore
const FORMATS = [
  "xml", "json", "NDJSON", "SSE", "ndjson,sse", "%20ndjson", "ndjson%00", "ndjson%0a", "__proto__", "constructor", "*", "*/*", "application/x-ndjson", "text/event-stream",
  ENCODED_INJECTION, "n".repeat(5_000), ...BROKEN_ESCAPES,
];

/** Malformed cursors, and cursors ahead of the channel; `EPOCH` stands for that of the channel. */
// deno-fmt-ignore
const CURSORS = [
  "x", "-", "--", "1", "-1", "EPOCH", "EPOCH-", "-5", "EPOCH--1", "EPOCH-+1", "EPOCH-01", "EPOCH-1.0", "EPOCH-1e0", "EPOCH-1e3", "EPOCH-0x1", "EPOCH-1n", "EPOCH-NaN",
  "EPOCH-Infinity", "EPOCH-1_0", "EPOCH-1,2", "EPOCH-1-1", "EPOCH_1", "EPOCH-99999999", "EPOCH-9007199254740991", "EPOCH-9007199254740992", "EPOCH-9999999999999999",
  "EPOCH-99999999999999999999", "EPOCH-1x", "xEPOCH--1", "Earliest", "LATEST", "now", "0", "null", "undefined", "true", "[object Object]", "__proto__", "__proto__-1",
  "EPÖCH-1", "EPOCH-\xb9", "EPOCH-1;", "\"EPOCH-1\"", "'EPOCH-1'", "EPOCH-1\\", "<EPOCH-1>", `EPOCH-${"1".repeat(5_000)}`, `${"a".repeat(5_000)}-1`, `${"a".repeat(33)}-1`,
];

/** Malformed cursors that only a URL can contain. */
// deno-fmt-ignore
const ESCAPED_CURSORS = [
  "EPOCH-1%20", "%20EPOCH-1", "EPOCH-1%0a", "EPOCH-1%0d%0a", "EPOCH%00-1", "EPOCH-1%00", "EPOCH-%d9%a2", "EPOCH-1%e2%80%a8", "EPOCH%2d%2d1", `EPOCH-1${ENCODED_INJECTION}`,
  "latest%20", "earliest%00", ...BROKEN_ESCAPES,
];

// deno-fmt-ignore
const QUERIES = [
  "?", "?&&&", "?=", "?===", "??", "?%", "?%=%", "?&=&=", "?__proto__=x", "?__proto__[x]=1", "?constructor[prototype][x]=1", "?types[]=x", "?toString=x", "?since", "?format&types",
  "?%74%79%70es=", "?types=&types=&types=", "?types=,,,,", `?types=${",".repeat(8_000)}`, "?types=%20", "?types=+", "?follow=false&follow=true", "?format=sse&format=ndjson", "?bookmarks=true&bookmarks=x",
  `?${times(2_000, (n) => `a${n}&`)}`, `?${"a".repeat(8_000)}`, `?x=${ENCODED_INJECTION}`, "?since=latest&since=earliest", "?key=x", "?key=", "?types=*", "?types=*,nothing*",
  `?types=${"torrent_finished,".repeat(500)}`, "?since=latest#x", "?a=b?c=d", "?;follow=false",
];

/** For each query parameter, and for cursors in the header as well; `epoch` is that of the channel. */
export function queries(epoch: string): Attack[] {
  const cursor = (text: string) => text.replaceAll("EPOCH", epoch);
  return [
    ...table("types", TYPES, (value) => ({ bytes: get(`/events?types=${value}`), due: "UnknownEventType" })),
    ...table(
      "follow",
      BOOLEANS,
      (value) => ({ bytes: get(`/events?follow=${value}`), due: "InvalidParameter" }),
    ),
    ...table(
      "bookmarks",
      BOOLEANS,
      (value) => ({ bytes: get(`/events?bookmarks=${value}`), due: "InvalidParameter" }),
    ),
    ...table(
      "format",
      FORMATS,
      (value) => ({ bytes: get(`/events?format=${value}`), due: "InvalidParameter" }),
    ),
    ...table("since", CURSORS, (value) => ({
      bytes: get(`/events?since=${encodeURIComponent(cursor(value))}`),
      due: "InvalidCursor",
    })),
    ...table("since", ESCAPED_CURSORS, (value) => ({
      bytes: get(`/events?since=${cursor(value)}`),
      due: "InvalidCursor",
    })),
    ...table("Last-Event-ID", CURSORS, (value) => ({
      bytes: get("/events?since=latest", `Last-Event-ID: ${cursor(value)}`),
      due: "InvalidCursor",
    })),
    ...table("Last-Event-ID, twice", ["EPOCH-0", "latest", "x"], (value) => ({
      bytes: get("/events", `Last-Event-ID: ${cursor(value)}`, `Last-Event-ID: ${cursor(value)}`),
      due: "InvalidCursor",
    })),
    ...table(
      "a cursor of another epoch",
      ["x-1", "0-0", "constructor-1", "abc-9007199254740991"],
      (value) => ({
        bytes: get(`/events?follow=false&since=${value}`),
        due: 200,
      }),
    ),
    ...table("query", QUERIES, (value) => ({ bytes: get(`/events${value}`), endless: true })),
    ...table("a query too long", ["types", "since", "follow", "format", "x"], (name) => ({
      bytes: get(`/events?${name}=${"a".repeat(100_000)}`),
      by: "any",
    })),
  ];
}

// Accept.

// deno-fmt-ignore
const ACCEPTS = [
  "text/html", "application/json", "text/*", "image/*;q=1", "*/*;q=0", "application/x-ndjson;q=0", "application/x-ndjson;q=2", "application/x-ndjson;q=-1", "application/x-ndjson;q=",
  "application/x-ndjson;q", "application/x-ndjson;q=x", "application/x-ndjson;q=0.0001", "application/x-ndjson;q=1.1", "application/x-ndjson;q=1e0", "application/x-ndjson;q=NaN",
  "application/x-ndjson;q=Infinity", "application/x-ndjson;q=0x1", "application/x-ndjson;q=.5", "application/x-ndjson;q=1.", "application/x-ndjson;q=\"1\"", "application/x-ndjson;;;q=1",
  "application/x-ndjson;q=1;q=0", "application/x-ndjson;level=1;q=0.3", "application/x-ndjson;a=\"", "application/x-ndjson;a=\"\\\"", "application/x-ndjson;a=\",text/html\"", ",", ",,,,", ";", ";q=1",
  "/", "*", "*/", "/*", "*/x", "**/**", "a/b/c", "application/", "application", "application/x-ndjson/", "APPLICATION/X-NDJSON", "application/x-ndjson text/event-stream", "text/event-stream\t;\tq=1",
  "text/event-stream;q=0.5,application/x-ndjson;q=0.5", "\"", "\"\"", "(comment)", "text/event-stream;charset=utf-16", "__proto__/x", "constructor/x", "*/*".repeat(2_000), "*/*,".repeat(2_000),
  "a/b;q=0.1,".repeat(800), `a/b;x="${"\\\"".repeat(3_000)}`, `${"a".repeat(8_000)}/b`, "\xff/\xff", ";".repeat(8_000), "q=1,".repeat(2_000),
];

export const accepts: Attack[] = [
  ...table("Accept", ACCEPTS, (value) => ({ bytes: get("/events?follow=false", `Accept: ${value}`) })),
  ...table("Accept, twice", ["text/html", "*/*", '"'], (value) => ({
    bytes: get("/events?follow=false", `Accept: ${value}`, `Accept: ${value}`),
  })),
];
