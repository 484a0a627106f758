import fc from "fast-check";
import { readdir, readFile } from "node:fs/promises";
import * as assert from "uvu/assert";
import { readTorrent } from "../../src/server/torrent.ts";
import { suite } from "../support/suite.ts";
import {
  bytesOf,
  concat,
  encode,
  fixtures,
  latin1,
  PIECES,
  type Plain,
  sha1,
  torrentNamed,
  WEBTORRENT,
} from "./torrents.ts";

const test = suite("readTorrent");

async function reasonOf(bytes: Uint8Array): Promise<string> {
  const result = await readTorrent(bytes).catch((error: unknown) => error);
  assert.instance(result, Error, `${new TextDecoder().decode(bytes.subarray(0, 60))} was read as a torrent`);
  return (result as Error).message;
}

for (const [file, expected] of Object.entries(WEBTORRENT)) {
  test(`reads ${file}`, async () => {
    const torrent = await readTorrent(await readFile(new URL(file, fixtures)));
    const { infohash, name, files, created } = torrent;
    assert.equal({ infohash, name, files: files.length, created }, { created: undefined, ...expected });
    assert.equal(torrent.trackers, []);
  });
}

test("knows every torrent of the fixtures, and that corrupt.torrent is corrupt", async () => {
  const files = (await readdir(fixtures)).filter((name) => name.endsWith(".torrent"));
  assert.equal(files.sort(), [...Object.keys(WEBTORRENT), "corrupt.torrent"].sort());
  assert.match(await reasonOf(await readFile(new URL("corrupt.torrent", fixtures))), /no name/);
});

test("lists the files of real torrents without the torrent's name", async () => {
  const numbers = await readTorrent(await readFile(new URL("lots-of-numbers.torrent", fixtures)));
  assert.equal(numbers.files, [
    ["big numbers/10.txt", 2],
    ["big numbers/11.txt", 2],
    ["big numbers/12.txt", 2],
    ["small numbers/1.txt", 1],
    ["small numbers/2.txt", 2],
    ["small numbers/3.txt", 3],
  ]);
  const alice = await readTorrent(await readFile(new URL("alice.torrent", fixtures)));
  assert.equal(alice.files, [["alice.txt", 163783]]);
});

test("takes the infohash of the bytes as they stand, however odd", async () => {
  const infos = [
    concat([
      bytesOf("d6:pieces20:"),
      latin1("\xfe".repeat(20)),
      bytesOf("4:name1:z12:piece lengthi1e6:lengthi1ee"),
    ]),
    concat([bytesOf("d6:lengthi007e4:name1:z12:piece lengthi0016e6:pieces00:e")]),
    encode({ zzz: { b: 1, a: [-0, latin1("\xff")] }, length: 0, name: "4:infode", ...PIECES, "": "" }),
    concat([
      bytesOf("d3:bigi123456789012345678901234567890e6:lengthi-0e4:name1:z12:piece lengthi1e6:pieces0:e"),
    ]),
  ];
  for (const info of infos) {
    const torrent = await readTorrent(
      concat([bytesOf("d7:comment8:4:infode4:info"), info, bytesOf("3:zzzd4:infodeee")]),
    );
    assert.is(torrent.infohash, sha1(info));
  }
});

test("reads a view into a larger buffer", async () => {
  const bytes = torrentNamed("view");
  const around = concat([bytesOf("junk"), bytes, bytesOf("junk")]);
  const torrent = await readTorrent(around.subarray(4, 4 + bytes.length));
  assert.equal(torrent, await readTorrent(bytes));
});

test("decodes two at once", async () => {
  const names = Array.from({ length: 20 }, (_, i) => `torrent ${i}`);
  const read = await Promise.all(names.map((name) => readTorrent(torrentNamed(name))));
  assert.equal(read.map((torrent) => torrent.name), names);
  assert.equal(
    read.map((t) => t.infohash),
    names.map((name) => sha1(encode({ length: 5, name, ...PIECES }))),
  );
});

test("prefers name.utf-8 and path.utf-8, and repairs what is no UTF-8", async () => {
  const file = (keys: { [key: string]: Plain }): Plain => ({ length: 1, ...keys });
  const torrent = await readTorrent(encode({
    info: {
      name: latin1("caf\xe9"),
      "name.utf-8": "café 🙂",
      files: [
        file({ path: [latin1("\xe9t\xe9")], "path.utf-8": ["été", "naïve.txt"] }),
        file({ path: [latin1("sp\xe9cial"), "日本.txt"] }),
      ],
      ...PIECES,
    },
  }));
  assert.is(torrent.name, "café 🙂");
  assert.equal(torrent.files, [["été/naïve.txt", 1], ["sp\uFFFDcial/日本.txt", 1]]);
  const repaired = await readTorrent(encode({ info: { name: latin1("caf\xe9"), length: 3, ...PIECES } }));
  assert.is(repaired.name, "caf\uFFFD");
  assert.equal(repaired.files, [["caf\uFFFD", 3]]);
  assert.is((await readTorrent(torrentNamed("\uFEFFbom"))).name, "\uFEFFbom");
});

