/**
 * Bad lengths, chunks and bodies.
 *
 * @module
 */
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { type Attack, bytes, post } from "../attacked.ts";
import { GOOD_BODY, JSON_TYPE, MIB, NDJSON, shown, SMUGGLED, table, times } from "./table.ts";

// Lengths of bodies, and requests hidden in them.

/** Fields of a `POST` about the length of its body, and the bytes that follow. */
// deno-fmt-ignore
const FRAMINGS: readonly (readonly [fields: string, body: string])[] = [
  ...["-1", "+2", "2x", "0x2", "2e0", "2.0", "", " ", "2, 2", "2, 3", "2 2", "two", "\x00", "\xb2", "18446744073709551616", "18446744073709551618",
    "9007199254740993", "99999999999999999999999", "00000000000000000002", "\xd9\xa2"].map((length): [string, string] => [`Content-Length: ${length}`, "{}"]),
  ["Content-Length: 2\r\nContent-Length: 2", "{}"], ["Content-Length: 2\r\nContent-Length: 3", "{}"], ["Content-Length: 2\r\ncontent-length: 0", "{}"],
  ["Content-Length : 2", "{}"], ["Content-Length\x00: 2", "{}"], ["Content_Length: 2", "{}"], ["Content-Length: 2\r\n 2", "{}"],
  ...["xchunked", "chunked, gzip", "gzip, chunked", "chunked, chunked", "chunked, identity", "identity", "identity, chunked", "\"chunked\"", "chunked;q=1", "chunked\x0b",
    "\x0bchunked", "CHUNKED", "chunked,", ",chunked", "", "chunke", "chunkedd", "trailers"].map((coding): [string, string] => [`Transfer-Encoding: ${coding}`, "2\r\n{}\r\n0\r\n\r\n"]),
  ["Transfer-Encoding : chunked", "2\r\n{}\r\n0\r\n\r\n"], ["Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "2\r\n{}\r\n0\r\n\r\n"],
  ["Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", "2\r\n{}\r\n0\r\n\r\n"], ["Transfer-Encoding:\r\n chunked", "2\r\n{}\r\n0\r\n\r\n"],
  ["Transfer_Encoding: chunked", "2\r\n{}\r\n0\r\n\r\n"], ["Transfer-Encoding\x00: chunked", "2\r\n{}\r\n0\r\n\r\n"], ["X: a\nTransfer-Encoding: chunked", "2\r\n{}\r\n0\r\n\r\n"],
];

// deno-fmt-ignore
const CHUNKS = [
  "g\r\n{}\r\n0\r\n\r\n", "-1\r\n{}\r\n0\r\n\r\n", "+2\r\n{}\r\n0\r\n\r\n", "0x2\r\n{}\r\n0\r\n\r\n", " 2\r\n{}\r\n0\r\n\r\n", "2 \r\n{}\r\n0\r\n\r\n", "\r\n{}\r\n0\r\n\r\n",
  "2\n{}\n0\n\n", "2\r{}\r0\r\r", "2;\r\n{}\r\n0\r\n\r\n", "2;a=b\r\n{}\r\n0\r\n\r\n", "2;a=\"b\r\nX: y\"\r\n{}\r\n0\r\n\r\n", `2;${"a".repeat(100_000)}\r\n{}\r\n0\r\n\r\n`,
  "2;a\nX\r\n{}\r\n0\r\n\r\n", "2\r\n{}0\r\n\r\n", "2\r\n{}X\r\n0\r\n\r\n", "3\r\n{}\r\n0\r\n\r\n", "1\r\n{}\r\n0\r\n\r\n", "2\r\n{}\r\n", "2\r\n{}\r\n0\r\n", "2\r\n{}", "2\r\n{",
  "ffffffffffffffff\r\n{}", "10000000000000002\r\n{}\r\n0\r\n\r\n", "fffffffffffffffffffffffffffff\r\n{}", "7fffffffffffffff\r\n{}", "80000000\r\n{}", `${"0".repeat(1_000)}2\r\n{}\r\n0\r\n\r\n`,
  "2\r\n{}\r\n00000\r\n\r\n", "2\r\n{}\r\n-0\r\n\r\n", "2\r\n{}\r\n0;a\r\n\r\n", "2\r\n{}\r\n0\r\nX: y\r\n\r\n", "2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n",
  "2\r\n{}\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", "2\r\n{}\r\n0\r\nX-Injected: 1\r\n\r\n", "2\r\n{}\r\n0\r\nHost: evil.example\r\n\r\n", `2\r\n{}\r\n0\r\nX: ${"y".repeat(100_000)}\r\n\r\n`,
  `2\r\n{}\r\n0\r\n${times(5_000, (n) => `X-${n}: y\r\n`)}\r\n`, "2\r\n{}\r\n0\r\n X\r\n\r\n", "2\r\n{}\r\n0\r\n\x00: y\r\n\r\n", "0\r\n\r\n", "\r\n\r\n",
];

/** Fields of a body that hides another request if they are misread. */
// deno-fmt-ignore
const SMUGGLING = [
  `Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`, `Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  `Content-Length: ${SMUGGLED.length + 5}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`, `Content-Length: ${SMUGGLED.length + 5}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  `Content-Length: ${SMUGGLED.length + 5}\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${SMUGGLED}`, `Content-Length: ${SMUGGLED.length + 5}\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  `Content-Length: ${SMUGGLED.length + 5}\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n${SMUGGLED}`, `Content-Length: ${SMUGGLED.length + 5}\r\nX: a\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  `Content-Length: 0\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`, `Content-Length: ${SMUGGLED.length}\r\nContent-Length: 0\r\n\r\n${SMUGGLED}`,
  `Content-Length: 0, ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`, `Content-Length: +0\r\n\r\n${SMUGGLED}`, `Content-Length:\r\n ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  `Transfer-Encoding: chunked\r\n\r\n0;\n\r\n\r\n${SMUGGLED}`, `Transfer-Encoding: chunked\r\n\r\n${SMUGGLED.length.toString(16)};a\nb\r\n${SMUGGLED}\r\n0\r\n\r\n`,
];

const POST_HEAD = `POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${JSON_TYPE}\r\n`;

export const framings: Attack[] = [
  ...FRAMINGS.map(([fields, body]): Attack => ({
    name: `framing: ${shown(fields)}`,
    bytes: bytes(`${POST_HEAD}${fields}\r\n\r\n${body}`),
    by: "any",
    then: "end",
  })),
  ...table("chunks", CHUNKS, (chunks) => ({
    bytes: bytes(`${POST_HEAD}Transfer-Encoding: chunked\r\n\r\n${chunks}`),
    by: "any",
    then: "end",
  })),
  ...table("smuggling", SMUGGLING, (rest) => ({
    bytes: bytes(POST_HEAD + rest),
    by: "any",
    then: "end",
    accepts: 0,
    answers: 3,
  })),
  ...table("a body with a GET", [
    "Content-Length: 2\r\n\r\n{}",
    "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
  ], (rest) => ({
    bytes: bytes(`GET /events?follow=false HTTP/1.1\r\nHost: localhost\r\n${rest}`),
    by: "any",
  })),
  {
    name: "a POST of HTTP/1.0 in chunks",
    bytes: bytes(POST_HEAD.replace("1.1", "1.0") + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
    by: "any",
    then: "end",
  },
  { name: "a POST without a length", bytes: bytes(`${POST_HEAD}\r\n`), due: "InvalidEvent" },
  { name: "Expect: 100-continue", bytes: post(GOOD_BODY, JSON_TYPE, "Expect: 100-continue"), due: 202 },
];

// Bodies.

// deno-fmt-ignore
const NOT_JSON = [
  "", " ", "\n", "\t\r\n ", "{", "}", "[", "]", "[[", "{}}", "[]]", "{\"", "{\"type\"", "{\"type\":", "{\"type\":\"upgrader_tick\"", "{type:\"upgrader_tick\"}", "{'type':'upgrader_tick'}",
  "{\"type\":\"upgrader_tick\",}", "[{},]", "[,]", "{,}", "undefined", "NaN", "Infinity", "-", "+1", "01", "1.", ".5", "1e", "0x10", "1_000", "1n", "tru", "nul", "True", "\"", "\"\\", "\"\\x41\"", "\"\\u12\"",
  "\"\t\"", "\"\n\"", "\"\0\"", "// x\n{}", "/* x */{}", "{}/*", "#", "<xml/>", "type=upgrader_tick", "--x\r\nContent-Disposition: form-data\r\n\r\nx\r\n--x--", `${GOOD_BODY}x`, `${GOOD_BODY}\0`,
  `${GOOD_BODY}${GOOD_BODY}`, `${GOOD_BODY},${GOOD_BODY}`, `x${GOOD_BODY}`, `\0${GOOD_BODY}`, `\ufeff\ufeff${GOOD_BODY}`, `)]}',\n${GOOD_BODY}`, "\u2028", "\u00a0{}", "function(){}", "(()=>{})()", "{}{}",
];

