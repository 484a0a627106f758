/**
 * Bad request lines, header fields and idempotency keys.
 *
 * @module
 */
import { type Attack, bytes, get, post } from "../attacked.ts";
import {
  CONTROLS,
  ENCODED_INJECTION,
  GOOD_BODY,
  INJECTION,
  JSON_TYPE,
  shown,
  table,
  times,
} from "./table.ts";

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

/** Heads that are not HTTP, or malformed. The client sends nothing after them. */
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
    by: "any",
    endless: true,
    then: "end",
  })),
  ...table("no request", JUNK, (text) => ({ bytes: bytes(text), by: "any", then: "end", answers: 2 })),
  ...table("HEAD", ["/events", "/events?since=x", "/events?types=x", "/healthz", "/nothing"], (target) => ({
    bytes: bytes(`HEAD ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`),
    isHead: true,
  })),
  ...table("HTTP/1.0", ["/events?follow=false", "/events", "/healthz", "/events?since=x"], (target) => ({
    bytes: bytes(`GET ${target} HTTP/1.0\r\n\r\n`),
    by: "any",
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
    name: "a rejected body, and a good one after it",
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

/** Fields that the server or the runtime reads. */
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
    by: "any",
    then: "end",
  })),
  ...READ.flatMap((name) =>
    table(`header field ${name}`, VALUES, (value) => ({
      bytes: get("/events?follow=false", `${name}: ${value}`),
      by: "any",
      // What follows an empty line is the beginning of another request.
      ...(value.includes("\r\n\r\n") ? { then: "end" } : {}),
    }))
  ),
  ...READ.flatMap((name) =>
    table(`header field ${name} of a POST`, VALUES, (value) => ({
      bytes: post("{}", JSON_TYPE, `${name}: ${value}`),
      by: "any",
      then: "end",
    }))
  ),
  ...table("host", HOSTS, (field) => ({
    bytes: bytes(`GET /events?follow=false HTTP/1.1\r\n${field}\r\n\r\n`),
    by: "any",
    then: "end",
  })),
  ...table("host of a POST", HOSTS, (field) => ({
    bytes: bytes(
      `POST /events HTTP/1.1\r\n${field}\r\nContent-Type: ${JSON_TYPE}\r\nContent-Length: 2\r\n\r\n{}`,
    ),
    by: "any",
    then: "end",
  })),
  {
    name: "host: none",
    bytes: bytes("GET /events?follow=false HTTP/1.1\r\n\r\n"),
    by: "any",
    then: "end",
  },
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
  // One key for three bodies: a rejected request is not kept.
  ...([["[]", "InvalidEvent"], [GOOD_BODY, 202], [` ${GOOD_BODY}`, "IdempotencyKeyReused"]] as const).map(
    ([body, due]): Attack => ({
      name: `Idempotency-Key of another body: ${shown(body)}`,
      bytes: post(body, JSON_TYPE, "Idempotency-Key: a"),
      due,
    }),
  ),
];