test("lists files in the torrent's order, padding and empty ones included", async () => {
  const files: Plain = [
    { length: 3, path: ["z", "10.txt"] },
    { attr: "p", length: 13, path: [".pad", "13"] },
    { length: 0, path: ["a", "b", "c", "empty"] },
    { length: Number.MAX_SAFE_INTEGER, path: ["__proto__"] },
  ];
  const torrent = await readTorrent(encode({ info: { files, name: "many", ...PIECES } }));
  assert.is(torrent.name, "many");
  assert.equal(torrent.files, [
    ["z/10.txt", 3],
    [".pad/13", 13],
    ["a/b/c/empty", 0],
    ["__proto__", Number.MAX_SAFE_INTEGER],
  ]);
});

test("walks the file tree of a version 2 torrent", async () => {
  const leaf = (length: number): Plain =>
    new Map([["", { length, "pieces root": latin1("\xaa".repeat(32)) }]]);
  const tree: Plain = new Map<string | Uint8Array, Plain>([
    ["10.txt", leaf(10)],
    ["2", leaf(2)],
    ["__proto__", leaf(7)],
    [latin1("\xe8.txt"), leaf(3)],
    [latin1("\xe9.txt"), leaf(4)],
    ["sub", new Map<string, Plain>([["ü", new Map([["x.bin", leaf(5)]])], ["y", leaf(0)]])],
  ]);
  const info: Plain = { "file tree": tree, "meta version": 2, name: "v2", "piece length": 16384 };
  const torrent = await readTorrent(encode({ info, "piece layers": {} }));
  assert.is(torrent.infohash, sha1(encode(info)));
  assert.equal(torrent.files, [
    ["10.txt", 10],
    ["2", 2],
    ["__proto__", 7],
    ["\uFFFD.txt", 3],
    ["\uFFFD.txt", 4],
    ["sub/ü/x.bin", 5],
    ["sub/y", 0],
  ]);
  const hybrid = { ...info, files: [{ length: 1, path: ["v1"] }], ...PIECES };
  assert.equal((await readTorrent(encode({ info: hybrid }))).files, [["v1", 1]]);
});

test("reads a torrent of Merkle trees, and one with a very long key", async () => {
  const info: Plain = {
    length: 5,
    name: "merkle",
    "piece length": 1,
    "root hash": latin1("\xaa".repeat(20)),
  };
  assert.is((await readTorrent(encode({ info }))).name, "merkle");
  assert.is((await readTorrent(torrentNamed("long", { ["k".repeat(1_000_000)]: "" }))).name, "long");
});

test("lists trackers once each, announce first, without empty ones", async () => {
  const trackersOf = async (top: { [key: string]: Plain }) =>
    (await readTorrent(torrentNamed("t", top))).trackers;
  const [a, b, c] = ["http://a/announce", "udp://b:80", "wss://c/ü"];
  assert.equal(await trackersOf({}), []);
  assert.equal(await trackersOf({ announce: b, "announce-list": [[a, b], [], [c, a, ""], [b]] }), [b, a, c]);
  assert.equal(await trackersOf({ announce: "", "announce-list": [[" "], [c]] }), [c]);
  assert.equal(await trackersOf({ "announce-list": [a, [b]], announce: c }), [c, a, b]);
  assert.equal(await trackersOf({ announce: 5, "announce-list": [[1, a], { b }, 7] }), [a]);
  assert.equal(await trackersOf({ announce: a, "announce-list": "http://b" }), [a]);
});

test("takes the creation date only where it is a time in seconds, or in milliseconds", async () => {
  const createdOf = async (date: Plain) =>
    (await readTorrent(torrentNamed("t", { "creation date": date }))).created;
  assert.is(await createdOf(1), 1);
  assert.is(await createdOf(4294967295), 4294967295);
  assert.is(await createdOf(1452468725991), 1452468725);
  for (const date of [0, -1, 4294967295001, "1452468725", [1452468725]] satisfies Plain[]) {
    assert.is(await createdOf(date), undefined, `${date}`);
  }
  assert.not("created" in await readTorrent(torrentNamed("t")));
});