/** JSON that is not a valid event. */
// deno-fmt-ignore
const NOT_EVENTS = [
  "{}", "[]", "[[]]", "[{}]", "null", "true", "0", "-0", "1e999", "-1e999", "\"\"", "\"upgrader_tick\"", "[null]", "[1,2]", "[\"upgrader_tick\"]", '{"type":null}', '{"type":1}', '{"type":true}', '{"type":[]}', '{"type":{}}',
  '{"type":""}', '{"type":"nothing"}', '{"type":"__proto__"}', '{"type":"constructor"}', '{"type":"toString"}', '{"type":"hasOwnProperty","event":{}}', '{"type":["upgrader_tick"],"event":{"text":"x"}}',
  '{"type":"upgrader_tick"}', '{"type":"upgrader_tick","event":null}', '{"type":"upgrader_tick","event":[]}', '{"type":"upgrader_tick","event":"x"}', '{"type":"upgrader_tick","event":{}}',
  '{"type":"upgrader_tick","event":{"text":null}}', '{"type":"upgrader_tick","event":{"text":1}}', '{"type":"upgrader_tick","event":{"text":["x"]}}', '{"type":"upgrader_tick","event":{"text":{"toString":"x"}}}',
  '{"type":"upgrader_tick","event":{"TEXT":"x"}}', '{"type":"upgrader_tick","event":{"text ":"x"}}', '{"type":"upgrader_tick","event":{"__proto__":{"text":"x"}}}', '{"__proto__":{"type":"upgrader_tick","event":{"text":"x"}}}',
  '{"type":"upgrader_tick","event":{"text":"x"},"__proto__":{}}', '{"type":"upgrader_tick","event":{"text":"x"},"id":"x-1"}', '{"type":"upgrader_tick","event":{"text":"x"},"time":"2026-01-01T00:00:00.000Z"}',
  '{"type":"upgrader_tick","event":{"text":"x"},"":0}', '{"type":"upgrader_tick","event":{"text":"x"},"constructor":{}}', '{"type":"upgrader_tick ","event":{"text":"x"}}', '{"type":"upgrader_tick\\u0000","event":{"text":"x"}}',
  '{"type":"upgrader_tick\\r\\nX-Injected: 1","event":{"text":"x"}}', '{"type":"upgrader_tick\\ndata: injected","event":{"text":"x"}}', '{"Type":"upgrader_tick","event":{"text":"x"}}', '{"type":"tribler_started","event":{}}',
  '{"type":"tribler_started","event":0}', '{"type":"events_start","event":{"heartbeat":1}}', '{"type":"events_lost","event":{"reason":"slow_consumer","count":1}}', '{"type":"events_bookmark"}', '{"type":"events_*"}', '{"type":"*"}',
  '{"type":"upgrader_tick","event":{"text":"x","n":9007199254740993}}', '{"type":"upgrader_tick","event":{"text":"x","n":-9007199254740993}}', '{"type":"upgrader_tick","event":{"text":"x","n":1e400}}',
  `{"type":"upgrader_tick","event":{"text":"x","n":${"9".repeat(400)}}}`, `{"type":"upgrader_tick","event":{"text":"x","n":${"9".repeat(100_000)}}}`, '{"type":"nothing","type":"events_start"}',
  '{"type":"upgrader_tick","event":{"text":"x"},"event":{}}', `[${GOOD_BODY},{}]`, `[${GOOD_BODY},null]`, `[${GOOD_BODY},${GOOD_BODY.replace("upgrader_tick", "nothing")}]`, `[[${GOOD_BODY}]]`,
  `{"type":"upgrader_tick","event":{"text":"x","a":${"[".repeat(63)}${"]".repeat(63)}}}`, `{"type":"upgrader_tick","event":{"text":"x","a":${'{"a":'.repeat(64)}0${"}".repeat(64)}}}`, "[".repeat(100_000) + "]".repeat(100_000),
  "[".repeat(200_000), '{"a":'.repeat(100_000), `${'{"a":'.repeat(50_000)}0${"}".repeat(50_000)}`, `{"type":"upgrader_tick","event":{"text":"x","a":${"[".repeat(100_000)}${"]".repeat(100_000)}}}`, `{${times(20_000, (n) => `"k${n}":0,`)}"z":0}`, `{"${"k".repeat(500_000)}":0}`, '{"type":"' + "t".repeat(500_000) + '"}', `{"type":"upgrader_tick","event":{"text":"x","${"k".repeat(100_000)}":9007199254740993}}`,
];

