/**
 * Bad input, in tables: each entry is one way to break a server that was seen somewhere, or that a standard invites.
 *
 * In the heads of requests each character is one byte (Latin-1).
 *
 * @module
 */
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { type Attack, bytes, get, post } from "./attacked.ts";

const KIB = 1024;
const MIB = KIB * KIB;
const JSON_TYPE = "application/json";
const NDJSON = "application/x-ndjson";
const GOOD = { type: "upgrader_tick", event: { text: "attacked" } };
const GOOD_BODY = JSON.stringify(GOOD);
/** Becomes a header, or an event, where somebody lets it. */
const INJECTION = "\r\nX-Injected: 1\r\ndata: injected\r\n\r\n";
/** The same in a URL. */
const ENCODED_INJECTION = encodeURIComponent(INJECTION);
/** A request that nobody may see as one: where it is accepted an event is published that nobody accounts for. */
const SMUGGLED = Buffer.from(post(GOOD_BODY, JSON_TYPE)).toString("latin1");

/** Names the entries of a table by what is in them. */
function table(
  group: string,
  values: readonly string[],
  make: (value: string) => Omit<Attack, "name">,
): Attack[] {
  return values.map((value) => ({ name: `${group}: ${shown(value)}`, ...make(value) }));
}

function shown(value: string): string {
  const text = JSON.stringify(value);
  return text.length <= 100 ? text : `${text.slice(0, 70)}… (${value.length})`;
}

function times(count: number, make: (n: number) => string): string {
  return Array.from({ length: count }, (_, n) => make(n)).join("");
}

// Request lines.

// deno-fmt-ignore
const REQUEST_LINES = [
  "GET", "GET /events", "GET  /events?follow=false  HTTP/1.1", "GET\t/events?follow=false\tHTTP/1.1",
  " GET /events?follow=false HTTP/1.1", "GET /events?follow=false HTTP/1.1 more", "GET /events HTTP/0.9",
  "GET /events?follow=false HTTP/1.2", "GET /events?follow=false HTTP/2.0", "GET /events HTTP/9.9", "GET /events HTTP/1",
  "GET /events HTTP/1.1.1", "GET /events HTTP/11", "GET /events HTTP/-1.1", "GET /events http/1.1", "GET /events HTTPS/1.1",
  "GET /events ICE/1.0", "GET /events HTTP/1.\x31\x00", "GET /events HTTP/", "GET /events HTTP", "get /events HTTP/1.1",
  "G\x00T /events HTTP/1.1", "G\xc9T /events HTTP/1.1", "G{T /events HTTP/1.1", "(GET) /events HTTP/1.1",
  "FOO /events HTTP/1.1", "__proto__ /events HTTP/1.1", "constructor /events HTTP/1.1", `${"G".repeat(100)} /events HTTP/1.1`,
  `${"G".repeat(70_000)} /events HTTP/1.1`, "PUT /events HTTP/1.1", "PATCH /events HTTP/1.1", "DELETE /events HTTP/1.1",
  "TRACE /events HTTP/1.1", "OPTIONS /events HTTP/1.1", "OPTIONS * HTTP/1.1", "PROPFIND /events HTTP/1.1",
  "QUERY /events HTTP/1.1", "CONNECT localhost:80 HTTP/1.1", "CONNECT /events HTTP/1.1", "PRI * HTTP/2.0", "GET * HTTP/1.1",
  "GET events HTTP/1.1", "GET ?follow=false HTTP/1.1", "GET #events HTTP/1.1", "GET /events#part HTTP/1.1",
  "GET //events HTTP/1.1", "GET ///evil.example/events HTTP/1.1", "GET /events/ HTTP/1.1", "GET /events// HTTP/1.1",
  "GET /events/../events?follow=false HTTP/1.1", "GET /./events?follow=false HTTP/1.1", "GET /../../etc/passwd HTTP/1.1",
  "GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1", "GET /events/..%2f..%2fpackage.json HTTP/1.1", "GET /events%00 HTTP/1.1",
  "GET /events%0d%0aX-Injected:%201 HTTP/1.1", "GET /%65vents?follow=false HTTP/1.1", "GET /events; HTTP/1.1",
  "GET /events%zz HTTP/1.1", "GET /% HTTP/1.1", "GET /%c0%ae%c0%ae/ HTTP/1.1", "GET /%ed%a0%80 HTTP/1.1", "GET /EVENTS HTTP/1.1",
  "GET \\events HTTP/1.1", "GET /\\evil.example HTTP/1.1", "GET /ev\x00nts HTTP/1.1", "GET /ev\x01nts HTTP/1.1",
  "GET /ev\x7fnts HTTP/1.1", "GET /ev\xe9nts HTTP/1.1", "GET /ev\xc3\xa9nts HTTP/1.1", "GET /ev\rnts HTTP/1.1", "GET /ev nts HTTP/1.1",
  "GET /__proto__ HTTP/1.1", "GET /constructor HTTP/1.1", "GET /toString HTTP/1.1", "GET /events/__proto__ HTTP/1.1",
  "GET http://localhost/events?follow=false HTTP/1.1", "GET HTTP://LOCALHOST/events?follow=false HTTP/1.1",
  "GET http:///events HTTP/1.1", "GET http://[::1/events HTTP/1.1", "GET http://localhost:99999/events HTTP/1.1",
  "GET http://user:word@localhost/events?follow=false HTTP/1.1", "GET file:///etc/passwd HTTP/1.1", "GET javascript:alert(1) HTTP/1.1",
  "GET data:text/html,x HTTP/1.1", "GET ws://localhost/events HTTP/1.1", "GET localhost:80 HTTP/1.1",
  `GET /${"a".repeat(15_000)} HTTP/1.1`, `GET /${"a".repeat(100_000)} HTTP/1.1`, `GET /${"../../".repeat(5_000)} HTTP/1.1`,
  `GET /${"%2f".repeat(5_000)} HTTP/1.1`, `GET ${"/".repeat(10_000)} HTTP/1.1`, `GET /${"a".repeat(2_000_000)} HTTP/1.1`,
];