test("refuses a torrent cut off at any byte, and one that goes on", async () => {
  const whole = encode({
    announce: "http://a",
    "creation date": 1452468725,
    info: { files: [{ length: 5, path: ["a", "b"] }], name: "cut", ...PIECES },
    zzz: [-1, { a: "" }],
  });
  assert.is((await readTorrent(whole)).name, "cut");
  for (let length = 0; length < whole.length; length++) {
    assert.match(
      await reasonOf(whole.subarray(0, length)),
      /^not a torrent: it is empty$|is cut off/,
      `${length}`,
    );
  }
  for (const more of ["\n", "e", "\0", "d4:infodee"]) {
    assert.match(await reasonOf(concat([whole, bytesOf(more)])), /the file goes on/);
  }
});

/** What is refused, with what the message has to say of it. Where it is text, it is the file as it stands. */
const info = { length: 5, name: "n", ...PIECES };
const without = (key: keyof typeof info): { [key: string]: Plain } =>
  Object.fromEntries(Object.entries(info).filter(([name]) => name !== key));
const REFUSED: [Plain | Uint8Array, RegExp][] = [
  [bytesOf("<!DOCTYPE html><html><body>404</body></html>"), /is not a dictionary/],
  [bytesOf("\0".repeat(100)), /is not a dictionary/],
  [[], /is not a dictionary/],
  [1, /is not a dictionary/],
  ["string", /is not a dictionary/],
  [{}, /no info dictionary/],
  [{ info: [] }, /no info dictionary/],
  [{ info: "" }, /no info dictionary/],
  [new Map([["__proto__", { info }]]), /no info dictionary/],
  [{ info: new Map([["__proto__", info]]) }, /has no name/],
  [bytesOf("d+4:spami1ee"), /length of a string/],
  [bytesOf("d-4:spami1ee"), /length of a string/],
  [bytesOf("d1.5:ai1ee"), /length of a string/],
  [bytesOf("d0x1:ai1ee"), /length of a string/],
  [bytesOf("d:i1ee"), /length of a string/],
  [bytesOf("di1ei1ee"), /length of a string/],
  [bytesOf("d1:a"), /cut off/],
  [bytesOf("d1:a99:be"), /the string at byte 4 is cut off/],
  [bytesOf(`d1:a${"9".repeat(400)}:be`), /cut off/],
  [bytesOf("d1:a9007199254740993:be"), /cut off/],
  [bytesOf(`d1:a${"9".repeat(400)}`), /cut off/],
  [bytesOf("d1:aiee"), /an integer/],
  [bytesOf("d1:ai-ee"), /an integer/],
  [bytesOf("d1:ai--1ee"), /an integer/],
  [bytesOf("d1:ai+1ee"), /an integer/],
  [bytesOf("d1:ai1.5ee"), /an integer/],
  [bytesOf("d1:ai1e5ee"), /length of a string/],
  [bytesOf("d1:ai 1ee"), /an integer/],
  [bytesOf("d1:aie"), /an integer/],
  [bytesOf("d1:a1:b1:a1:ce"), /two of one key/],
  [concat([bytesOf("d4:infode4:info"), encode(info), bytesOf("e")]), /two of one key/],
  [bytesOf(`d1:a${"l".repeat(100_000)}`), /levels deep/],
  [bytesOf(`d1:a${"d1:a".repeat(100_000)}`), /levels deep/],
  [bytesOf(`d1:al${"le".repeat(1_000_000)}ee`), /values/],
  [{ info: without("name") }, /no name/],
  [{ info: { ...info, name: 5 } }, /no name/],
  [{ info: without("length") }, /lists no files/],
  [{ info: { ...info, length: -1 } }, /length of a file/],
  [{ info: { ...info, length: "5" } }, /length of a file/],
  [bytesOf("d4:infod6:lengthi9007199254740992e4:name1:n12:piece lengthi1e6:pieces0:ee"), /length of a file/],
  [{ info: { ...info, files: {} } }, /not a list/],
  [{ info: { ...info, files: [] } }, /empty/],
  [{ info: { ...info, files: ["a"] } }, /not a dictionary/],
  [{ info: { ...info, files: [{ path: ["a"] }] } }, /length of a file/],
  [{ info: { ...info, files: [{ length: 5 }] } }, /path of a file/],
  [{ info: { ...info, files: [{ length: 5, path: "a" }] } }, /path of a file/],
  [{ info: { ...info, files: [{ length: 5, path: [] }] } }, /path of a file/],
  [{ info: { ...info, files: [{ length: 5, path: ["a", 5] }] } }, /path of a file/],
  [{ info: { ...info, files: [{ length: 5, path: ["a"], "path.utf-8": 5 }] } }, /path of a file/],
  [{ info: { ...without("length"), "file tree": { a: 5 } } }, /file tree/],
  [{ info: { ...without("length"), "file tree": { a: { "": 5 } } } }, /not a dictionary/],
  [{ info: { ...without("length"), "file tree": { a: { "": {} } } } }, /length of a file/],
  [{ info: { ...without("length"), "file tree": { "": { length: 5 } } } }, /file tree/],
  [{ info: { ...without("length"), "file tree": {} } }, /empty/],
  [{ info: without("piece length") }, /piece length/],
  [{ info: { ...info, "piece length": 0 } }, /piece length/],
  [{ info: without("pieces") }, /pieces/],
  [{ info: { ...info, pieces: "19 characters of it" } }, /pieces/],
  [{ info: { ...info, pieces: 20 } }, /pieces/],
  [{ info: { ...without("pieces"), "root hash": "short" } }, /pieces/],
];