// deno-fmt-ignore
const NOT_UTF8 = [
  "\xff", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xed\xb0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xfe\xff", "\xff\xfe", "\x80", "\xc3", "\xe2\x82", "\xf0\x9f\x98",
];

// deno-fmt-ignore
const MEDIA_TYPES = [
  "", "text/plain", "text/plain; application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json", "application/jsonx", "application/json5", "application/ld+json", "application/problem+json",
  "json", "application/", "/json", "*/*", "application/*", ",", ";", "application/json, text/plain", "application/json charset=utf-8", "application/json; charset=utf-16", "application/json; charset=latin1", "application/json; charset=",
  "application/json; charset=utf-7", "application/json; charset=\"utf-16\"", "application/x-ndjson; charset=utf-32", "text/event-stream", "application/octet-stream", "application/cbor", "application/xml", "__proto__", "constructor/x",
  "application\\json", "application/json\xff", "a".repeat(8_000), `application/json${" ".repeat(8_000)}x`, "application/jso\u00f1", "\"application/json\"", "application /json", "applicationjson",
];

const CODINGS: readonly (readonly [name: string, content: Uint8Array])[] = [
  ["gzip", gzipSync(GOOD_BODY)],
  ["x-gzip", gzipSync(GOOD_BODY)],
  ["deflate", deflateSync(GOOD_BODY)],
  ["br", brotliCompressSync(GOOD_BODY)],
  ["zstd", bytes("\x28\xb5\x2f\xfd")],
  ["gzip, gzip", gzipSync(gzipSync(GOOD_BODY))],
  ["gzip", gzipSync(Buffer.alloc(50 * MIB))],
  ["gzip", bytes(GOOD_BODY)],
  ["nonsense", bytes(GOOD_BODY)],
  ["identity, gzip", bytes(GOOD_BODY)],
  ["aws-chunked", bytes(GOOD_BODY)],
];

