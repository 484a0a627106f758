/**
 * Requests that are not permitted: foreign hosts and origins, and wrong keys; and the other routes.
 *
 * @module
 */
import { type Attack, bytes, get, post } from "../attacked.ts";
import { CONTROLS, GOOD_BODY, JSON_TYPE, shown, table, times } from "./table.ts";

// Hosts that are not the server's, and pages of other sites.

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
      by: "any",
      due: "ForbiddenHost",
    }))
  ),
  ...table("foreign host of a POST", FOREIGN_HOSTS, (host) => ({
    bytes: bytes(Buffer.from(post(GOOD_BODY, JSON_TYPE)).toString("latin1").replace("localhost", host)),
    by: "any",
    due: "ForbiddenHost",
    accepts: 0,
  })),
  ...table("foreign site", FOREIGN_SITES, (fields) => ({
    bytes: post(GOOD_BODY, JSON_TYPE, fields),
    due: "CrossSiteRequest",
  })),
];

// Keys.

/** The key of the server. */
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

/** The right key in a wrong place, or in a wrong form. */
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
/** The right key in every valid place. */
// deno-fmt-ignore
const RIGHT_KEYS = [
  `X-Api-Key: ${API_KEY}`, `x-api-key:${API_KEY}`, `X-API-KEY: \t${API_KEY} \t`, `Authorization: Bearer ${API_KEY}`, `authorization: bEARER   ${API_KEY}`, `X-Api-Key: x\r\nAuthorization: Bearer ${API_KEY}`,
];
/** Every character of the key, escaped in a URL. */
const ESCAPED_KEY = [...API_KEY].map((char) => `%${char.charCodeAt(0).toString(16)}`).join("");

const GUARDED = ["/events?follow=false", "/metrics", "/openapi.json", "/nothing"];

/** For a server whose key is {@linkcode API_KEY}. */
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
    // The runtime may reject a second field of the same name.
    by: "any",
  })),
  ...table("misplaced key in the query", MISPLACED_IN_QUERY, (query) => ({
    bytes: get(`/events?follow=false&${query}`),
    due: "Unauthorized",
    by: query.startsWith("#") ? "any" : "us",
  })),
  ...table("control characters in a key", CONTROLS.filter((char) => char !== "\t"), (char) => ({
    bytes: get("/events?follow=false", `X-Api-Key: ${API_KEY}${char}x`, "Connection: close"),
    by: "any",
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

/** The origin whose pages may read and publish. */
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

/** For a server that allows pages of {@linkcode ORIGIN}. */
export const origins: Attack[] = [
  ...table(
    "origin of a preflight",
    ORIGINS,
    (origin) => ({ bytes: preflight(origin, "POST", "content-type"), due: "MethodNotAllowed" }),
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
    by: "any",
  },
  {
    name: "the origin allowed",
    bytes: get("/events?follow=false", `Origin: ${ORIGIN}`),
    due: 200,
    shared: ORIGIN,
  },
  {
    name: "an error for the allowed origin",
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

// The other routes.

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
    (query) => ({ bytes: get(path + query, "Connection: close"), by: "any", then: "end" }),
  ),
  ...table(path, ASKED_FIELDS, (field) => ({ bytes: get(path, field), due: 200, by: "any" })),
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
    by: "any",
  },
  {
    name: `a hundred times ${path} at once`,
    bytes: bytes(...Array.from({ length: 100 }, () => get(path))),
    answers: 100,
    due: 200,
    // Bun sends some of many large responses, and closes the connection.
    by: path === "/openapi.json" ? "any" : "us",
  },
  {
    name: `a name that is not the server's: ${path}`,
    bytes: bytes(`GET ${path} HTTP/1.1\r\nHost: evil.example\r\n\r\n`),
    due: path === "/healthz" ? 200 : "ForbiddenHost",
  },
]);