/** Whole heads that are no HTTP, or not quite. After them the client says no more. */
// deno-fmt-ignore
const JUNK = [
  "", "\r\n", "\r\n\r\n", "\n\n\n\n", "\0".repeat(100), "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "SSH-2.0-OpenSSH_9.6\r\n",
  "\x04\x01\x00\x50\x7f\x00\x00\x01\x00", "\x05\x01\x00", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
  "*1\r\n$4\r\nPING\r\n", "EHLO localhost\r\n", "GET /events\r\n", "GET /events\n", "GET /events?follow=false HTTP/1.1\nHost: localhost\n\n",
  "GET /events?follow=false HTTP/1.1\rHost: localhost\r\r", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "{\"type\":\"upgrader_tick\"}\n",
  "\xff\xfe".repeat(1000), "A".repeat(100_000), "\r\n".repeat(10_000), ": :\r\n\r\n", "\ufeffGET / HTTP/1.1\r\n\r\n",
];

export const requestLines: Attack[] = [
  ...table("request line", REQUEST_LINES, (line) => ({
    bytes: bytes(`${line}\r\nHost: localhost\r\n\r\n`),
    by: "anybody",
    endless: true,
    then: "end",
  })),
  ...table("no request", JUNK, (text) => ({ bytes: bytes(text), by: "anybody", then: "end", answers: 2 })),
  ...table("HEAD", ["/events", "/events?since=x", "/events?types=x", "/healthz", "/nothing"], (target) => ({
    bytes: bytes(`HEAD ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`),
    isHead: true,
  })),
  ...table("HTTP/1.0", ["/events?follow=false", "/events", "/healthz", "/events?since=x"], (target) => ({
    bytes: bytes(`GET ${target} HTTP/1.0\r\n\r\n`),
    by: "anybody",
    endless: true,
  })),
  {
    name: "a hundred requests at once",
    bytes: bytes(
      ...Array.from({ length: 100 }, (_, n) => get(`/events?follow=false&since=${n % 2 ? "x" : "latest"}`)),
    ),
    answers: 100,
  },
  {
    name: "a hundred events at once",
    bytes: bytes(...Array.from({ length: 100 }, () => post(GOOD_BODY, JSON_TYPE))),
    answers: 100,
  },
  {
    name: "a refused body, and a good one behind it",
    bytes: bytes(post("{", JSON_TYPE), post(GOOD_BODY, JSON_TYPE)),
    answers: 2,
  },
  {
    name: "a stream that stays open, and requests behind it",
    bytes: bytes(get("/events"), get("/healthz")),
    endless: true,
  },
];

// Header fields.

const CONTROLS = Array.from({ length: 32 }, (_, code) => String.fromCharCode(code)).concat("\x7f");