/** Bodies that are accepted, and must be delivered unchanged. */
// deno-fmt-ignore
const ODD = [
  `\ufeff${GOOD_BODY}`, `\r\n\t ${GOOD_BODY}\r\n\t `, '{"type":"upgrader_tick","type":"upgrader_tick","event":{"text":"twice"}}', '{"type":"upgrader_tick","event":{"text":"x","__proto__":{"polluted":true}}}',
  '{"type":"upgrader_tick","event":{"text":"x","constructor":{"prototype":{"polluted":true}}}}', '{"type":"upgrader_tick","event":{"text":"x","toJSON":"x"}}', '{"type":"upgrader_tick","event":{"text":"x","then":"x"}}',
  '{"type":"upgrader_tick","event":{"text":"\\r\\ndata: injected\\r\\n\\r\\nid: x\\r\\n"}}', '{"type":"upgrader_tick","event":{"text":"\\u2028\\u2029\\u0085\\u0000\\ud800\\udc00\\ud800\\udfff"}}', '{"type":"upgrader_tick","event":{"text":"\\ud800"}}',
  `{"type":"upgrader_tick","event":{"text":${JSON.stringify("\0".repeat(50_000))}}}`, `{"type":"upgrader_tick","event":{"text":${JSON.stringify("😀".repeat(50_000))}}}`, '{"type":"upgrader_tick","event":{"text":"x","a":-0,"b":1e-400,"c":1e308}}',
  `{"type":"upgrader_tick","event":{"text":"x","a":${"[".repeat(62)}${"]".repeat(62)}}}`, '{"\\u0074ype":"upgrader_tick","event":{"text":"x"}}',
];

