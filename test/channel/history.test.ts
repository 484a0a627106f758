import * as assert from "uvu/assert";
import { createEntryWriter } from "../../src/channel/entry_writer.ts";
import { createHistory } from "../../src/channel/history.ts";
import { suite } from "../support/suite.ts";

const test = suite("channel history");

const EVENTS = 10_000;

test("detachTexts() copies a bounded number of texts at a time, several with one call of the decoder, as they were", () => {
  const history = createHistory(EVENTS, 1e9);
  const write = createEntryWriter(["tick"]);
  for (let n = 1; n <= EVENTS; n++) {
    const payload = `{"n":${n},"text":"\u00e9"}`;
    const event = { type: "tick", subject: n % 2 === 0 ? "even" : "odd", payload, bytes: payload.length + 1 };
    history.push(write(event, "e", n, Math.ceil(n / 1000)));
  }
  const odd = history.read(0, Infinity).entries.filter(({ subject }) => subject === "odd");
  assert.is(history.erase("even", EVENTS), EVENTS / 2);

  const { decode } = TextDecoder.prototype;
  let decoded = 0;
  TextDecoder.prototype.decode = function (...args) {
    decoded++;
    return decode.apply(this, args);
  };
  let pieces = 1;
  try {
    while (history.detachTexts()) pieces++;
  } finally {
    TextDecoder.prototype.decode = decode;
  }
  assert.ok(pieces >= 4, `in ${pieces} pieces`);
  assert.ok(decoded >= 10 && decoded <= 20, `${decoded} calls of the decoder for ten times of publication`);
  const { entries } = history.read(0, Infinity);
  assert.equal(entries.map(({ json }) => json), odd.map(({ json }) => json));
  assert.equal(entries.map(({ position }) => position), odd.map(({ position }) => position));
  assert.is(history.detachTexts(), false);
});

test.run();