// deno-fmt-ignore
const FIELDS = [
  "X", ": x", " : x", "X : x", "X\t: x", "\tX: x", " X: x", "X\x00: x", "X\r: x", "X\n: x", "X\xe9: x", "X\xc3\xa9: x", "X Y: x", "X: a\r\n folded",
  "X: a\r\n\tfolded", "X: a\r\n \r\n b", ...[..."()<>@,;\\\"/[]?={}"].map((char) => `X${char}Y: x`),
  ...CONTROLS.filter((char) => char !== "\n").map((char) => `X: a${char}b`), "X: a\nX-Injected: 1", "X: a\rX-Injected: 1", `X: ${"a".repeat(15_000)}`,
  `X: ${"a".repeat(70_000)}`, `X: ${"a".repeat(1_000_000)}`, `${"X".repeat(70_000)}: a`, times(99, (n) => `X-${n}: a\r\n`) + "X: a",
  times(1_000, (n) => `X-${n}: a\r\n`) + "X: a", times(5_000, (n) => `X-${n}: a\r\n`) + "X: a", times(500, () => "X: a\r\n") + "X: a",
  times(500, () => "Cookie: a=b\r\n") + "X: a", "__proto__: x", "constructor: x", "toString: x", "hasOwnProperty: x", "__proto__: a\r\n__proto__: b",
  ":method: GET", "Connection: close, Host, Accept", "Connection: Last-Event-ID", "Connection: ,,,", "Connection: Upgrade\r\nUpgrade: websocket",
  "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__", "Upgrade: " + "x,".repeat(1000) + "x", "Expect: nonsense",
  "Keep-Alive: timeout=-1, max=-1", "Range: bytes=0-1", "Range: bytes=99999999999999999999-", "If-None-Match: *", "If-Modified-Since: never",
  "If-Match: \"x\"", "Accept-Encoding: gzip, br, *;q=0", "Accept-Charset: utf-7", "TE: trailers, chunked", "Max-Forwards: 0", "Content-Type: \xff",
  "X-HTTP-Method-Override: DELETE", "X-Forwarded-Host: evil.example", "X-Forwarded-For: " + "1,".repeat(3000), "Forwarded: for=\"[", "X-Original-URL: /",
];

/** Fields that somebody reads. */
// deno-fmt-ignore
const READ = [
  "Accept", "Last-Event-ID", "Origin", "Sec-Fetch-Site", "X-Api-Key", "Authorization", "Idempotency-Key", "Cookie", "Referer", "Expect", "Range",
  "Accept-Encoding", "X-Forwarded-Proto", "Access-Control-Request-Method",
];

// deno-fmt-ignore
const VALUES = [
  "", " \t ", "\x00", "a\x00b", "a\rb", "a\nX-Injected: 1", `a${INJECTION}`, "\x7f", "\xff\xfe", "\xed\xa0\x80", "\xc0\xaf", "\xef\xbb\xbfx", ENCODED_INJECTION,
  "__proto__", "a".repeat(8_000), ",".repeat(8_000), "\"".repeat(1_001), "(".repeat(5_000), "${jndi:ldap://localhost/a}", "'; DROP TABLE events; --",
];

// deno-fmt-ignore
const HOSTS = [
  "Host:", "Host: ", "Host: localhost\r\nHost: localhost", "Host: localhost\r\nHost: evil.example", "Host: localhost:x", "Host: localhost:99999",
  "Host: localhost:-1", "Host: localhost:80:80", "Host: local host", "Host: localhost/evil", "Host: user@localhost", "Host: http://localhost", "Host: a,b",
  "Host: [::1", "Host: ::1", "Host: [::1]x", "Host: [::1%25eth0]", "Host: localhost\\@evil.example", "Host: localhost#evil.example", "Host: localhost?x",
  "Host: %6cocalhost", "Host: localhost%00.evil.example", "Host: local\x00host", "Host: \xff", "Host: \xc3\xa9", "Host: .", "Host: ..", "Host: -", "Host: _",
  "Host: {}", "Host: <>", "Host: ^", "Host: |", `Host: ${"a".repeat(8_000)}`, `Host: ${"a.".repeat(4_000)}`, "Host: 0x7f.1", "Host: 127.1", "Host: 2130706433",
  "Host: 999.999.999.999", "Host: 1.2.3.4.5", "Host: [::ffff:127.0.0.1]", "Host: [1:2:3]", "Host: xn--", "Host: xn--a", "Host: localhost.", "Host : localhost",
  "Host: localhost\r\n evil.example", "X-Host: localhost",
];

