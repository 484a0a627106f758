import fc from "fast-check";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { connect } from "../../src/client/mod.ts";
import { within } from "../support/harness.ts";
import { line, NDJSON, SSE, start } from "../support/scripted.ts";

const test = suite("client: resume");

/** What a server does with one request. */
type Turn =
  | { readonly type: "fail" }
  | { readonly type: "reject" }
  /** It sends this part of the log, from 0 to 1, in pieces of this many bytes, and cuts off or ends the response. */
  | { readonly type: "send"; readonly part: number; readonly piece: number; readonly isCut: boolean };

const someTurns: fc.Arbitrary<Turn[]> = fc.array(
  fc.oneof(
    fc.constant<Turn>({ type: "fail" }),
    fc.constant<Turn>({ type: "reject" }),
    fc.record({
      type: fc.constant("send" as const),
      part: fc.double({ min: 0, max: 1, noNaN: true }),
      piece: fc.integer({ min: 1, max: 60 }),
      isCut: fc.boolean(),
    }),
  ),
  { maxLength: 12 },
);

const textOf = (type: string, position: number) =>
  line(type, `e-${position}`, { n: position, text: "é漢😀\u2028" });

/** The whole response to a request with this cursor: what the log holds after it, and bookmarks for what is hidden. */
function bodyOf(log: readonly boolean[], position: number, isSse: boolean): string {
  const write = (type: string, at: number, text: string) =>
    isSse ? `id: e-${at}\nevent: ${type}\ndata: ${text}\n` : text;
  const texts = [write("events_start", position, start(`e-${position}`))];
  for (let at = position + 1; at <= log.length; at++) {
    if (log[at - 1]) texts.push(write("tick", at, textOf("tick", at)));
    else texts.push(isSse ? `id: e-${at}\n\n` : line("events_bookmark", `e-${at}`));
    if (at % 3 === 0) texts.push(isSse ? ":\n\n" : "\n");
  }
  return texts.join("");
}

/** A body that sends one piece for each pull, and is cut off or ends after the last. */
function piecesOf(bytes: Uint8Array, piece: number, isCut: boolean): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at < bytes.length) controller.enqueue(bytes.slice(at, at += piece));
      else if (isCut) controller.error(new TypeError("cut"));
      else controller.close();
    },
  }, { highWaterMark: 0 });
}

test("connect() yields each event once and in order whatever fails", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.boolean(), { maxLength: 30 }), // Which events of the log are shown.
      someTurns,
      fc.array(fc.nat(10), { maxLength: 3 }), // Numbers of events after which the consumer is restarted.
      fc.boolean(),
      async (log, turns, restarts, isSse) => {
        const sinces: (string | null)[] = [];
        let next = 0;
        function fetch(url: string): Response {
          const since = new URL(url).searchParams.get("since");
          sinces.push(since);
          const position = Number(since?.slice(2) ?? 0);
          const turn = turns[next++];
          if (turn?.type === "fail") throw new TypeError("no connection");
          if (turn?.type === "reject") {
            return new Response(null, {
              status: 503,
              headers: { "Retry-After": "0" },
            });
          }
          if (turn === undefined && position === log.length) return new Response(null, { status: 204 });
          const bytes = new TextEncoder().encode(bodyOf(log, position, isSse));
          const { part, piece, isCut } = turn ?? { part: 1, piece: bytes.length, isCut: false };
          const body = piecesOf(bytes.slice(0, Math.round(bytes.length * part)), piece, isCut);
          return new Response(body, { headers: { "Content-Type": isSse ? SSE : NDJSON } });
        }

        const seen: unknown[] = [];
        let lastId: string | undefined;
        for (const most of [...restarts, Infinity]) {
          const since = lastId ?? "e-0";
          const connection = connect("http://localhost/", {
            fetch,
            since,
            reconnect: { min: 0.0001, max: 0.0002 },
          });
          let taken = 0;
          while (taken++ < most) {
            const { done, value } = await within(connection.next(), "an event");
            if (done) break;
            assert.is(connection.lastId, value.id);
            seen.push(value);
          }
          lastId = connection.lastId;
          await connection.return();
        }
        const shown = log.flatMap((isShown, index) => isShown ? [JSON.parse(textOf("tick", index + 1))] : []);
        assert.equal(seen, shown);
        assert.is(sinces[0], "e-0");
        assert.is(
          sinces.at(-1),
          `e-${log.length}`,
          "it has reached the end of the log, even if that is hidden",
        );
      },
    ),
    { numRuns: 300 },
  );
});

test.run();
