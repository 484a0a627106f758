/**
 * What LaunchDarkly's contract tests ask of every client of server-sent events, one by one, for `connect()`.
 *
 * | behaviour | tested in |
 * | --- | --- |
 * | messages in one chunk, in several, several in one; large ones; many in a row | `decode.test.ts`, `event_stream.test.ts` |
 * | line ends, also cut between CR and LF; extra blank lines; data of several lines | `event_stream.test.ts` |
 * | comments, byte order marks, characters of several bytes, in any pieces | `event_stream.test.ts` |
 * | fields: order, case, spaces, without a colon, unknown; an id with U+0000; empty data | `event_stream.test.ts` |
 * | types and ids of events, and their defaults | `dialects.test.ts` |
 * | the end after 204; errors that are retried; delays, and `retry` | `retry.test.ts` |
 * | headers of one's own; the cursor to begin with (`since`) | `connect.test.ts`, `ranges.test.ts`, `resume.test.ts` |
 * | a limit to silence | `idle.test.ts` |
 * | the method and the default headers; cursors across connections; a redirect to nowhere | here |
 *
 * `connect()` follows no redirect, reports no comments, and sends no body: it has no such options. A restart that the caller asks
 * for is another `connect()` with `since`.
 *
 * @module
 */
import * as assert from "uvu/assert";
import { connect } from "../../src/client/mod.ts";
import { answers, ends, scripted, SSE, streams } from "../support/scripted.ts";
import { suite } from "../support/suite.ts";
import { errorOf, SOON, take, typesOf } from "./reading.ts";

const test = suite("client: contract");

/** A block that has a name, some lines before it, and data. */
const block = (type: string, before = "") => `${before}event: ${type}\ndata: {}\n\n`;

test("connect() sends GET, and no cursor before it has one", async () => {
  await scripted([streams(SSE, block("a"))], async ({ url, requests }) => {
    const connection = connect(url);
    await take(connection, 1);
    await connection.return();
    const [{ method, query, headers }] = requests as [typeof requests[number]];
    assert.equal([method, [...query], headers.get("last-event-id")], ["GET", [], undefined]);
    assert.match(headers.get("accept") ?? "", /\btext\/event-stream\b/);
  });
});

test("connect() resumes after the last id, also when later events had none, until an empty id resets it", async () => {
  const replies = [
    ends(SSE, block("a", "id: 1\n")),
    ends(SSE, block("b", "id: 2\n") + block("c")),
    // Of a block that is cut off nothing counts.
    ends(SSE, block("d") + "id: 3\nevent: no\ndata: {}\n"),
    ends(SSE, block("e", "id\n")),
    streams(SSE, block("f")),
  ];
  await scripted(replies, async ({ url, requests }) => {
    const connection = connect(url, { reconnect: SOON });
    assert.equal(typesOf(await take(connection, 6)), ["a", "b", "c", "d", "e", "f"]);
    await connection.return();
    assert.equal(requests.map(({ query }) => query.get("since")), [null, "1", "2", "2", null]);
  });
});

test("next() rejects with Redirected when a redirect names no location, or an empty one, without another request", async () => {
  for (const status of [301, 302, 303, 307, 308]) {
    for (const headers of [{}, { Location: "" }]) {
      await scripted([answers(status, headers), streams(SSE, block("a"))], async ({ url, requests }) => {
        const error = await errorOf(connect(url, { reconnect: SOON }).next());
        assert.equal([error.code, requests.length], ["Redirected", 1]);
        assert.match(
          error.message,
          Object.keys(headers).length === 0 ? / redirects to elsewhere/ : / redirects to ""/,
        );
      });
    }
  }
});

test.run();