export const headerFields: Attack[] = [
  ...table("header field", FIELDS, (field) => ({
    bytes: get("/events?follow=false", field, "Connection: close"),
    by: "anybody",
    then: "end",
  })),
  ...READ.flatMap((name) =>
    table(`header field ${name}`, VALUES, (value) => ({
      bytes: get("/events?follow=false", `${name}: ${value}`),
      by: "anybody",
      // What stands behind an empty line is the beginning of another request.
      ...(value.includes("\r\n\r\n") ? { then: "end" } : {}),
    }))
  ),
  ...READ.flatMap((name) =>
    table(`header field ${name} of a POST`, VALUES, (value) => ({
      bytes: post("{}", JSON_TYPE, `${name}: ${value}`),
      by: "anybody",
      then: "end",
    }))
  ),
  ...table("host", HOSTS, (field) => ({
    bytes: bytes(`GET /events?follow=false HTTP/1.1\r\n${field}\r\n\r\n`),
    by: "anybody",
    then: "end",
  })),
  ...table("host of a POST", HOSTS, (field) => ({
    bytes: bytes(
      `POST /events HTTP/1.1\r\n${field}\r\nContent-Type: ${JSON_TYPE}\r\nContent-Length: 2\r\n\r\n{}`,
    ),
    by: "anybody",
    then: "end",
  })),
  {
    name: "host: none",
    bytes: bytes("GET /events?follow=false HTTP/1.1\r\n\r\n"),
    by: "anybody",
    then: "end",
  },
];

// Names that are not the server's, and pages of other sites.

// deno-fmt-ignore
const FOREIGN_HOSTS = [
  "evil.example", "evil.example:8085", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example.", "localhost.localdomain", "notlocalhost", "localhost-", "1.2.3.4",
  "128.0.0.1", "126.255.255.255", "0.0.0.0", "[::]", "[::2]", "[fe80::1]", "[::ffff:10.0.0.1]", "10.0.0.1:127", "host.docker.internal",
];

// deno-fmt-ignore
const FOREIGN_SITES = [
  "Origin: https://evil.example", "Origin: null", "Origin: http://localhost:1", "Origin: http://localhost.evil.example", "Origin: http://evil.example#localhost", "Origin: file://", "Origin: x",
  "Origin: http://localhost@evil.example", "Origin: http://127.0.0.1", "Origin: chrome-extension://abc", "Origin: http://localhost, https://evil.example", "Sec-Fetch-Site: cross-site",
  "Sec-Fetch-Site: same-site", "Sec-Fetch-Site: CROSS-SITE", "Sec-Fetch-Site: x", "Sec-Fetch-Site: same-origin, cross-site", "Origin: http://localhost\r\nSec-Fetch-Site: cross-site",
  "Origin: https://evil.example\r\nSec-Fetch-Site: same-origin", "Origin: https://evil.example\r\nSec-Fetch-Site: none",
];

