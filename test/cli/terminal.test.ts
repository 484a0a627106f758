/**
 * What a terminal shows: rows, the last line, and what fills it. Nothing here opens a terminal.
 *
 * @module
 */
import { EventEmitter } from "node:events";
import { emitKeypressEvents } from "node:readline";
import { PassThrough } from "node:stream";
import stringWidth from "string-width";
import * as assert from "uvu/assert";
import { FullScreen } from "../../src/cli/full_screen.ts";
import { HeldEvents } from "../../src/cli/held_events.ts";
import { indentJson } from "../../src/cli/indent_json.ts";
import { KeyList } from "../../src/cli/key_list.ts";
import { type Key, keypressListener } from "../../src/cli/keypress.ts";
import { lastLine, type ViewState } from "../../src/cli/last_line.ts";
import { EventList, type Panel, WholeEvent } from "../../src/cli/panels.ts";
import { Prompt, promptLine } from "../../src/cli/prompt.ts";
import { Rate } from "../../src/cli/rate.ts";
import { eventRow } from "../../src/cli/row.ts";
import { createScreen, unwrapped } from "../../src/cli/screen.ts";
import { TypeList } from "../../src/cli/type_list.ts";
import { createView } from "../../src/cli/view.ts";
import { widthOf } from "../../src/cli/width.ts";
import { parseFilter } from "../../src/text/filter.ts";
import { jsonLine } from "../../src/text/printable.ts";
import { until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { TerminalModel } from "../support/terminal_model.ts";

const test = suite("terminal");

const HASH = "08ada5a7a6183aae1e09d831df6748d566095a10";
// deno-lint-ignore no-control-regex
const ESCAPES = /\x1b\[[0-9;]*[A-Za-z]/g;
const PLAIN = { columns: 80, colours: false };

const NAMES = [
  "up",
  "down",
  "left",
  "right",
  "pageup",
  "home",
  "end",
  "return",
  "escape",
  "backspace",
  "space",
];

/** A key by its name, or by the character that it writes. */
function keyOf(key: string): Key {
  if (!NAMES.includes(key)) return { name: "", text: key, ctrl: false };
  return { name: key, text: key === "space" ? " " : "", ctrl: false };
}

/** A terminal that records what is written to it, and can be full. */
function fakeTerminal(columns: number) {
  const written: string[] = [];
  const state = { columns, isFull: false, written };
  const write = (text: string) => written.push(text) > 0 && !state.isFull;
  const terminal = Object.assign(new EventEmitter(), { state, write, columns });
  return Object.defineProperty(terminal, "columns", { get: () => state.columns });
}

test("createScreen() erases its last line whole when the terminal became narrower, once its size has settled", async () => {
  const terminal = fakeTerminal(40);
  const { state } = terminal;
  const screen = createScreen(terminal, (columns) => "=".repeat(columns));
  try {
    terminal.emit("resize");
    await until(() => state.written.length > 0, "it is drawn");
    assert.is(state.written.pop(), `\r\x1b[K${unwrapped("=".repeat(39))}\r`);
    for (const columns of [30, 20, 15]) {
      state.columns = columns;
      terminal.emit("resize");
      screen.refresh();
    }
    await until(() => state.written.length > 0, "it is drawn again");
    // 39 columns are three lines of 15: two below.
    const erased = "\r\x1b[K\x1b7\x1b[B\x1b[K\x1b[B\x1b[K\x1b8";
    assert.equal(state.written.splice(0), [`${erased}${unwrapped("=".repeat(14))}\r`]);
  } finally {
    screen.close();
  }
  assert.is(state.written.pop(), "\r\x1b[K");
  terminal.emit("resize");
  assert.equal(state.written, []);
  assert.equal(terminal.eventNames(), []);
});

test("createScreen() keeps all rows, and no other last line, in a terminal that cuts or wraps what became too wide", async () => {
  for (const reflows of [false, true]) {
    const terminal = new TerminalModel({ columns: 100, rows: 24 });
    let drawn = 0;
    const screen = createScreen(terminal, (columns) => `${++drawn}`.padEnd(columns, "="));
    try {
      for (let n = 1; n <= 20; n++) screen.print(`row ${n}`);
      await until(() => drawn > 0, "it is drawn");
      for (const columns of [40, 100, 30, 100]) {
        const before = drawn;
        terminal.resize(columns, reflows);
        await until(() => drawn > before, "it is drawn again");
        const rows = [...terminal.scrolledOff, ...terminal.lines].filter((line) => line !== "");
        assert.equal(rows.slice(0, -1), Array.from({ length: 20 }, (_, index) => `row ${index + 1}`));
        assert.is(rows.at(-1), `${drawn}`.padEnd(columns - 1, "="));
      }
    } finally {
      screen.close();
    }
  }
});

test("createScreen() leaves no copy of its last line behind, however often it is drawn in the top row", async () => {
  const terminal = new TerminalModel({ columns: 20, rows: 10 });
  let drawn = 0;
  const screen = createScreen(terminal, () => `drawn ${++drawn}`);
  try {
    for (let n = 1; n <= 5; n++) {
      screen.refresh();
      await until(() => drawn === n, "it is drawn");
    }
    assert.equal([terminal.lines, terminal.scrolledOff], [["drawn 5"], []]);
  } finally {
    screen.close();
  }
  assert.equal([terminal.lines, terminal.scrolledOff], [[""], []]);
});

test("keypressListener() makes one key of a paste, whose line ends are blanks", () => {
  const keys: string[] = [];
  const listener = keypressListener(({ name, text, ctrl }) => keys.push(`${ctrl ? "^" : ""}${name}=${text}`));
  /** Deno makes two keypresses of what surrounds a paste. */
  const surround = (sequence: string, isSplit: boolean) => {
    listener(undefined, { name: "x", sequence: isSplit ? sequence : `${sequence}~` });
    if (isSplit) listener("~", { sequence: "~" });
  };
  for (const isSplit of [false, true]) {
    surround("\x1b[200", isSplit);
    for (const text of ["~", "q", "\r", "\n", "?", "\x07"]) listener(text, { name: "y", sequence: text });
    listener(undefined, { name: "up", sequence: "\x1b[A" });
    surround("\x1b[201", isSplit);
    listener("~", { sequence: "~" });
    assert.equal(keys.splice(0), ["paste=~q ?", "=~"]);
  }
  surround("\x1b[200", false);
  listener("q", { name: "q", sequence: "q" });
  listener("\x03", { name: "c", ctrl: true, sequence: "\x03" });
  listener("q", { name: "q", sequence: "q" });
  surround("\x1b[201", false);
  assert.equal(keys.splice(0), ["^c=", "q=q"]);
  surround("\x1b[200", false);
  for (const name of ["z", "q"]) listener("", { name, ctrl: name === "z", sequence: "" });
  assert.equal(keys, ["^z=", "q="]);
});

test("keypressListener() sees the end of a paste that ends with escapes, and keeps no endless paste", () => {
  for (const [sent, expected] of [["ab\x1b", "ab"], ["ab\x1b\x1b", "ab"], ["a\x1b[31mb\x1b[0m", "ab"]]) {
    const stdin = new PassThrough();
    const keys: string[] = [];
    emitKeypressEvents(stdin);
    stdin.on("keypress", keypressListener(({ name, text }) => keys.push(`${name}=${text}`)));
    stdin.emit("data", new TextEncoder().encode(`\x1b[200~${sent}\x1b[201~q`));
    assert.equal(keys, [`paste=${expected}`, "q=q"], JSON.stringify(sent));
  }
  let length = 0;
  const listener = keypressListener(({ text }) => length = text.length);
  listener(undefined, { sequence: "\x1b[200~" });
  for (let n = 0; n < 100_000; n++) listener("x", { sequence: "x" });
  listener(undefined, { sequence: "\x1b[201~" });
  assert.is(length, 16_000);
});

test("createScreen() reports a full terminal until that has drained", async () => {
  const terminal = fakeTerminal(40);
  const { state } = terminal;
  const screen = createScreen(terminal, () => "");
  try {
    assert.ok(screen.print("one"));
    assert.ok(screen.print("two"));
    state.isFull = true;
    await until(
      () => state.written.includes(`\r\x1b[K${unwrapped("one\r\ntwo\r\n")}\r`),
      "both rows are written together",
    );
    assert.not(screen.print("three"));
    state.isFull = false;
    await until(
      () => state.written.includes(`\r\x1b[K${unwrapped("three\r\n")}\r`),
      "the third row is written",
    );
    // After a write that returned false, the caller waits for "drain": print() must not return true before that.
    assert.not(screen.print("four"));
    terminal.emit("drain");
    assert.ok(screen.print("five"));
  } finally {
    screen.close();
  }
});

test("createScreen() writes at most 60 times a second, and at once what no frame could hold", async () => {
  const terminal = fakeTerminal(40);
  const { state } = terminal;
  const screen = createScreen(terminal, () => "last");
  try {
    const began = performance.now();
    for (let n = 0; n < 300; n++) {
      screen.print(`row ${n}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => state.written.join("").includes("row 299"), "all rows are written");
    const most = (performance.now() - began) / 16 + 3;
    assert.ok(state.written.length <= most, `${state.written.length} writes, not ${most}`);
    state.written.length = 0;
    for (let n = 0; n < 10; n++) screen.print("x".repeat(10_000));
    assert.is(state.written.length, 1, "it does not wait with 64 Ki characters");
  } finally {
    screen.close();
  }
});

test("widthOf() is that of string-width for Latin text", () => {
  for (let code = 0x20; code < 0x3000; code++) {
    const text = `a${String.fromCharCode(code)}b`;
    assert.is(widthOf(text), stringWidth(text), text);
  }
});

test("eventRow() is at most as wide as the terminal, and contains no control characters", () => {
  const texts = [
    "x".repeat(200),
    "漢".repeat(100),
    "👩‍👩‍👧‍👦".repeat(50),
    "e\u0301".repeat(200),
    "\u001b[31m".repeat(40),
    "",
  ];
  for (const text of texts) {
    for (const payload of [text, { [text]: text, b: [text] }, [[text]], null, 7]) {
      for (let columns = 1; columns <= 100; columns += 9) {
        const row = eventRow({ type: text || "t", subject: text, event: payload }, {
          columns,
          colours: true,
        });
        const shown = row.replaceAll(ESCAPES, "");
        assert.ok(stringWidth(shown) <= columns, `${stringWidth(shown)} of ${columns}: ${jsonLine(shown)}`);
        // deno-lint-ignore no-control-regex
        assert.not.match(shown, /[\0-\x1f\x7f-\x9f]/);
      }
    }
  }
  // To measure all of this would take minutes.
  const paper = { columns: 100, colours: false };
  const long = "漢".repeat(1_000_000);
  for (
    const event of [long, { [long]: 1 }, { a: long }, Object.fromEntries([...long].map((_, n) => [n, n]))]
  ) {
    assert.match(eventRow({ type: "t", event }, paper), /…/);
  }
});

test("eventRow() shows the subject of an event, unless its payload shows it", () => {
  const row = (event: object) =>
    eventRow({ type: "t", ...event }, { columns: 100, colours: false }).slice(40);
  assert.is(row({ subject: "order/42", event: { total: 7 } }).trim(), "order/42 total=7");
  assert.is(row({ subject: "order/\u009b42", event: "text" }).trim(), "order/\\u009b42 text");
  assert.is(row({ subject: HASH, event: { infohash: HASH } }).trim(), "infohash=08ada5a7…");
  assert.is(row({ subject: HASH }).trim(), "08ada5a7…");
  assert.is(row({ subject: 42 }).trim(), "");
});

test("eventRow() shows time, type and name first: at 80 columns the type is cut in its middle, and hashes are short", () => {
  const row = (type: string, event: unknown, columns = 80) =>
    eventRow({ type, event, time: "2026-11-28T12:00:00Z" }, { columns, colours: false }).slice(10);
  assert.is(
    row("torrent_finished", { infohash: HASH, name: "Sintel" }),
    "torrent_finished        Sintel 08ada5a7…",
  );
  assert.is(
    row("order_payment_confirmation", { hash: HASH, total: 7, title: "Big  buck\nbunny" }),
    "order_payme…nfirmation  Big  buck bunny hash=08ada5a7… total=7",
  );
  assert.is(row("order_payment_confirmation", { total: 7 }, 120), "order_payment_confirmation    total=7");
});

test("eventRow() is whole if it takes all columns", () => {
  const row = (columns: number) =>
    eventRow({ type: "t", event: { a: 1, key: "x".repeat(20) }, subject: "s" }, { columns, colours: false });
  const whole = row(80);
  assert.match(whole, / {2}s a=1 key=x{20}$/);
  const narrow = row(50);
  assert.match(narrow, / {2}s a=1 key=x+…$/);
  for (let columns = 50; columns < 80; columns++) {
    const shown = row(columns);
    if (!shown.endsWith("…")) assert.match(shown, / {2}s a=1 key=x{20}$/);
    const room = columns - shown.indexOf("s a=1");
    assert.is(shown.endsWith("…"), room < "s a=1 key=".length + 20, shown);
  }
});

test("eventRow() says in words that events were lost, as the page does", () => {
  const row = (event: object) => eventRow({ type: "events_lost", event }, { columns: 90, colours: false });
  assert.match(row({ reason: "unknown_epoch", count: null }), / {2}Events lost: server restarted$/);
  assert.match(row({ reason: "slow_consumer", count: 1200 }), / {2}1,200 events lost: read too slowly$/);
  assert.match(row({ reason: "other\u001b[2J", count: 1 }), / {2}1 event lost: other\\u001b\[2J$/);
});

/** Holds events with these payloads. */
function hold(count: number, typeOf: (n: number) => string = () => "tick"): HeldEvents {
  const held = new HeldEvents();
  for (let n = 1; n <= count; n++) {
    const event = { type: typeOf(n), event: n };
    held.add(event, JSON.stringify(event));
  }
  return held;
}

/** Presses keys, and returns the panel after them. */
function press(panel: Panel, ...keys: readonly string[]): Panel {
  let now = panel;
  for (const key of keys) {
    now.lines(5, PLAIN);
    now = now.key(keyOf(key)) ?? panel;
  }
  return now;
}

/** The payloads that a list shows; that of the selected row in brackets. */
function numbersIn(panel: Panel, rows = 5): string {
  return panel.lines(rows, PLAIN).map((row) => {
    const number = /(\d+)\D*$/.exec(row.replaceAll(ESCAPES, ""))![1]!;
    return row.startsWith("\x1b[7m") ? `[${number}]` : number;
  }).join(" ");
}

test("EventList follows the newest event until another is selected, which then stays where it is", () => {
  const held = hold(10);
  const list = new EventList(held, () => {});
  assert.is(numbersIn(list), "6 7 8 9 [10]");
  held.add({ type: "tick", event: 11 }, "11");
  assert.is(numbersIn(list), "7 8 9 10 [11]");
  press(list, "up", "up");
  assert.is(numbersIn(list), "7 8 [9] 10 11");
  for (let n = 12; n <= 20; n++) held.add({ type: "tick", event: n }, `${n}`);
  assert.is(numbersIn(list), "7 8 [9] 10 11");
  press(list, "pageup");
  assert.is(numbersIn(list), "[5] 6 7 8 9");
  press(list, "home", "down");
  assert.is(numbersIn(list), "1 [2] 3 4 5");
  assert.is(numbersIn(list, 2), "1 [2]");
  press(list, "end");
  assert.is(numbersIn(list), "16 17 18 19 [20]");
  assert.is(numbersIn(new EventList(hold(2), () => {})), "1 [2]");
});

test("EventList shows a whole event at Enter, the one beside it at ←, and the list again at Esc", () => {
  const held = new HeldEvents();
  const add = (json: string) => held.add(JSON.parse(json), json);
  add('{"type":"a","event":{"n":4611686018427387905,"list":[1,[]],"empty":{}}}');
  add(`{"type":"b","event":"${"漢".repeat(50)}\u009b2J"}`);
  const list = new EventList(held, () => {});
  const whole = press(list, "return");
  const lines = whole.lines(20, PLAIN);
  assert.equal(lines.slice(0, 2), ["{", '  "type": "b",']);
  assert.ok(lines.every((line) => stringWidth(line) <= 80), lines.join("\n"));
  assert.is(lines.slice(2, -1).join(""), `  "event": "${"漢".repeat(50)}\\u009b2J"`);
  whole.key(keyOf("left"));
  assert.equal(whole.lines(20, PLAIN), [
    "{",
    '  "type": "a",',
    '  "event": {',
    '    "n": 4611686018427387905,',
    '    "list": [',
    "      1,",
    "      []",
    "    ],",
    '    "empty": {}',
    "  }",
    "}",
  ]);
  whole.key(keyOf("down"));
  assert.is(whole.lines(3, PLAIN)[0], '  "type": "a",');
  assert.is(whole.key(keyOf("escape")), undefined);
  assert.is(list.key(keyOf("escape")), undefined);
});

test("indentJson() shows a text that is cut off, and strings with brackets, as they are", () => {
  assert.equal(indentJson('{"a":"{[,:]}\\"","b":[{"c":"x'), [
    "{",
    '  "a": "{[,:]}\\"",',
    '  "b": [',
    "    {",
    '      "c": "x',
  ]);
  assert.equal(indentJson('"text"'), ['"text"']);
});

test("indentJson() shows the lines of a text, and only of a text", () => {
  const traceback = 'Traceback:\r\n  File "a.py"\n\traise\u001b[2J\n';
  const json = JSON.stringify({ a: { "k\n": traceback, path: "C:\\new" }, list: ["one", "two\nthree"] });
  assert.equal(indentJson(json), [
    "{",
    '  "a": {',
    '    "k\\n": |',
    "      Traceback:",
    '        File "a.py"',
    "          raise\\u001b[2J",
    '    "path": "C:\\\\new"',
    "  },",
    '  "list": [',
    '    "one",',
    "    |",
    "      two",
    "      three",
    "  ]",
    "}",
  ]);
});

test("indentJson() shows the lines of a text that is cut off, wherever that is", () => {
  const json = String.raw`{"a":"one\nC:\\two\u00e9x`;
  const [, ...shown] = indentJson(json);
  assert.equal(shown, ['  "a": |', "    one", "    C:\\twoéx"]);
  for (let length = json.indexOf("C"); length < json.length; length++) {
    const lines = indentJson(json.slice(0, length));
    assert.equal(lines.slice(1, 3), ['  "a": |', "    one"], json.slice(0, length));
    assert.ok("    C:\\twoéx".startsWith(lines[3] ?? ""), lines[3]);
  }
});

test("WholeEvent shows the lines of a text that is longer than what it shows", () => {
  const held = new HeldEvents();
  const event = { type: "t", event: { text: "a line\n".repeat(60_000) } };
  held.add(event, JSON.stringify(event));
  const lines = new WholeEvent(held.shown[0]!, new EventList(held, () => {})).lines(100_000, PLAIN);
  assert.equal(lines.slice(2, 5), ['  "event": {', '    "text": |', "      a line"]);
  assert.match(lines.at(-1)!, /^… 2\d\d,\d{3} more characters$/);
  assert.ok(lines.length > 20_000, `${lines.length} lines`);
});

test("EventList and WholeEvent follow the subject of their event at f, and keep it selected", () => {
  const held = hold(5);
  const followed: unknown[] = [];
  const list = new EventList(held, (of) => followed.push(of?.event.event));
  const whole = press(list, "up", "f", "return");
  press(whole, "left", "f");
  assert.equal(followed, [4, 3]);
  held.add({ type: "tick", event: 6 }, "6");
  assert.is(numbersIn(list), "1 2 [3] 4 5");
  press(list, "end", "f");
  held.add({ type: "tick", event: 7 }, "7");
  assert.equal(followed, [4, 3, 6]);
  assert.is(numbersIn(list), "2 3 4 5 [6]");
  held.filter(parseFilter("nothing"));
  press(list, "f");
  assert.equal(followed, [4, 3, 6, undefined]);
});

test("EventList and WholeEvent name f only for an event with a subject", () => {
  const held = new HeldEvents();
  const list = new EventList(held, () => {});
  assert.not.match(list.hint, / f /);
  for (const subject of [undefined, "order/42"]) held.add({ type: "t", subject }, "{}");
  assert.match(list.hint, /^Esc back, Enter whole event, f its subject, ↑↓/);
  const whole = press(list, "return");
  assert.match(whole.hint, /^Esc back, ← → other events, f its subject, ↑↓/);
  press(whole, "left");
  assert.match(list.hint, /^Esc back, Enter whole event, ↑↓/);
  assert.match(whole.hint, /^Esc back, ← → other events, ↑↓/);
});

test("KeyList shows all of its text at any width, and moves where it is higher than the terminal", () => {
  const list = new KeyList();
  const text = (columns: number, rows: number) => list.lines(rows, { columns, colours: false }).join(" ");
  for (const columns of [40, 80, 200]) {
    const whole = text(columns, 100);
    assert.not.match(whole, /…/);
    assert.match(whole.replaceAll(/\s+/g, " "), /is:trouble for failures; - before a term .* stop until fg$/);
    assert.ok(list.lines(100, PLAIN).every((line) => stringWidth(line) <= 80));
  }
  assert.is(list.hint, "Esc back");
  assert.not.match(text(40, 10), /stop until fg/);
  assert.is(list.hint, "Esc back, ↑↓ more");
  list.key(keyOf("end"));
  assert.match(text(40, 10), /stop until fg/);
  assert.is(list.key(keyOf("?")), undefined);
});

test("TypeList hides types, one or all of them, but no filter hides events_lost", () => {
  const held = hold(6, (n) => n % 3 === 0 ? "events_lost" : n % 3 === 1 ? "a" : "b\u001b[2J");
  const types = new TypeList(held);
  assert.equal(types.lines(5, PLAIN).map((line) => line.replaceAll(ESCAPES, "").replace(/ +/g, " ")), [
    "[x] 2 a",
    "[x] 2 b\\u001b[2J",
  ]);
  press(types, "space");
  assert.equal(held.shown.map(({ event }) => event.event), [2, 3, 5, 6]);
  press(types, "space", "a");
  assert.equal(held.shown.map(({ event }) => event.event), [3, 6]);
  press(types, "a");
  held.filter(parseFilter("type:a"));
  assert.equal(held.shown.map(({ event }) => event.event), [1, 3, 4, 6]);
  assert.is(types.key(keyOf("return")), undefined);
});

/** The types that a list shows: with a mark those that are chosen, in brackets the selected one. */
function typesIn(panel: Panel, rows = 5): string {
  return panel.lines(rows, PLAIN).map((row) => {
    const [, mark, type] = /\[(.)\] +\d+ {2}(\S+)/.exec(row.replaceAll(ESCAPES, ""))!;
    const text = `${mark === "x" ? "+" : "-"}${type}`;
    return row.startsWith("\x1b[7m") ? `(${text})` : text;
  }).join(" ");
}

test("TypeList keeps the selected type selected when another one arrives before it", () => {
  const held = hold(3, (n) => ["d", "e", "f"][n - 1]!);
  const types = new TypeList(held);
  press(types, "down");
  assert.is(typesIn(types), "+d (+e) +f");
  held.add({ type: "a" }, "{}");
  assert.is(typesIn(types), "+a +d (+e) +f");
  press(types, "space");
  assert.is(typesIn(types), "+a +d (-e) +f");
  const none = new HeldEvents();
  const early = new TypeList(none);
  early.lines(5, PLAIN);
  none.add({ type: "m" }, "{}");
  assert.is(typesIn(early), "(+m)");
  none.add({ type: "a" }, "{}");
  assert.is(typesIn(early), "+a (+m)");
});

test("TypeList hides new types once none or only some were chosen, and shows them if some were hidden", () => {
  const held = hold(2, (n) => ["a", "b"][n - 1]!);
  const types = new TypeList(held);
  press(types, "space");
  assert.is(held.choice.words, "without 1 type");
  assert.ok(held.add({ type: "new" }, "{}"));
  press(types, "space", "a", "space");
  assert.is(typesIn(types), "(+a) -b -new");
  assert.is(held.choice.words, "only 1 type");
  assert.not(held.add({ type: "newer" }, "{}"));
  assert.ok(held.add({ type: "a" }, "{}"));
  press(types, "down", "o");
  assert.is(typesIn(types), "-a (+b) -new -newer");
  press(types, "a");
  assert.is(held.choice.words, "");
  assert.ok(held.add({ type: "newest" }, "{}"));
});

test("TypeList shows at once what is chosen, also while there is no type", () => {
  const held = hold(4, (n) => n % 2 === 0 ? "a" : "b");
  const types = new TypeList(held);
  press(types, "o");
  held.add({ type: "a", event: 5 }, "{}");
  assert.equal(held.shown.map(({ event }) => event.event), [2, 4, 5]);
  types.key({ name: "c", text: "", ctrl: true });
  assert.is(held.shown.length, 5);
  const none = new HeldEvents();
  press(new TypeList(none), "a", "space", "o");
  assert.not(none.add({ type: "a" }, "{}"));
});

test("HeldEvents counts no loss among the events that match", () => {
  const held = hold(6, (n) => n % 3 === 0 ? "events_lost" : "tick");
  held.filter(parseFilter("is:trouble"));
  assert.equal([held.matching, held.size, held.shown.length], [0, 4, 2]);
  held.add({ type: "events_lost" }, "{}");
  held.add({ type: "disk_error" }, "{}");
  assert.equal([held.matching, held.size, held.shown.length], [1, 5, 4]);
  held.filter(undefined);
  assert.equal([held.matching, held.size, held.count], [5, 5, 5]);
  for (let n = 0; n < 9000; n++) held.add({ type: n % 2 === 0 ? "events_lost" : "tick" }, "{}");
  assert.ok(held.matching === held.size && held.size >= 2500 && held.size <= 3000, `${held.size}`);
});

test("EventList blames the filter for an empty list only if there is one", () => {
  const held = hold(1);
  const empty = () => new EventList(held, () => {}).lines(5, PLAIN);
  held.filter(parseFilter("nothing"));
  assert.equal(empty(), ["No event so far matches."]);
  assert.equal(new EventList(new HeldEvents(), () => {}).lines(5, PLAIN), ["No event so far."]);
  held.filter(undefined);
  press(new TypeList(held), "a");
  assert.equal(empty(), ["No event so far matches."]);
});

test("TypeList goes back to the choice before it at Ctrl-C, and says what is beyond the screen", () => {
  const held = hold(9, (n) => `t${n}`);
  held.choice.toggle("t2");
  const types = new TypeList(held);
  press(types, "a", "o");
  assert.is(types.key({ name: "c", text: "", ctrl: true }), undefined);
  assert.is(held.choice.words, "without 1 type");
  types.lines(5, PLAIN);
  assert.match(types.hint, /^↓4 Enter/);
  press(types, "end", "up", "up", "up", "up", "up");
  types.lines(5, PLAIN);
  assert.match(types.hint, /^↑3 ↓1 Enter/);
  types.lines(9, PLAIN);
  assert.match(types.hint, /^Enter/);
});

const STATE: ViewState = {
  status: { type: "open", attempt: 1, resumed: false, start: undefined } as never,
  retryAt: 0,
  count: 13,
  held: 13,
  matching: 13,
  perSecond: 0.2,
  filter: "",
  unclear: [],
  types: "",
  paused: undefined,
  panelHint: undefined,
  hasKeyboard: true,
  place: "http://a",
};

test("lastLine() says how many events match, what limits them, and that space resumes", () => {
  const line = (state: Partial<ViewState>) =>
    lastLine({ ...STATE, ...state }, { columns: 150, colours: false });
  assert.is(line({}), "● connected  13 events  0.2/s  ? keys  / filter  space pause  q quit  http://a");
  const limits = { filter: "name:\u001bsintel", types: "only 1 type", matching: 3, paused: 2 };
  assert.is(
    line(limits),
    "● paused, 2 new  connected  3 of 13 match  0.2/s  /name:\\u001bsintel  only 1 type  ? keys  / filter  space resume  q quit  http://a",
  );
  assert.is(line({ panelHint: "Esc back" }), "● 13 events  Esc back");
  assert.is(
    line({ ...limits, panelHint: "Esc back" }),
    "● paused, 2 new  3 of 13 match  /name:\\u001bsintel  only 1 type  Esc back",
  );
  const mistake = { filter: "size:>abc", unclear: ["size:>abc"], matching: 0 };
  assert.match(
    line(mistake),
    /^● not understood: size:>abc {2}connected {2}0 of 13 match {2}0\.2\/s {2}\? keys/,
  );
  const narrow = (state: Partial<ViewState>) =>
    lastLine({ ...STATE, ...state }, { columns: 39, colours: false });
  assert.is(narrow({ ...mistake, paused: 2 }), "● paused, 2 new  not understood: size…");
  assert.is(
    narrow({ ...mistake, paused: 2, panelHint: "Esc back" }),
    "● paused, 2 new  not underst…  Esc back",
  );
  const away = { status: { type: "waiting", attempt: 3 } as never, retryAt: -1, panelHint: "Esc back" };
  assert.is(line(away), "○ not connected, attempt 3 in 0 s  13 events  Esc back");
  assert.match(line({ filter: "x".repeat(500) }), / {2}\/x{23}… {2}\? keys/);
});

test("lastLine() names the key that leaves a panel, and cuts no number, however narrow the terminal is", () => {
  const states: Partial<ViewState>[] = [
    { status: { type: "waiting", attempt: 123 } as never, retryAt: performance.now() + 3_599_500 },
    { filter: "name:sintel", matching: 1234, held: 5678 },
    { filter: "size:>abc", unclear: ["size:>abc"], matching: 0, held: 5678, types: "without 12 types" },
  ];
  const hints = [undefined, "Esc back, Enter whole event", "Esc back", "↑44 ↓55 Enter done, space on or off"];
  for (const state of states.flatMap((state) => [state, { ...state, paused: 1234 }])) {
    for (const panelHint of hints) {
      const all = { ...STATE, count: 1_234_567, perSecond: 123.4, ...state, panelHint, place: "" };
      const numbers = lastLine(all, { columns: 500, colours: false }).match(/\d[\d,.]*/g)!;
      for (let columns = 39; columns < 120; columns++) {
        const line = lastLine(all, { columns, colours: false });
        assert.ok(stringWidth(line) <= columns, line);
        for (const number of line.match(/\d[\d,.]*/g) ?? []) assert.ok(numbers.includes(number), line);
        assert.ok(line.includes(panelHint?.split(", ")[0] ?? ""), line);
      }
    }
  }
  const away = { ...STATE, ...states[0], panelHint: hints[1] };
  assert.is(lastLine(away, { columns: 39, colours: false }), "○ not connected  13 events  Esc back, …");
});

test("Rate says 100 at a hundred events a second, at any moment", () => {
  const rate = new Rate(0);
  let now = 0;
  for (; now < 5000; now += 10) rate.count(now);
  for (; now < 20_000; now += 10) {
    rate.count(now);
    assert.ok(Math.abs(rate.perSecond(now) - 100) <= 1, `${rate.perSecond(now)} at ${now} ms`);
  }
  assert.is(rate.perSecond(now + 6000), 0);
  const young = new Rate(700);
  for (now = 700; now <= 2700; now += 10) young.count(now);
  assert.ok(Math.abs(young.perSecond(now) - 100) <= 1, `${young.perSecond(now)}`);
});

test("createView() counts in the rate what is published while it is connected, and not what is replayed", async () => {
  const terminal = new TerminalModel({ columns: 150 });
  const view = createView(terminal, "http://a", false, () => {});
  try {
    const start = { type: "events_start", time: "2026-11-28T12:00:00.000Z" };
    view.status({ type: "open", start, resumed: false } as never);
    const publish = (time: string) => view.event({ type: "tick", time }, "{}");
    for (let n = 0; n < 50; n++) publish("2026-11-28T11:59:59.999Z");
    publish("2026-11-28T12:00:00.000Z");
    await until(() => terminal.lines.at(-1)!.includes("51 events"), "the events are counted");
    assert.match(terminal.lines.at(-1)!, / {2}(1\.0|0\.\d)\/s {2}/);
  } finally {
    view.close();
  }
});

test("HeldEvents holds 5000 events and 16 Mi characters at least, and hardly more", () => {
  const many = hold(20_000);
  assert.ok(many.shown.length >= 5000 && many.shown.length <= 6000, `${many.shown.length}`);
  assert.is(many.count, 20_000);
  assert.is(many.shown.at(-1)!.event.event, 20_000);
  assert.is(many.shown[many.placeOf(19_000)]!.number, 19_000);
  const large = new HeldEvents();
  for (let n = 0; n < 50; n++) large.add({ type: "large", event: n }, "x".repeat(1024 * 1024));
  assert.ok(large.shown.length >= 15 && large.shown.length <= 20, `${large.shown.length}`);
  assert.is(large.types.get("large"), 50);
});

test("Prompt takes text, Backspace, Ctrl-U and Ctrl-W, and reports Enter and Esc", () => {
  const prompt = new Prompt("");
  const type = (...keys: readonly string[]) => keys.map((key) => prompt.key(keyOf(key)));
  type("n", "漢", "👩‍👩‍👧‍👦", "backspace", "space", "b");
  assert.is(prompt.text, "n漢 b");
  prompt.key({ name: "w", text: "", ctrl: true });
  assert.is(prompt.text, "n漢 ");
  prompt.key({ name: "u", text: "", ctrl: true });
  assert.is(prompt.text, "");
  assert.equal(type("backspace", "return", "escape"), [undefined, "accepted", "cancelled"]);
  assert.is(prompt.key({ name: "c", text: "", ctrl: true }), "cancelled");
});

test("Prompt takes Delete, Ctrl-A, Ctrl-E and Ctrl-K, and a paste", () => {
  const prompt = new Prompt("a漢b");
  const control = (name: string) => prompt.key({ name, text: "", ctrl: true });
  control("a");
  for (const name of ["right", "delete"]) prompt.key({ name, text: "", ctrl: false });
  assert.is(`${prompt.before}|${prompt.after}`, "a|b");
  prompt.key({ name: "paste", text: "q x", ctrl: false });
  control("e");
  assert.is(`${prompt.before}|${prompt.after}`, "aq xb|");
  control("a");
  control("k");
  assert.is(prompt.text, "");
});

test("Prompt moves its cursor by ← → Home End", () => {
  const prompt = new Prompt("漢b");
  for (const key of ["left", "x", "home", "left", "a", "right", "y", "backspace"]) prompt.key(keyOf(key));
  assert.is(`${prompt.before}|${prompt.after}`, "a漢|xb");
  for (const key of ["end", "right", "z"]) prompt.key(keyOf(key));
  assert.is(`${prompt.before}|${prompt.after}`, "a漢xbz|");
});

test("Prompt takes 4,000 characters, and its keys take no longer for that", () => {
  const prompt = new Prompt("");
  const press = (name: string, ctrl = false) => prompt.key({ name, text: "", ctrl });
  for (let n = 0; n < 2; n++) prompt.key({ name: "paste", text: "漢 ".repeat(50_000), ctrl: false });
  assert.is(prompt.text.length, 4000);
  prompt.key(keyOf("x"));
  assert.is(prompt.text.length, 4000);
  // That of an event may be longer.
  const long = new Prompt("漢 ".repeat(50_000));
  Object.assign(prompt, { before: long.text, after: long.text });
  const begin = performance.now();
  for (let n = 0; n < 10; n++) {
    for (const name of ["backspace", "delete", "left", "right"]) press(name);
    press("w", true);
    promptLine(prompt, [""], PLAIN);
  }
  const milliseconds = performance.now() - begin;
  assert.ok(milliseconds < 500, `${milliseconds} ms`);
  assert.is(prompt.before.length, 100_000 - 10 - 10);
  prompt.before = `${"x".repeat(100_000)} ${" ".repeat(100_000)}y`;
  press("w", true);
  press("w", true);
  assert.is(prompt.before, "");
});

test("promptLine() keeps the cursor in sight however long the line is", () => {
  const prompt = new Prompt("");
  const line = (columns: number) => promptLine(prompt, ["  a hint"], { columns, colours: false });
  assert.is(line(40), "/▏  a hint");
  prompt.before = "0123456789".repeat(3);
  assert.is(
    line(20),
    "/…4567890123456789▏…",
  );
  for (const before of ["", "漢".repeat(30), "x".repeat(100)]) {
    for (const after of ["", "漢".repeat(30), "y".repeat(100)]) {
      Object.assign(prompt, { before, after });
      for (let columns = 5; columns < 60; columns++) {
        const shown = line(columns);
        assert.match(shown, /▏/);
        assert.ok(stringWidth(shown) <= columns, `${stringWidth(shown)} of ${columns}: ${shown}`);
      }
    }
  }
});

test("FullScreen draws changes together, again when the terminal is resized, and leaves what was there before", async () => {
  const terminal = fakeTerminal(40);
  const { state } = terminal;
  let drawn = 0;
  const screen = new FullScreen(terminal, (rows, columns) => [`${++drawn}: ${rows} × ${columns}`, "second"]);
  screen.refresh();
  screen.open();
  for (let n = 0; n < 100; n++) screen.refresh();
  await until(() => state.written.length === 2, "it is drawn");
  assert.equal(state.written, [
    "\x1b[?1049h\x1b[?25l",
    `\x1b[H${unwrapped("\x1b[K1: 24 × 40\r\n\x1b[Ksecond")}`,
  ]);
  state.columns = 20;
  terminal.emit("resize");
  assert.match(state.written[2]!, "2: 24 × 20");
  screen.refresh();
  screen.close();
  assert.is(state.written[3], "\x1b[?25h\x1b[?1049l");
  assert.equal(terminal.eventNames(), []);
});

/** Each character of an emoji takes two columns in a terminal that does not join them. */
const widthUnjoined = (character: string) => (/\p{Emoji_Presentation}/u.test(character) ? 2 : 1);
const FAMILY = "👨‍👩‍👧‍👦";

test("FullScreen shows the last character of a full row, and a row that is wider than it was measured takes no other's", () => {
  const terminal = new TerminalModel({ columns: 20, rows: 4, widthOf: widthUnjoined });
  let lines = ["x".repeat(20), "old".repeat(6), FAMILY.repeat(10), "0123456789".repeat(2)];
  const screen = new FullScreen(terminal, () => lines);
  screen.open();
  screen.draw();
  assert.equal([terminal.lines[0], terminal.lines[3]], ["x".repeat(20), "0123456789".repeat(2)]);
  lines = ["first", "new", FAMILY.repeat(10), "last"];
  screen.draw();
  assert.equal([...terminal.lines.slice(0, 2), terminal.lines[3]], ["first", "new", "last"]);
  assert.equal(terminal.scrolledOff, []);
  assert.ok(terminal.wraps);
  screen.close();
});

test("createScreen() gives a row that is wider than it was measured one line of the terminal", async () => {
  const terminal = new TerminalModel({ columns: 20, rows: 10, widthOf: widthUnjoined });
  const screen = createScreen(terminal, () => FAMILY.repeat(9));
  try {
    for (const row of ["one", FAMILY.repeat(10), "y".repeat(20), "four"]) screen.print(row);
    await until(() => terminal.lines.includes("four"), "the rows are written");
    assert.equal([terminal.lines.length, terminal.lines[0], terminal.lines[2]], [5, "one", "y".repeat(20)]);
    screen.print("five");
    await until(() => terminal.lines.includes("five"), "the row is written");
    assert.equal([terminal.lines.length, terminal.lines[4]], [6, "five"]);
    assert.ok(terminal.wraps);
    screen.print("six");
  } finally {
    screen.close();
  }
  assert.is(terminal.lines[5], "six");
  assert.ok(terminal.wraps);
});

test.run();
