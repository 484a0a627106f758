import * as fc from "fast-check";
import { suite } from "../support/suite.ts";
import { type Attack, bytes, get, post, underAttack } from "./attacked.ts";

const test = suite("attack: properties");

const BODY = JSON.stringify({ type: "upgrader_tick", event: { text: "chance" } });
const octets = fc.uint8Array({ maxLength: 300 });
/** Any bytes without line ends. */
const value = octets.map((array) => array.filter((byte) => byte !== 0x0a && byte !== 0x0d));
const name = fc.constantFrom(
  "Accept",
  "Last-Event-ID",
  "Host",
  "Content-Type",
  "Content-Length",
  "Transfer-Encoding",
  "X",
);
/** A query: characters, escapes of any byte, and malformed escapes. */
const query = fc.array(
  fc.oneof(
    fc.constantFrom(
      "types",
      "since",
      "follow",
      "bookmarks",
      "format",
      "=",
      "&",
      "%",
      "*",
      ",",
      "latest",
      "true",
      "sse",
    ),
    fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
    fc.integer({ min: 0, max: 255 }).map((code) => `%${code.toString(16).padStart(2, "0")}`),
  ),
  { maxLength: 30 },
).map((parts) => parts.join(""));

const attacks: fc.Arbitrary<Omit<Attack, "name">> = fc.oneof(
  octets.map((anything) => ({ bytes: anything })),
  fc.tuple(name, value).map(([name, value]) => ({
    bytes: bytes(`GET /events?follow=false HTTP/1.1\r\nHost: localhost\r\n${name}: `, value, "\r\n\r\n"),
  })),
  fc.tuple(name, value).map(([name, value]) => ({
    bytes: bytes(`POST /events HTTP/1.1\r\nHost: localhost\r\n${name}: `, value, `\r\n\r\n${BODY}`),
  })),
  query.map((query) => ({ bytes: get(`/events?${query.replaceAll("#", "")}`), endless: true })),
  octets.map((body) => ({ bytes: post(body, "application/json") })),
  fc.json().map((json) => ({ bytes: post(json, "application/x-ndjson") })),
  fc.tuple(
    fc.constantFrom(get("/events?follow=false&format=sse"), post(BODY, "application/json")),
    fc.nat(),
    fc.nat(10),
    octets,
  )
    .map(([good, at, length, instead]) => {
      const from = at % good.length;
      return { bytes: bytes(good.subarray(0, from), instead, good.subarray(from + length)) };
    }),
);

test("serve delivers every accepted event once whatever bytes it receives", async () => {
  await underAttack(async ({ strike }) => {
    await fc.assert(
      fc.asyncProperty(attacks, async (attack) => {
        await strike({ ...attack, name: "by chance", by: "any", then: "end", endless: true, accepts: 1 });
      }),
      // One of them may wait until the runtime closes a connection that sends nothing. Six runtimes have 900 runs.
      { numRuns: 150, interruptAfterTimeLimit: 60_000 },
    );
  });
});

test.run();