export const strangers: Attack[] = [
  ...FOREIGN_HOSTS.flatMap((host) =>
    ["/events?follow=false", "/nothing"].map((target): Attack => ({
      name: `foreign host: ${host}, ${target}`,
      bytes: bytes(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`),
      by: "anybody",
      due: "ForbiddenHost",
    }))
  ),
  ...table("foreign host of a POST", FOREIGN_HOSTS, (host) => ({
    bytes: bytes(Buffer.from(post(GOOD_BODY, JSON_TYPE)).toString("latin1").replace("localhost", host)),
    by: "anybody",
    due: "ForbiddenHost",
    accepts: 0,
  })),
  ...table("foreign site", FOREIGN_SITES, (fields) => ({
    bytes: post(GOOD_BODY, JSON_TYPE, fields),
    due: "CrossSiteRequest",
  })),
];

const IDEMPOTENCY_KEYS = [
  '""',
  '"',
  '"a',
  "a b",
  "a\tb",
  '"a b"',
  "\xe9",
  '"a\\b"',
  "a".repeat(256),
  `"${"a".repeat(256)}"`,
];

export const idempotencyKeys: Attack[] = [
  ...table("Idempotency-Key", IDEMPOTENCY_KEYS, (key) => ({
    bytes: post(GOOD_BODY, JSON_TYPE, `Idempotency-Key: ${key}`),
    due: "InvalidParameter",
  })),
  // One key for three bodies: a refused one is not remembered.
  ...([["[]", "InvalidEvent"], [GOOD_BODY, 202], [` ${GOOD_BODY}`, "IdempotencyKeyReused"]] as const).map(
    ([body, due]): Attack => ({
      name: `Idempotency-Key of another body: ${shown(body)}`,
      bytes: post(body, JSON_TYPE, "Idempotency-Key: a"),
      due,
    }),
  ),
];

// The length of a body, and what else may be read into it.

/** Fields of a `POST` that say, or seem to say, how long its body is, and the bytes that follow. */
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

/** The fields of a body in which another request hides from whoever reads them otherwise. */
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
    by: "anybody",
    then: "end",
  })),
  ...table("chunks", CHUNKS, (chunks) => ({
    bytes: bytes(`${POST_HEAD}Transfer-Encoding: chunked\r\n\r\n${chunks}`),
    by: "anybody",
    then: "end",
  })),
  ...table("smuggling", SMUGGLING, (rest) => ({
    bytes: bytes(POST_HEAD + rest),
    by: "anybody",
    then: "end",
    accepts: 0,
    answers: 3,
  })),
  ...table("a body with a GET", [
    "Content-Length: 2\r\n\r\n{}",
    "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
  ], (rest) => ({
    bytes: bytes(`GET /events?follow=false HTTP/1.1\r\nHost: localhost\r\n${rest}`),
    by: "anybody",
  })),
  {
    name: "a POST of HTTP/1.0 in chunks",
    bytes: bytes(POST_HEAD.replace("1.1", "1.0") + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
    by: "anybody",
    then: "end",
  },
  { name: "a POST without a length", bytes: bytes(`${POST_HEAD}\r\n`), due: "InvalidEvent" },
  { name: "Expect: 100-continue", bytes: post(GOOD_BODY, JSON_TYPE, "Expect: 100-continue"), due: 202 },
];

// Queries, and what stands for a cursor.

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

/** Cursors that are none, and those of a position that is not yet there; `EPOCH` stands for the channel's. */
// deno-fmt-ignore
const CURSORS = [
  "x", "-", "--", "1", "-1", "EPOCH", "EPOCH-", "-5", "EPOCH--1", "EPOCH-+1", "EPOCH-01", "EPOCH-1.0", "EPOCH-1e0", "EPOCH-1e3", "EPOCH-0x1", "EPOCH-1n", "EPOCH-NaN",
  "EPOCH-Infinity", "EPOCH-1_0", "EPOCH-1,2", "EPOCH-1-1", "EPOCH_1", "EPOCH-99999999", "EPOCH-9007199254740991", "EPOCH-9007199254740992", "EPOCH-9999999999999999",
  "EPOCH-99999999999999999999", "EPOCH-1x", "xEPOCH--1", "Earliest", "LATEST", "now", "0", "null", "undefined", "true", "[object Object]", "__proto__", "__proto__-1",
  "EPÖCH-1", "EPOCH-\xb9", "EPOCH-1;", "\"EPOCH-1\"", "'EPOCH-1'", "EPOCH-1\\", "<EPOCH-1>", `EPOCH-${"1".repeat(5_000)}`, `${"a".repeat(5_000)}-1`, `${"a".repeat(33)}-1`,
];

/** Those that only a URL can hold. */
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
      by: "anybody",
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

// Bodies.

// deno-fmt-ignore
const NOT_JSON = [
  "", " ", "\n", "\t\r\n ", "{", "}", "[", "]", "[[", "{}}", "[]]", "{\"", "{\"type\"", "{\"type\":", "{\"type\":\"upgrader_tick\"", "{type:\"upgrader_tick\"}", "{'type':'upgrader_tick'}",
  "{\"type\":\"upgrader_tick\",}", "[{},]", "[,]", "{,}", "undefined", "NaN", "Infinity", "-", "+1", "01", "1.", ".5", "1e", "0x10", "1_000", "1n", "tru", "nul", "True", "\"", "\"\\", "\"\\x41\"", "\"\\u12\"",
  "\"\t\"", "\"\n\"", "\"\0\"", "// x\n{}", "/* x */{}", "{}/*", "#", "<xml/>", "type=upgrader_tick", "--x\r\nContent-Disposition: form-data\r\n\r\nx\r\n--x--", `${GOOD_BODY}x`, `${GOOD_BODY}\0`,
  `${GOOD_BODY}${GOOD_BODY}`, `${GOOD_BODY},${GOOD_BODY}`, `x${GOOD_BODY}`, `\0${GOOD_BODY}`, `\ufeff\ufeff${GOOD_BODY}`, `)]}',\n${GOOD_BODY}`, "\u2028", "\u00a0{}", "function(){}", "(()=>{})()", "{}{}",
];

/** JSON, and no event that could be published. */
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
  '{"type":"tribler_started","event":null}', '{"type":"events_start","event":{"heartbeat":1}}', '{"type":"events_lost","event":{"reason":"slow_consumer","count":1}}', '{"type":"events_bookmark"}', '{"type":"events_*"}', '{"type":"*"}',
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

/** Bodies that are accepted, and must come out as what they are. */
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
    return { bytes: how === "chunked" ? bytes(chunks) : post(content, JSON_TYPE), by: "anybody" };
  }),
  {
    name: "a length far too large, and nothing behind it",
    bytes: bytes(`${POST_HEAD}Content-Length: 9007199254740991\r\n\r\n`),
    by: "anybody",
    due: "PayloadTooLarge",
  },
  ...table("cut off", [GOOD_BODY.slice(0, 20), GOOD_BODY.slice(0, -1), ""], (text) => ({
    bytes: bytes(`${POST_HEAD}Content-Length: ${GOOD_BODY.length}\r\n\r\n${text}`),
    by: "anybody",
    then: "end",
  })),
  ...table("cut off after a whole line", [`${GOOD_BODY}\n`, `${GOOD_BODY}\n${GOOD_BODY}\n`], (text) => ({
    bytes: bytes(`${POST_HEAD.replace(JSON_TYPE, NDJSON)}Content-Length: 500\r\n\r\n${text}`),
    by: "anybody",
    then: "end",
  })),
];