export const bodies: Attack[] = [
  ...table("too many at once", [`[${"{},".repeat(50_000)}{}]`, `[${"0,".repeat(200_000)}0]`], (text) => ({
    bytes: post(text, JSON_TYPE),
    due: "PayloadTooLarge",
  })),
  ...[...NOT_JSON, ...NOT_EVENTS].flatMap((text): Attack[] => {
    const content = new TextEncoder().encode(text);
    const asLines: Attack[] = /[\n\r]|^\[*{}{}/.test(text)
      ? []
      : [{ name: `a line: ${shown(text)}`, bytes: post(content, NDJSON), due: "InvalidEvent" }];
    return [
      { name: `body: ${shown(text)}`, bytes: post(content, JSON_TYPE), due: "InvalidEvent" },
      ...asLines,
    ];
  }),
  ...table("not UTF-8", NOT_UTF8, (text) => ({
    bytes: post(bytes(`{"type":"upgrader_tick","event":{"text":"${text}"}}`), JSON_TYPE),
    due: "InvalidEvent",
  })),
  ...table("not UTF-8, at the end", NOT_UTF8, (text) => ({
    bytes: post(bytes(`${GOOD_BODY}\n${text}`), NDJSON),
    due: "InvalidEvent",
  })),
  ...["utf16le" as const, "latin1" as const].map((encoding): Attack => ({
    name: `body in ${encoding}`,
    bytes: post(Buffer.from(GOOD_BODY.replace("attacked", "é"), encoding), JSON_TYPE),
    due: "InvalidEvent",
  })),
  ...table("media type", MEDIA_TYPES, (type) => ({
    bytes: post(GOOD_BODY, type),
    due: "UnsupportedMediaType",
  })),
  ...CODINGS.map(([name, content]): Attack => ({
    name: `content coding: ${name} (${content.length})`,
    bytes: post(content, JSON_TYPE, `Content-Encoding: ${name}`),
    due: "UnsupportedMediaType",
  })),
  ...table(
    "odd, and accepted",
    ODD,
    (text) => ({ bytes: post(new TextEncoder().encode(text), JSON_TYPE), due: 202 }),
  ),
  ...table("too large", ["Content-Length", "chunked"], (how) => {
    const content = `${GOOD_BODY}\n`.repeat(Math.ceil((MIB + 1) / (GOOD_BODY.length + 1)));
    const chunks = `${POST_HEAD}Transfer-Encoding: chunked\r\n\r\n${
      content.length.toString(16)
    }\r\n${content}\r\n0\r\n\r\n`;
    return { bytes: how === "chunked" ? bytes(chunks) : post(content, NDJSON), due: "PayloadTooLarge" };
  }),
  ...table("far too large", ["Content-Length", "chunked"], (how) => {
    const content = "x".repeat(8 * MIB);
    const chunks = `${POST_HEAD}Transfer-Encoding: chunked\r\n\r\n${
      content.length.toString(16)
    }\r\n${content}\r\n0\r\n\r\n`;
    return { bytes: how === "chunked" ? bytes(chunks) : post(content, JSON_TYPE), by: "any" };
  }),
  {
    name: "a length far too large, and nothing behind it",
    bytes: bytes(`${POST_HEAD}Content-Length: 9007199254740991\r\n\r\n`),
    by: "any",
    due: "PayloadTooLarge",
  },
  ...table("cut off", [GOOD_BODY.slice(0, 20), GOOD_BODY.slice(0, -1), ""], (text) => ({
    bytes: bytes(`${POST_HEAD}Content-Length: ${GOOD_BODY.length}\r\n\r\n${text}`),
    by: "any",
    then: "end",
  })),
  ...table("cut off after a whole line", [`${GOOD_BODY}\n`, `${GOOD_BODY}\n${GOOD_BODY}\n`], (text) => ({
    bytes: bytes(`${POST_HEAD.replace(JSON_TYPE, NDJSON)}Content-Length: 500\r\n\r\n${text}`),
    by: "any",
    then: "end",
  })),
];