test("says what is wrong with what is not a torrent", async () => {
  for (const [bytes, reason] of REFUSED) {
    const isFile = bytes instanceof Uint8Array;
    const message = await reasonOf(isFile ? bytes : encode(bytes));
    assert.match(
      message,
      reason,
      `${isFile ? new TextDecoder().decode(bytes.subarray(0, 40)) : ""}: ${message}`,
    );
    assert.match(message, /^not a torrent: .+$/);
  }
});

test("readTorrent() reads on as before when it has refused a file", async () => {
  await reasonOf(bytesOf("d1:allll"));
  assert.is((await readTorrent(torrentNamed("next"))).name, "next");
});

/** Either a torrent as promised, or an Error that was raised on purpose. */
async function isAnswered(bytes: Uint8Array): Promise<void> {
  const result = await readTorrent(bytes).catch((error: unknown) => error);
  if (result instanceof Error) {
    assert.match(result.message, /^not a torrent: /);
    return;
  }
  const torrent = result as Awaited<ReturnType<typeof readTorrent>>;
  assert.match(torrent.infohash, /^[0-9a-f]{40}$/);
  assert.type(torrent.name, "string");
  assert.ok(torrent.files.length > 0);
  for (const [path, size] of torrent.files) {
    assert.type(path, "string");
    assert.ok(Number.isSafeInteger(size) && size >= 0);
  }
  assert.ok(torrent.trackers.every((tracker) => typeof tracker === "string" && tracker !== ""));
  assert.ok(torrent.created === undefined || Number.isSafeInteger(torrent.created));
}

test("answers any bytes with a torrent or an Error of its own", async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), isAnswered), { numRuns: 1000 });
  const token = fc.constantFrom(
    ..."dlei:-",
    "0:",
    "1:a",
    "4:info",
    "4:name",
    "6:length",
    "i5e",
    "9:__proto__",
    "\xff",
  );
  const tokens = fc.array(token, { maxLength: 40 }).map((parts) => latin1(`d${parts.join("")}`));
  await fc.assert(fc.asyncProperty(tokens, isAnswered), { numRuns: 3000 });
});

test("answers a torrent with some bytes changed, cut out or put in likewise", async () => {
  const small = encode({
    announce: "http://a",
    "announce-list": [["udp://b"]],
    "creation date": 1452468725,
    info: { files: [{ length: 5, path: ["a", "b"] }], name: "mutant", ...PIECES },
  });
  const edit = fc.record({
    at: fc.nat(small.length),
    remove: fc.nat(4),
    put: fc.uint8Array({ maxLength: 4 }),
  });
  const flip = fc.record({
    at: fc.nat(small.length),
    remove: fc.constant(1),
    put: fc.constantFrom(..."0159:deil-").map(bytesOf),
  });
  const mutant = fc.array(fc.oneof(edit, flip), { minLength: 1, maxLength: 3 }).map((edits) =>
    edits.reduce<Uint8Array>(
      (bytes, { at, remove, put }) => concat([bytes.subarray(0, at), put, bytes.subarray(at + remove)]),
      small,
    )
  );
  await fc.assert(fc.asyncProperty(mutant, isAnswered), { numRuns: 3000 });
});

test("reads any torrent back as it was written", async () => {
  const text = fc.string({ unit: "binary", minLength: 1, maxLength: 10 });
  const size = fc.nat({ max: Number.MAX_SAFE_INTEGER });
  const files = fc.array(fc.record({ path: fc.array(text, { minLength: 1, maxLength: 4 }), length: size }), {
    minLength: 1,
    maxLength: 8,
  });
  const order = fc.shuffledSubarray(["name", "files", "piece length", "pieces", "zz"], { minLength: 5 });
  await fc.assert(
    fc.asyncProperty(text, files, order, async (name, files, order) => {
      const keys: { [key: string]: Plain } = {
        name,
        files: files.map((file) => ({ ...file })),
        zz: {},
        ...PIECES,
      };
      const info = encode(new Map(order.map((key) => [key, keys[key]!])));
      const torrent = await readTorrent(concat([bytesOf("d4:info"), info, bytesOf("e")]));
      assert.equal(torrent, {
        infohash: sha1(info),
        name,
        files: files.map(({ path, length }) => [path.join("/"), length]),
        trackers: [],
      });
    }),
  );
});

test.run();