// Keys.

/** The one that the server wants. */
export const API_KEY = "open-Sesame+/=~%41&b";
const ENCODED_KEY = encodeURIComponent(API_KEY);

// deno-fmt-ignore
const WRONG_KEYS = [
  "", " ", "x", API_KEY.slice(0, -1), API_KEY.slice(1), API_KEY + "x", API_KEY + API_KEY, API_KEY.toLowerCase(), API_KEY.toUpperCase(),
  API_KEY.replace("%41", "A"), ENCODED_KEY, encodeURIComponent(ENCODED_KEY), [...API_KEY].reverse().join(""), `"${API_KEY}"`, `'${API_KEY}'`,
  `${API_KEY},`, `${API_KEY},x`, `x, ${API_KEY}`, `${API_KEY}, ${API_KEY}`, `${API_KEY};`, `Bearer ${API_KEY}`, "undefined", "null", "true", "[object Object]", "*", ".*", "%",
  "$&", "' OR 1=1 --", "{\"$ne\":1}", "__proto__", "a".repeat(API_KEY.length), "\xe9".repeat(API_KEY.length), "a".repeat(1_000), "a".repeat(7_000),
  API_KEY.repeat(300), ...Array.from({ length: 64 }, (_, length) => "k".repeat(length + 1)),
];

/** The right key where nobody looks for it, or not as it stands there. */
// deno-fmt-ignore
const MISPLACED_KEYS = [
  `Authorization: ${API_KEY}`, `Authorization: Basic ${API_KEY}`, `Authorization: Basic ${Buffer.from(`:${API_KEY}`).toString("base64")}`,
  `Authorization: Bearer${API_KEY}`, `Authorization: Bearer:${API_KEY}`, `Authorization: Bearer ${API_KEY} x`, `Authorization: Bearer x ${API_KEY}`,
  `Authorization: Bearer Bearer ${API_KEY}`, `Authorization: Token ${API_KEY}`, `Authorization: X Bearer ${API_KEY}`, "Authorization: Bearer", "Authorization: Bearer ",
  `Proxy-Authorization: Bearer ${API_KEY}`, `Cookie: key=${API_KEY}`, `Cookie: X-Api-Key=${API_KEY}`, `X-Api-Keys: ${API_KEY}`, `Api-Key: ${API_KEY}`, `X_Api_Key: ${API_KEY}`,
  `Referer: http://localhost/events?key=${ENCODED_KEY}`, `Origin: http://localhost:${1}`, `X-Original-URL: /events?key=${ENCODED_KEY}`,
  `X-Api-Key: ${API_KEY}\r\nX-Api-Key: x`, `X-Api-Key: x\r\nX-Api-Key: ${API_KEY}`, `X-Api-Key: ${API_KEY}\r\nX-Api-Key: ${API_KEY}`, times(80, (n) => `X-Api-Key: ${n}\r\n`) + "X: a",
];
// deno-fmt-ignore
const MISPLACED_IN_QUERY = [
  `KEY=${ENCODED_KEY}`, `Key=${ENCODED_KEY}`, `key[]=${ENCODED_KEY}`, `key[0]=${ENCODED_KEY}`, `keys=${ENCODED_KEY}`, `apiKey=${ENCODED_KEY}`, `x-api-key=${ENCODED_KEY}`,
  `key=${API_KEY}`, `key=x&key=${ENCODED_KEY}`, `key=&key=${ENCODED_KEY}`, `key&key=${ENCODED_KEY}`, `key=${encodeURIComponent(ENCODED_KEY)}`, `;key=${ENCODED_KEY}`, `#key=${ENCODED_KEY}`,
  `key=${ENCODED_KEY}%00`, `key=%00${ENCODED_KEY}`, `key=${ENCODED_KEY}%0d%0aX-Injected:%201`, `key=${ENCODED_KEY}+`, `key=%20${ENCODED_KEY}`, "key", "key=", "key=%", "key=%zz", "key=%ff",
  `key=${"%00".repeat(2_000)}`, `${"key=x&".repeat(1_500)}x`, `format=sse&types=*&key=${ENCODED_KEY.slice(1)}`,
];
/** The right key, as it may be sent. */
// deno-fmt-ignore
const RIGHT_KEYS = [
  `X-Api-Key: ${API_KEY}`, `x-api-key:${API_KEY}`, `X-API-KEY: \t${API_KEY} \t`, `Authorization: Bearer ${API_KEY}`, `authorization: bEARER   ${API_KEY}`, `X-Api-Key: x\r\nAuthorization: Bearer ${API_KEY}`,
];
/** Every character of the key, as a URL may write it. */
const ESCAPED_KEY = [...API_KEY].map((char) => `%${char.charCodeAt(0).toString(16)}`).join("");

const GUARDED = ["/events?follow=false", "/metrics", "/openapi.json", "/nothing"];

/** For a server that wants {@linkcode API_KEY}. */
export const keys: Attack[] = [
  ...table("key in X-Api-Key", WRONG_KEYS, (key) => ({
    bytes: get("/events?follow=false", `X-Api-Key: ${key}`),
    due: "Unauthorized",
  })),
  ...table("key in Authorization", WRONG_KEYS, (key) => ({
    bytes: get("/events?follow=false", `Authorization: Bearer ${key}`),
    due: "Unauthorized",
  })),
  ...table("key in the query", WRONG_KEYS, (key) => ({
    bytes: get(`/events?follow=false&key=${encodeURIComponent(key)}`),
    due: "Unauthorized",
  })),
  ...table("key of a POST", WRONG_KEYS, (key) => ({
    bytes: post(GOOD_BODY, JSON_TYPE, `X-Api-Key: ${key}`, `Authorization: Bearer ${key}`),
    due: "Unauthorized",
    accepts: 0,
  })),
  ...table("misplaced key", MISPLACED_KEYS, (field) => ({
    bytes: get("/events?follow=false", field),
    due: "Unauthorized",
    // A second field of the name may be refused before anybody looks at it.
    by: "anybody",
  })),
  ...table("misplaced key in the query", MISPLACED_IN_QUERY, (query) => ({
    bytes: get(`/events?follow=false&${query}`),
    due: "Unauthorized",
    by: query.startsWith("#") ? "anybody" : "us",
  })),
  ...table("control characters in a key", CONTROLS.filter((char) => char !== "\t"), (char) => ({
    bytes: get("/events?follow=false", `X-Api-Key: ${API_KEY}${char}x`, "Connection: close"),
    by: "anybody",
    due: "Unauthorized",
    then: "end",
  })),
  ...GUARDED.flatMap((target) =>
    ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"].map((method): Attack => ({
      name: `without a key: ${method} ${target}`,
      bytes: bytes(`${method} ${target} HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n`),
      due: "Unauthorized",
    }))
  ),
  { name: "/healthz without a key", bytes: get("/healthz"), due: 200 },
  ...table("right key", RIGHT_KEYS, (fields) => ({ bytes: get("/events?follow=false", fields), due: 200 })),
  ...table("right key in the query", [ENCODED_KEY, ESCAPED_KEY, `${ENCODED_KEY}&key=x`], (key) => ({
    bytes: get(`/events?follow=false&key=${key}`),
    due: 200,
  })),
];

// Pages of other origins.

/** The one whose pages may read and publish. */
export const ORIGIN = "https://shop.example";

// deno-fmt-ignore
const ORIGINS = [
  "null", "*", "https://evil.example", "https://shop.example.evil.example", "https://evil.example/https://shop.example", "https://shop.example:443", "https://shop.example/", "http://shop.example",
  "https://SHOP.example", "https://sub.shop.example", "https://shop.example.", "https://shop.examplf", "https://shop.example https://evil.example", "https://shop.example, https://evil.example",
  "https://shop.example@evil.example", "https://shop.example#", "file://", "javascript:alert(1)", "https://", "://", "https://sh\xf6p.example", "https://xn--shp-tna.example", "x".repeat(7_000), "__proto__", "constructor",
];
// deno-fmt-ignore
const METHODS = ["GET", "POST", "PUT", "*", "", "get", "GET, POST", "GET\t", "x".repeat(5_000), "__proto__", "<script>"];
// deno-fmt-ignore
const ASKED_HEADERS = ["X-Api-Key", "*", "", ",", ",,,,", "a".repeat(7_000), "a,".repeat(3_000) + "a", "X-Injected: 1", "Authorization, X-Api-Key, Content-Type, Idempotency-Key, Last-Event-ID", "<script>", "\xe9"];

function preflight(origin: string, method: string, headers?: string): Uint8Array {
  const fields = [`Origin: ${origin}`, `Access-Control-Request-Method: ${method}`];
  if (headers !== undefined) fields.push(`Access-Control-Request-Headers: ${headers}`);
  return bytes(["OPTIONS /events HTTP/1.1", "Host: localhost", ...fields, "", ""].join("\r\n"));
}

/** For a server that lets in pages of {@linkcode ORIGIN}. */
export const origins: Attack[] = [
  ...table(
    "origin of a preflight",
    ORIGINS,
    (origin) => ({ bytes: preflight(origin, "POST", "content-type"), due: "NotFound" }),
  ),
  ...table(
    "origin of a GET",
    ORIGINS,
    (origin) => ({ bytes: get("/events?follow=false", `Origin: ${origin}`), due: 200 }),
  ),
  ...table("origin of a POST", ORIGINS, (origin) => ({
    bytes: post(GOOD_BODY, JSON_TYPE, `Origin: ${origin}`),
    due: "CrossSiteRequest",
    accepts: 0,
  })),
  ...METHODS.flatMap((method) =>
    table(`preflight for ${shown(method)}`, ASKED_HEADERS, (headers) => ({
      bytes: preflight(ORIGIN, method, headers),
      due: 204,
      shared: ORIGIN,
    }))
  ),
  {
    name: "a preflight that asks for nothing",
    bytes: bytes(`OPTIONS /events HTTP/1.1\r\nHost: localhost\r\nOrigin: ${ORIGIN}\r\n\r\n`),
    due: 204,
    shared: ORIGIN,
  },
  {
    name: "two origins",
    bytes: get("/events?follow=false", `Origin: ${ORIGIN}`, "Origin: https://evil.example"),
    by: "anybody",
  },
  {
    name: "the origin allowed",
    bytes: get("/events?follow=false", `Origin: ${ORIGIN}`),
    due: 200,
    shared: ORIGIN,
  },
  {
    name: "a refusal for the origin allowed",
    bytes: get("/events?since=x", `Origin: ${ORIGIN}`),
    due: "InvalidCursor",
    shared: ORIGIN,
  },
  {
    name: "a POST of the origin allowed",
    bytes: post(GOOD_BODY, JSON_TYPE, `Origin: ${ORIGIN}`, "Sec-Fetch-Site: cross-site"),
    due: 202,
    shared: ORIGIN,
  },
];

// The routes beside the stream.

// deno-fmt-ignore
const ROUTE_QUERIES = [
  "", "?", "?x", "?key=x", "?format=sse", "?types=nothing", "?%00", "?%zz", "?\x7f", `?${"a=b&".repeat(2_000)}`, `?${"a".repeat(7_000)}`, "?__proto__=x", "?callback=alert", "?pretty=true", "?name[]=up", "?seconds=99999",
  "#x", "/", "/..", "/../events", "//", "/x", ";x", "%2f", "%00", ".json", ".bak", "~", "?refresh=1\r\n X: y",
];
// deno-fmt-ignore
const ASKED_FIELDS = [
  "Accept: image/png", "Accept: application/openmetrics-text; version=1.0.0", `Accept: ${"a/b,".repeat(1_500)}`, "Accept-Encoding: gzip, br", "Range: bytes=0-1", "Range: bytes=9999999-", "If-None-Match: *",
  "If-Modified-Since: Thu, 01 Jan 2099 00:00:00 GMT", "Content-Length: 0", "Expect: 100-continue", "Upgrade: h2c\r\nConnection: Upgrade", "X-Forwarded-For: 1.2.3.4\" x",
];

export const otherRoutes: Attack[] = ["/metrics", "/openapi.json", "/healthz"].flatMap((path) => [
  ...table(
    path,
    ROUTE_QUERIES,
    (query) => ({ bytes: get(path + query, "Connection: close"), by: "anybody", then: "end" }),
  ),
  ...table(path, ASKED_FIELDS, (field) => ({ bytes: get(path, field), due: 200, by: "anybody" })),
  ...table(path, ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"], (method) => ({
    bytes: bytes(
      `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${JSON_TYPE}\r\nContent-Length: ${GOOD_BODY.length}\r\n\r\n${GOOD_BODY}`,
    ),
    due: "NotFound",
    accepts: 0,
  })),
  {
    name: `HEAD ${path}`,
    bytes: bytes(`HEAD ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`),
    due: 200,
    isHead: true,
  },
  {
    name: `a body with GET ${path}`,
    bytes: bytes(
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${GOOD_BODY.length}\r\n\r\n${GOOD_BODY}`,
    ),
    by: "anybody",
  },
  {
    name: `a hundred times ${path} at once`,
    bytes: bytes(...Array.from({ length: 100 }, () => get(path))),
    answers: 100,
    due: 200,
    // Of many large answers in a row Bun gives some, and closes the connection.
    by: path === "/openapi.json" ? "anybody" : "us",
  },
  {
    name: `a name that is not the server's: ${path}`,
    bytes: bytes(`GET ${path} HTTP/1.1\r\nHost: evil.example\r\n\r\n`),
    due: path === "/healthz" ? 200 : "ForbiddenHost",
  },
]);
