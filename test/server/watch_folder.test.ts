import { Buffer } from "node:buffer";
import fc from "fast-check";
import { createHash } from "node:crypto";
import { appendFileSync, unlinkSync, utimesSync, writeFileSync } from "node:fs";
import {
  appendFile,
  copyFile,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  unlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { EventsError, type EventsErrorCode } from "../../src/mod.ts";
import { readTorrent } from "../../src/server/torrent.ts";
import { type WatchFolder, watchFolder, type WatchFolderOptions } from "../../src/server/watch_folder.ts";
import { until } from "../support/harness.ts";

// Timers of the tests themselves, out of reach of the test that counts those of the watch.
const startTimer = globalThis.setTimeout;

const fixtures = new URL("../../node_modules/webtorrent-fixtures/fixtures/", import.meta.url);

// As `parse-torrent` 11 reads them, but for `created` where the file has milliseconds.
const WEBTORRENT: Record<string, { infohash: string; name: string; files: number; created?: number }> = {
  "alice.torrent": {
    infohash: "722fe65b2aa26d14f35b4ad627d20236e481d924",
    name: "alice.txt",
    files: 1,
    created: 1452468725,
  },
  "bunny.torrent": {
    infohash: "af8f10f30bf9aefecf3686922bfa0d5bd290a395",
    name: "bbb_sunflower_1080p_30fps_stereo_abl.mp4",
    files: 1,
    created: 1387309701,
  },
  "folder.torrent": {
    infohash: "b88da2caac6648e6c7d7687e3f89085f7e230e6b",
    name: "folder",
    files: 1,
    created: 1449730049,
  },
  "leaves-metadata.torrent": {
    infohash: "d2474e86c95b19b8bcfdb92bc12c9d44667cfa36",
    name: "Leaves of Grass by Walt Whitman.epub",
    files: 1,
  },
  "leaves.torrent": {
    infohash: "d2474e86c95b19b8bcfdb92bc12c9d44667cfa36",
    name: "Leaves of Grass by Walt Whitman.epub",
    files: 1,
    created: 1375363666,
  },
  "lots-of-numbers.torrent": {
    infohash: "114ead6243792ba56297edbb9a78dfba84d4fc00",
    name: "lots-of-numbers",
    files: 6,
    created: 1458348895,
  },
  "numbers.torrent": {
    infohash: "89d97c2261a21b040cf11caa661a3ba7233bb7e6",
    name: "numbers",
    files: 3,
    created: 1449730287,
  },
  "sintel.torrent": {
    infohash: "c334138ef5bfc2d568ea7324e0e2a3a7ec229bdd",
    name: "Sintel.2010.4K.DMRip.x264.DD.DTS.SRT-MaLLIeHbKa.mkv",
    files: 1,
    created: 1304585353,
  },
};

// ---- bencode, written on its own: keys keep the order given, text stands for itself -----------------------

type Plain = string | number | Uint8Array | Plain[] | Map<string | Uint8Array, Plain> | {
  [key: string]: Plain;
};

function encode(value: Plain): Uint8Array<ArrayBuffer> {
  if (typeof value === "number") return bytesOf(`i${value}e`);
  if (typeof value === "string") return encode(bytesOf(value));
  if (value instanceof Uint8Array) return concat([bytesOf(`${value.length}:`), value]);
  if (Array.isArray(value)) return concat([bytesOf("l"), ...value.map(encode), bytesOf("e")]);
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return concat([bytesOf("d"), ...entries.flat().map(encode), bytesOf("e")]);
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** One byte per character: what is no UTF-8 as well. */
function latin1(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

function concat(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function sha1(bytes: Uint8Array): string {
  return createHash("sha1").update(bytes).digest("hex");
}

const PIECES = { "piece length": 16384, pieces: latin1("\xff".repeat(20)) };

/** A small torrent; another name is another infohash, and another length of the file. */
function torrentNamed(name: string, top: { [key: string]: Plain } = {}): Uint8Array<ArrayBuffer> {
  return encode({ ...top, info: { length: 5, name, ...PIECES } });
}

async function reasonOf(bytes: Uint8Array): Promise<string> {
  const result = await readTorrent(bytes).catch((error: unknown) => error);
  assert.instance(result, Error, `${new TextDecoder().decode(bytes.subarray(0, 60))} was read as a torrent`);
  return (result as Error).message;
}

// ---- readTorrent ------------------------------------------------------------------------------------------

const torrents = suite("readTorrent");

for (const [file, expected] of Object.entries(WEBTORRENT)) {
  torrents(`reads ${file}`, async () => {
    const torrent = await readTorrent(await readFile(new URL(file, fixtures)));
    const { infohash, name, files, created } = torrent;
    assert.equal({ infohash, name, files: files.length, created }, { created: undefined, ...expected });
    assert.equal(torrent.trackers, []);
  });
}

torrents("knows every torrent of the fixtures, and that corrupt.torrent is corrupt", async () => {
  const files = (await readdir(fixtures)).filter((name) => name.endsWith(".torrent"));
  assert.equal(files.sort(), [...Object.keys(WEBTORRENT), "corrupt.torrent"].sort());
  assert.match(await reasonOf(await readFile(new URL("corrupt.torrent", fixtures))), /no name/);
});

torrents("lists the files of real torrents without the torrent's name", async () => {
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

torrents("takes the infohash of the bytes as they stand, however odd", async () => {
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

torrents("reads a view into a larger buffer", async () => {
  const bytes = torrentNamed("view");
  const around = concat([bytesOf("junk"), bytes, bytesOf("junk")]);
  const torrent = await readTorrent(around.subarray(4, 4 + bytes.length));
  assert.equal(torrent, await readTorrent(bytes));
});

torrents("decodes two at once", async () => {
  const names = Array.from({ length: 20 }, (_, i) => `torrent ${i}`);
  const read = await Promise.all(names.map((name) => readTorrent(torrentNamed(name))));
  assert.equal(read.map((torrent) => torrent.name), names);
  assert.equal(
    read.map((t) => t.infohash),
    names.map((name) => sha1(encode({ length: 5, name, ...PIECES }))),
  );
});

torrents("prefers name.utf-8 and path.utf-8, and repairs what is no UTF-8", async () => {
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

torrents("lists files in the torrent's order, padding and empty ones included", async () => {
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

torrents("walks the file tree of a version 2 torrent", async () => {
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

torrents("reads a torrent of Merkle trees, and one with a very long key", async () => {
  const info: Plain = {
    length: 5,
    name: "merkle",
    "piece length": 1,
    "root hash": latin1("\xaa".repeat(20)),
  };
  assert.is((await readTorrent(encode({ info }))).name, "merkle");
  assert.is((await readTorrent(torrentNamed("long", { ["k".repeat(1_000_000)]: "" }))).name, "long");
});

torrents("lists trackers once each, announce first, without empty ones", async () => {
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

torrents("takes the creation date only where it is a time in seconds, or in milliseconds", async () => {
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

torrents("refuses a torrent cut off at any byte, and one that goes on", async () => {
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

torrents("says what is wrong with what is not a torrent", async () => {
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

torrents("readTorrent() reads on as before when it has refused a file", async () => {
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

torrents("answers any bytes with a torrent or an Error of its own", async () => {
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

torrents("answers a torrent with some bytes changed, cut out or put in likewise", async () => {
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

torrents("reads any torrent back as it was written", async () => {
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

torrents.run();

// ---- watchFolder ------------------------------------------------------------------------------------------

const watching = suite("watchFolder");

type Told = Parameters<WatchFolderOptions["onTorrent"]>[0];

interface Watched {
  folder: string;
  torrents: Told[];
  corrupt: string[];
  problems: string[];
  watch: WatchFolder;
  /** Names of the torrents told, sorted, without those of `scansPass`. */
  names(): string[];
  /** Two torrents came and were told, one after the other: what had to be seen in the meantime was seen. */
  scansPass(): Promise<void>;
  path(...parts: string[]): string;
}

interface Setting extends Partial<Omit<WatchFolderOptions, "interval">> {
  /** Milliseconds; 20 where missing. */
  interval?: number | "default";
  /** Fills the folder before the watch starts. */
  before?(folder: string): Promise<void>;
}

async function watched(setting: Setting, body: (watched: Watched) => Promise<void>): Promise<void> {
  const { before, interval = 20, ...options } = setting;
  const folder = await mkdtemp(join(tmpdir(), "watch-"));
  const [torrents, corrupt, problems]: [Told[], string[], string[]] = [[], [], []];
  let watch: WatchFolder | undefined;
  let passes = 0;
  try {
    await before?.(folder);
    watch = await watchFolder({
      folder,
      ...(interval !== "default" && { interval }),
      onTorrent: (torrent) => void torrents.push(torrent),
      onCorrupt: ({ name }) => void corrupt.push(name),
      onProblem: (problem) => void problems.push(problem.message),
      ...options,
    });
    await body({
      folder,
      torrents,
      corrupt,
      problems,
      watch,
      names: () => torrents.map((told) => told.name).filter((name) => !name.startsWith("pass ")).sort(),
      async scansPass() {
        for (let i = 0; i < 2; i++) {
          const name = `pass ${passes++}`;
          await writeFile(join(options.folder ?? folder, `${name}.torrent`), torrentNamed(name));
          await until(() => torrents.some((told) => told.name === name), `${name} is told`);
        }
      },
      path: (...parts) => join(folder, ...parts),
    });
  } finally {
    await watch?.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => startTimer(resolve, ms));
}

async function contentOf(path: string): Promise<string | undefined> {
  return await readFile(path, "latin1").catch(() => undefined);
}

watching("tells of every real torrent, there at the start or put there later", async () => {
  const files = [...Object.keys(WEBTORRENT), "corrupt.torrent"];
  const before = async (folder: string) => {
    for (const file of files.slice(0, 4)) await copyFile(new URL(file, fixtures), join(folder, file));
  };
  await watched({ before }, async ({ path, torrents, corrupt, problems }) => {
    await until(() => torrents.length === 4, "those of the start are told");
    await mkdir(path("sub", "deeper"), { recursive: true });
    for (const file of files.slice(4)) await copyFile(new URL(file, fixtures), path("sub", "deeper", file));
    await until(() => torrents.length === files.length - 1 && corrupt.length === 1, "all are told");
    assert.equal(
      torrents.map((told) => told.infohash).sort(),
      Object.values(WEBTORRENT).map((expected) => expected.infohash).sort(),
    );
    assert.equal(corrupt, ["corrupt.torrent"]);
    assert.equal((await readdir(path("sub", "deeper"))).filter((name) => name.includes("corrupt")), [
      "corrupt.torrent.corrupt",
    ]);
    assert.equal(problems, []);
  });
});

watching("tells the payload of torrent_discovered", async () => {
  await watched({}, async ({ path, torrents }) => {
    const bytes = torrentNamed("dated ü", { announce: "http://a", "creation date": 1452468725 });
    await writeFile(path("dated.torrent"), bytes);
    await until(() => torrents.length === 1, "the dated one is told");
    const started = Math.floor(Date.now() / 1000);
    await writeFile(path("undated.torrent"), torrentNamed("undated", { "creation date": 0 }));
    await until(() => torrents.length === 2, "the undated one is told");
    const common = { dispersy_cid: "0".repeat(40) };
    const { timestamp, ...undated } = torrents[1]!;
    assert.equal(torrents[0], {
      infohash: sha1(encode({ length: 5, name: "dated ü", ...PIECES })),
      timestamp: 1452468725,
      name: "dated ü",
      files: [["dated ü", 5]],
      trackers: ["http://a"],
      ...common,
    });
    assert.equal(undated, {
      infohash: sha1(encode({ length: 5, name: "undated", ...PIECES })),
      name: "undated",
      files: [["undated", 5]],
      trackers: [],
      ...common,
    });
    assert.ok(Number.isInteger(timestamp) && timestamp >= started && timestamp <= Date.now() / 1000);
  });
  const dispersyCid = "0123456789abcdef".repeat(3).slice(0, 40);
  await watched({ dispersyCid }, async ({ path, torrents }) => {
    await writeFile(path("a.torrent"), torrentNamed("a"));
    await until(() => torrents.length === 1, "it is told");
    assert.is(torrents[0]!.dispersy_cid, dispersyCid);
  });
});

watching("looks at .torrent files only, in any case, and not at folders of that name", async () => {
  await watched({}, async ({ path, names, scansPass, corrupt, problems }) => {
    await mkdir(path("folder.torrent"));
    await writeFile(path("folder.torrent", "Loud.TORRENT"), torrentNamed("loud"));
    for (const name of ["a.torrent.part", "b.torrent.corrupt", "torrent", "c.torrents", "d.txt"]) {
      await writeFile(path(name), torrentNamed(name));
    }
    await until(() => names().length > 0, "the loud one is told");
    await scansPass();
    assert.equal(names(), ["loud"]);
    assert.equal([corrupt, problems], [[], []]);
  });
});

watching("follows links to files, not to folders; tells once of one that leads nowhere", async () => {
  const outside = await mkdtemp(join(tmpdir(), "outside-"));
  try {
    await writeFile(join(outside, "x.torrent"), torrentNamed("behind a link"));
    await mkdir(join(outside, "inner"));
    await writeFile(join(outside, "inner", "y.torrent"), torrentNamed("in a linked folder"));
    await watched({}, async ({ folder, path, names, scansPass, problems }) => {
      await symlink(join(outside, "x.torrent"), path("link.torrent"));
      await symlink(join(outside, "inner"), path("inner"));
      await symlink(join(outside, "inner"), path("inner.torrent"));
      await symlink(folder, path("loop"));
      await symlink(join(outside, "nowhere"), path("dangling.torrent"));
      await symlink(path("self.torrent"), path("self.torrent"));
      await until(() => names().length > 0, "the linked file is told");
      await scansPass();
      assert.equal(names(), ["behind a link"]);
      assert.equal(problems.map((problem) => problem.replace(/: .*/, "")).sort(), [
        `cannot read ${JSON.stringify(path("dangling.torrent"))}`,
        `cannot read ${JSON.stringify(path("self.torrent"))}`,
      ]);
      assert.match(problems.join("\n"), /": ENOENT: [^,]+$/m);
      assert.match(problems.join("\n"), /": ELOOP: [^,]+$/m);
    });
  } finally {
    await rm(outside, { recursive: true });
  }
});

watching("takes a file for corrupt after two seconds, and keeps what has the name it would get", async () => {
  await watched({}, async ({ path, corrupt, names, problems }) => {
    await writeFile(path("Bad.Torrent.corrupt"), "first");
    await mkdir(path("Bad.Torrent.corrupt.1"));
    await writeFile(path("empty.torrent"), "");
    await writeFile(path("html.torrent"), "<html>");
    const written = performance.now();
    await writeFile(path("Bad.Torrent"), "d4:info");
    await until(() => corrupt.length > 0, "the first is told");
    assert.ok(performance.now() - written > 1_900, `after ${performance.now() - written} ms`);
    await until(() => corrupt.length === 3, "all are told");
    assert.equal(corrupt.sort(), ["Bad.Torrent", "empty.torrent", "html.torrent"]);
    assert.equal((await readdir(path())).sort(), [
      "Bad.Torrent.corrupt",
      "Bad.Torrent.corrupt.1",
      "Bad.Torrent.corrupt.2",
      "empty.torrent.corrupt",
      "html.torrent.corrupt",
    ]);
    assert.is(await contentOf(path("Bad.Torrent.corrupt")), "first");
    assert.is(await contentOf(path("Bad.Torrent.corrupt.2")), "d4:info");
    assert.is(await contentOf(path("html.torrent.corrupt")), "<html>");
    await writeFile(path("Bad.Torrent"), "again");
    await until(() => corrupt.length === 4, "another of that name is told");
    assert.is(await contentOf(path("Bad.Torrent.corrupt.3")), "again");
    assert.equal([names(), problems], [[], []]);
  });
});

watching("tells a file once and whole that is written with pauses, at the default interval", async () => {
  const bytes = await readFile(new URL("bunny.torrent", fixtures));
  await watched({ interval: "default" }, async ({ path, torrents, corrupt, problems }) => {
    const third = Math.ceil(bytes.length / 3);
    await writeFile(path("slow.torrent"), bytes.subarray(0, third));
    // The pauses are what is tested: each shorter than the two seconds, both together longer.
    await pause(1_200);
    await appendFile(path("slow.torrent"), bytes.subarray(third, 2 * third));
    await pause(1_200);
    assert.equal(torrents, []);
    await appendFile(path("slow.torrent"), bytes.subarray(2 * third));
    await until(() => torrents.length > 0, "the whole file is told");
    await until(async () => (await readdir(path())).length === 1, "one file is there");
    assert.equal(torrents.map((told) => told.infohash), [WEBTORRENT["bunny.torrent"]!.infohash]);
    assert.equal([corrupt, problems], [[], []]);
  });
});

watching("reads a file only once it was left alone for a whole interval", async () => {
  await watched({ interval: 1_000 }, async ({ path, torrents }) => {
    // Valid at every moment, so that each look at it would be told.
    for (let i = 0; i < 50; i++) {
      await writeFile(path("busy.torrent"), torrentNamed(`version ${i}`));
      await pause(50);
    }
    assert.equal(torrents, []);
    await until(() => torrents.length > 0, "the last version is told");
    assert.equal(torrents.map((told) => told.name), ["version 49"]);
  });
});

/** Runs `change` whenever a file with this string in it is decoded: between being read and being judged. */
async function whileDecoding(marker: string, change: () => void, body: () => Promise<void>): Promise<void> {
  // A string of the file is a part of its bytes, which are a Buffer on some runtimes.
  const prototypes: { subarray: Uint8Array["subarray"] }[] = [Object.getPrototypeOf(Uint8Array.prototype)];
  if (Object.hasOwn(Buffer.prototype, "subarray")) prototypes.push(Buffer.prototype);
  const originals = prototypes.map(({ subarray }) => subarray);
  let isLooking = false; // What looks at the bytes takes parts of them itself.
  for (const [i, prototype] of prototypes.entries()) {
    prototype.subarray = function (this: Uint8Array, ...range) {
      const bytes = originals[i]!.apply(this, range) as ReturnType<Uint8Array["subarray"]>;
      if (isLooking || bytes.length !== marker.length || this.length === bytes.length) return bytes;
      isLooking = true;
      const isFound = new TextDecoder().decode(bytes) === marker;
      if (isFound) change();
      isLooking = false;
      return bytes;
    };
  }
  try {
    await body();
  } finally {
    for (const [i, prototype] of prototypes.entries()) prototype.subarray = originals[i]!;
  }
}

watching("tells nothing of a file that changes while it is read", async () => {
  await watched({}, async ({ path, names, scansPass }) => {
    const file = path("a.torrent");
    await whileDecoding("old", () => writeFileSync(file, torrentNamed("newer")), async () => {
      await writeFile(file, torrentNamed("old"));
      await until(() => names().length > 0, "it is told");
      await scansPass();
      assert.equal(names(), ["newer"]);
    });
  });
});

watching("tells nothing of a file that vanishes while it is read, and it is no problem", async () => {
  await watched({}, async ({ path, names, corrupt, problems, scansPass }) => {
    const file = path("a.torrent");
    let reads = 0;
    await whileDecoding("old", () => void (++reads, unlinkSync(file)), async () => {
      await writeFile(file, torrentNamed("old"));
      await until(() => reads > 0, "it is read");
      await scansPass();
    });
    const vanishWhenDue = () => void (++reads === 3 && unlinkSync(file));
    await whileDecoding("broken", vanishWhenDue, async () => {
      await writeFile(file, "d6:broken");
      await until(() => reads === 3, "it is due");
      await scansPass();
    });
    assert.equal([names(), corrupt, problems], [[], [], []]);
    assert.equal((await readdir(path())).filter((name) => !name.startsWith("pass ")), []);
  });
});

if (process.platform === "linux") {
  watching("tells once of a file that cannot be read, and does not take it for corrupt", async () => {
    await watched({}, async ({ path, names, corrupt, problems, scansPass }) => {
      // The memory of the process looks like a regular file, and nobody can read it from its start.
      await symlink("/proc/self/mem", path("unreadable.torrent"));
      await until(() => problems.length > 0, "the problem is told");
      assert.match(problems[0]!, /^cannot read ".*unreadable.torrent": EIO/);
      await pause(2_500); // longer than a corrupt file lasts
      await scansPass();
      assert.equal([names(), corrupt, problems.length], [[], [], 1]);
    });
  });
}

watching("does not rename a corrupt file that changes before it can", async () => {
  await watched({}, async ({ path, names, corrupt }) => {
    const file = path("a.torrent");
    let reads = 0;
    let written = 0;
    const changeWhenDue = () => {
      reads++;
      if (performance.now() - written > 1_500) writeFileSync(file, torrentNamed("repaired"));
    };
    await whileDecoding("broken", changeWhenDue, async () => {
      written = performance.now();
      await writeFile(file, "d6:broken");
      await until(() => names().length > 0, "the repaired file is told");
      assert.is(reads, 2, "one look at first, one when it is due");
      assert.equal([names(), corrupt, await readdir(path())], [["repaired"], [], ["a.torrent"]]);
    });
  });
});

watching("starts to wait again when a corrupt file changes", async () => {
  await watched({}, async ({ path, corrupt }) => {
    const file = path("a.torrent");
    let changed = 0;
    let reads = 0;
    await whileDecoding("broken", () => {
      if (++reads !== 2) return;
      appendFileSync(file, "more");
      changed = performance.now();
    }, async () => {
      await writeFile(file, "d6:broken");
      await until(() => corrupt.length > 0, "it is told");
      assert.ok(performance.now() - changed > 1_900, `after ${performance.now() - changed} ms`);
      assert.is(await contentOf(`${file}.corrupt`), "d6:brokenmore");
      assert.equal(await readdir(path()), ["a.torrent.corrupt"]);
    });
  });
});

watching("tells once of a corrupt file that cannot be renamed, until it changes", async () => {
  // The name just fits into a folder, the name with ".corrupt" does not.
  const name = `${"x".repeat(247)}.torrent`;
  await watched({}, async ({ path, corrupt, names, problems, scansPass }) => {
    await writeFile(path(name), "corrupt");
    await until(() => corrupt.length > 0, "it is told");
    await scansPass();
    assert.equal(corrupt, [name]);
    assert.is(problems.length, 1);
    assert.match(problems[0]!, /^cannot rename ".*": ENAMETOOLONG/);
    await writeFile(path(name), "still corrupt");
    await until(() => corrupt.length > 1, "it is told again");
    await scansPass();
    assert.equal([corrupt, problems.length], [[name, name], 1], "the same problem is told once");
    await writeFile(path(name), torrentNamed("good"));
    await until(() => names().length > 0, "the torrent is told");
  });
});

watching("does not tell a moved file again: renamed, into a sub-folder, over another, swapped", async () => {
  await watched({}, async ({ path, names, scansPass, problems }) => {
    await mkdir(path("sub"));
    await writeFile(path("a.torrent"), torrentNamed("a"));
    await writeFile(path("b.torrent"), torrentNamed("b"));
    // Two names of one file, as a sub-folder that is moved may hold.
    await link(path("a.torrent"), path("sub", "hard link.torrent"));
    await link(path("a.torrent"), path("sub", "hard link 2.torrent"));
    await until(() => names().length === 4, "all are told");
    const moves: [string, string][][] = [
      [["a.torrent", "A2.torrent"]],
      [["A2.torrent", join("sub", "a.torrent")]],
      [["sub", "sub2"]],
      [[join("sub2", "a.torrent"), "a.torrent"]],
      [["a.torrent", "swap"], ["b.torrent", "a.torrent"], ["swap", "b.torrent"]],
      [["a.torrent", "b.torrent"]],
    ];
    for (const move of moves) {
      for (const [from, to] of move) await rename(path(from), path(to));
      await scansPass();
      assert.equal(names(), ["a", "a", "a", "b"], `${move}`);
    }
    assert.equal(problems, []);
  });
});

watching("does not tell a file again that was touched or written anew with the same torrent", async () => {
  await watched({}, async ({ path, names, scansPass }) => {
    await writeFile(path("a.torrent"), torrentNamed("a"));
    await until(() => names().length > 0, "it is told");
    await utimes(path("a.torrent"), 1, 1);
    await scansPass();
    await writeFile(path("a.torrent"), torrentNamed("a", { comment: "another file, the same torrent" }));
    await scansPass();
    await writeFile(path("new"), torrentNamed("a", { comment: "another inode" }));
    await rename(path("new"), path("a.torrent"));
    await scansPass();
    assert.equal(names(), ["a"]);
  });
});

watching("tells of another torrent in a file's place, and of the same one in another file", async () => {
  await watched({}, async ({ path, names, scansPass }) => {
    await writeFile(path("a.torrent"), torrentNamed("a"));
    await until(() => names().length === 1, "it is told");
    await writeFile(path("a.torrent"), torrentNamed("b"));
    await until(() => names().length === 2, "the other is told");
    await writeFile(path("new"), torrentNamed("c"));
    await rename(path("new"), path("a.torrent"));
    await until(() => names().length === 3, "the third is told");
    await copyFile(path("a.torrent"), path("copy.torrent"));
    await until(() => names().length === 4, "the copy is told");
    await rename(path("a.torrent"), path("moved.torrent"));
    await writeFile(path("a.torrent"), torrentNamed("c"));
    await until(() => names().length === 5, "the new file in the moved one's place is told");
    // From here on each differs from what was there in one respect only: inode, time of change, size.
    await utimes(path("a.torrent"), 1, 1);
    await writeFile(path("new"), torrentNamed("d"));
    await utimes(path("new"), 1, 1);
    await scansPass();
    await rename(path("new"), path("a.torrent"));
    await until(() => names().length === 6, "one of the same size and time is told");
    await writeFile(path("a.torrent"), torrentNamed("e"));
    await until(() => names().length === 7, "one of the same inode and size is told");
    await utimes(path("a.torrent"), 1, 1);
    await scansPass();
    writeFileSync(path("a.torrent"), torrentNamed("longer"));
    utimesSync(path("a.torrent"), 1, 1);
    await until(() => names().length === 8, "one of the same inode and time is told");
    await scansPass();
    assert.equal(names(), ["a", "b", "c", "c", "c", "d", "e", "longer"]);
  });
});

watching("reads a file that stays as it is only once", async () => {
  let reads = 0;
  await whileDecoding("pieces", () => void reads++, async () => {
    await watched({}, async ({ path, names, scansPass }) => {
      await writeFile(path("a.torrent"), torrentNamed("a"));
      await until(() => names().length > 0, "it is told");
      assert.is(reads, 1);
      await scansPass();
      assert.is(reads, 3, "two of them are the torrents of scansPass");
    });
  });
});

watching("forgets a file that vanished", async () => {
  await watched({}, async ({ path, names, scansPass }) => {
    await writeFile(path("a.torrent"), torrentNamed("a"));
    await until(() => names().length === 1, "it is told");
    await unlink(path("a.torrent"));
    await scansPass();
    await writeFile(path("a.torrent"), torrentNamed("a"));
    await until(() => names().length === 2, "it is told again");
  });
});

watching("tells once of a folder that cannot be read, and goes on with the others", async () => {
  // Longer than any path may be, in two halves that are not: no rights are needed, and root has too many.
  const half = Array.from({ length: 10 }, () => "x".repeat(250));
  const outside = await mkdtemp(join(tmpdir(), "outside-"));
  try {
    await mkdir(join(outside, ...half), { recursive: true });
    await watched({}, async ({ path, names, scansPass, problems }) => {
      await mkdir(path(...half), { recursive: true });
      await rename(join(outside, half[0]!), path(...half, "too long"));
      try {
        await until(() => problems.length > 0, "the problem is told");
        await writeFile(path("a.torrent"), torrentNamed("a"));
        await scansPass();
        assert.equal(names(), ["a"]);
        assert.is(problems.length, 1);
        assert.match(problems[0]!, /^cannot read ".*": ENAMETOOLONG/);
      } finally {
        await rename(path(...half, "too long"), join(outside, half[0]!));
      }
      await scansPass();
      assert.is(problems.length, 1);
    });
  } finally {
    await rm(outside, { recursive: true });
  }
});

watching("keeps what it knows while the folder cannot be read, not when it is gone", async () => {
  const outside = await mkdtemp(join(tmpdir(), "outside-"));
  const folder = join(outside, "link");
  const repoint = async (target: string) => {
    await symlink(target, join(outside, "next"));
    await rename(join(outside, "next"), folder);
  };
  try {
    await mkdir(join(outside, "real"));
    await symlink(join(outside, "real"), folder);
    await writeFile(join(folder, "a.torrent"), torrentNamed("a"));
    await watched({ folder }, async ({ names, scansPass, problems }) => {
      await until(() => names().length === 1, "it is told");
      await repoint(folder);
      await until(() => problems.length === 1, "the folder cannot be read");
      assert.match(problems[0]!, /^cannot read ".*": ELOOP/);
      await repoint(join(outside, "real"));
      await scansPass();
      assert.equal([names(), problems.length], [["a"], 1]);
      await rename(join(outside, "real"), join(outside, "away"));
      await until(() => problems.length === 2, "the folder is gone");
      assert.match(problems[1]!, /^cannot read ".*": ENOENT/);
      await rename(join(outside, "away"), join(outside, "real"));
      await until(() => names().length === 2, "it is told again");
      await scansPass();
      assert.is(problems.length, 2);
    });
  } finally {
    await rm(outside, { recursive: true });
  }
});

watching("takes a file of more than 64 MiB for corrupt, even one that is a torrent", async () => {
  const pieces = new Uint8Array(20 * Math.ceil(2 ** 26 / 20));
  const bytes = encode({ info: { length: 5, name: "huge", ...PIECES, pieces } });
  await watched({}, async ({ path, names, corrupt }) => {
    await writeFile(path("huge.torrent"), bytes);
    await until(() => corrupt.length + names().length > 0, "it is told");
    assert.equal([names(), corrupt], [[], ["huge.torrent"]]);
  });
  assert.is((await readTorrent(bytes)).name, "huge", "or else the test shows nothing");
});

watching("goes on when a callback throws, and says so", async () => {
  const told: string[] = [];
  const problems: string[] = [];
  const setting: Setting = {
    onTorrent({ name }) {
      told.push(name);
      if (name === "async") return Promise.reject(new Error("async torrent")) as unknown as void;
      throw new Error(`bad ${name}`);
    },
    onCorrupt({ name }) {
      told.push(name);
      throw `bad ${name}`;
    },
    onProblem(problem) {
      problems.push(problem.message);
      throw problem;
    },
  };
  await watched(setting, async ({ path }) => {
    for (const name of ["first", "second", "async"]) {
      await writeFile(path(`${name}.torrent`), torrentNamed(name));
      await until(() => told.includes(name), `${name} is told`);
    }
    await writeFile(path("corrupt.torrent"), "corrupt");
    await until(() => problems.length === 4, "all problems are told");
    assert.equal(told, ["first", "second", "async", "corrupt.torrent"]);
    assert.equal(problems, [
      "onTorrent failed: bad first",
      "onTorrent failed: bad second",
      "onTorrent failed: async torrent",
      "onCorrupt failed: bad corrupt.torrent",
    ]);
  });
});

watching("tells again, by the same key, what cannot be told now, and then each file once", async () => {
  let refuses: EventsErrorCode | undefined = "ChannelUnavailable";
  const told: string[] = [];
  const tried = new Map<string, Set<string>>();
  const tell = async (name: string, key: string) => {
    tried.set(name, (tried.get(name) ?? new Set()).add(key));
    await Promise.resolve();
    if (refuses !== undefined) throw new EventsError(refuses, "it is away, for now");
    told.push(name);
  };
  const problems: string[] = [];
  const setting: Setting = {
    before: async (folder) => await writeFile(join(folder, "broken.torrent"), "corrupt"),
    onTorrent: ({ name }, key) => tell(name, key),
    onCorrupt: ({ name }, key) => tell(name, key),
    onProblem: ({ message }) => void problems.push(message),
  };
  await watched(setting, async ({ path }) => {
    await until(() => tried.has("broken.torrent"), "it is found to be corrupt");
    assert.is(await contentOf(path("broken.torrent.corrupt")), "corrupt");
    for (const name of ["a", "b", "c"]) await writeFile(path(`${name}.torrent`), torrentNamed(name));
    await until(() => problems.length > 0, "somebody is told");
    refuses = "PublishUnconfirmed";
    await pause(200);
    assert.equal(told, []);
    refuses = undefined;
    await until(() => told.length >= 4, "all are told");
    await writeFile(path("d.torrent"), torrentNamed("d"));
    await until(() => told.includes("d"), "another one is told");
    assert.equal(told.sort(), ["a", "b", "broken.torrent", "c", "d"]);
    for (const [name, keys] of tried) assert.is(keys.size, 1, name);
    assert.is(new Set([...tried.values()].map((keys) => [...keys][0])).size, 5, "each has a key of its own");
    assert.match(problems[0]!, /^cannot report ".*broken\.torrent": it is away, for now$/);
    assert.ok(problems.length <= 8, "not at every scan");
  });
});

watching("waits for what it tells before it goes on", async () => {
  const order: string[] = [];
  const before = async (folder: string) => {
    for (const name of ["a", "b"]) await writeFile(join(folder, `${name}.torrent`), torrentNamed(name));
  };
  const onTorrent = async ({ name }: { name: string }) => {
    order.push(name);
    await pause(100);
    order.push(`${name} is told`);
  };
  await watched({ before, onTorrent }, async () => {
    await until(() => order.length === 4, "both are told");
    assert.equal([order[1], order[3]], [`${order[0]} is told`, `${order[2]} is told`]);
  });
});

watching("tells each of many files once, however often it looks", async () => {
  const names = Array.from({ length: 300 }, (_, i) => `${1000 + i}`);
  await watched({ interval: 1 }, async (watched) => {
    for (const name of names) await writeFile(watched.path(`${name}.torrent`), torrentNamed(name));
    await until(() => watched.names().length >= names.length, "all are told");
    await watched.scansPass();
    assert.equal(watched.names(), names);
  });
});

/** Shows the delays of the timers that were started and neither fired nor were cleared. */
async function watchingTimers(body: (live: () => number[]) => Promise<void>): Promise<void> {
  const { setTimeout, clearTimeout, setInterval } = globalThis;
  const live = new Map<unknown, number>();
  const start = (callback: () => void, ms: number) => {
    const timer = setTimeout(() => {
      live.delete(timer);
      callback();
    }, ms);
    live.set(timer, ms);
    return timer;
  };
  const clear = (timer: ReturnType<typeof setTimeout>) => {
    live.delete(timer);
    clearTimeout(timer);
  };
  const refuse = () => {
    throw new Error("scans on an interval may overlap");
  };
  Object.assign(globalThis, { setTimeout: start, clearTimeout: clear, setInterval: refuse });
  try {
    await body(() => [...live.values()]);
  } finally {
    Object.assign(globalThis, { setTimeout, clearTimeout, setInterval });
  }
}

watching("leaves no timer and no scan when closed, at whatever moment", async () => {
  const before = async (folder: string) => {
    for (let i = 0; i < 50; i++) await writeFile(join(folder, `${i}.torrent`), torrentNamed(`${i}`));
  };
  await watchingTimers(async (live) => {
    await watched({}, async ({ path, watch, names, scansPass }) => {
      await scansPass();
      await until(() => live().join() === "20", "it waits for the next scan");
      await watch.close();
      assert.equal(live(), []);
      await watch.close();
      await writeFile(path("late.torrent"), torrentNamed("late"));
      await pause(200);
      assert.equal([live(), names()], [[], []]);
    });
    await watched({ interval: "default" }, () => until(() => live().join() === "500", "it waits for 500 ms"));
    assert.equal(live(), []);
    // Closed in the middle of a scan that has 50 files to tell.
    let told = 0;
    let closing: Promise<void> | undefined;
    let watch: WatchFolder | undefined;
    const onTorrent = () => {
      told++;
      closing = watch!.close();
    };
    await watched({ before, onTorrent }, async (watched) => {
      watch = watched.watch;
      await until(() => closing !== undefined, "it is closed");
      await closing;
      assert.equal([live(), told], [[], 1]);
      await pause(200);
      assert.equal([live(), told], [[], 1]);
    });
    // Closed before its first scan can be over.
    await watched({ before }, async ({ watch, torrents }) => {
      await watch.close();
      await pause(200);
      assert.equal([live(), torrents], [[], []]);
    });
  });
});

watching("waits with closing for the scan that is running, which tells nothing more", async () => {
  const before = async (folder: string) => {
    for (let i = 0; i < 10; i++) await writeFile(join(folder, `${i}.torrent`), torrentNamed(`${i}`));
  };
  const { digest } = crypto.subtle;
  let goOn = () => {};
  let digests = 0;
  const gate = new Promise<void>((resolve) => goOn = resolve);
  crypto.subtle.digest = async (...args) => {
    digests++;
    await gate;
    return digest.apply(crypto.subtle, args);
  };
  try {
    await watched({ before }, async ({ watch, torrents }) => {
      await until(() => digests > 0, "a file is read");
      let closed = false;
      const closing = watch.close().then(() => closed = true);
      await pause(100);
      assert.not(closed);
      goOn();
      await until(() => closed, "it is closed");
      await closing;
      await pause(100);
      assert.equal([digests, torrents], [1, []]);
    });
  } finally {
    goOn();
    crypto.subtle.digest = digest;
  }
});

watching("rejects at once, in one line, where there is nothing it can watch", async () => {
  await watched({}, async ({ path }) => {
    await writeFile(path("file"), "");
    await symlink(path("self"), path("self"));
    const rejections: [Partial<WatchFolderOptions>, RegExp, ErrorConstructor | RangeErrorConstructor][] = [
      [{ folder: path("missing\nfolder") }, /^the watch folder ".*missing.*" does not exist$/, Error],
      [{ folder: "" }, /^the watch folder "" does not exist$/, Error],
      [{ folder: path("file") }, /^the watch folder ".*file" is not a folder$/, Error],
      [{ folder: path("self") }, /^the watch folder ".*self" cannot be read: ELOOP.*$/, Error],
      [{ folder: path("file", "below") }, /^the watch folder ".*below" cannot be read: ENOTDIR.*$/, Error],
      [{ interval: 0 }, /interval/, RangeError],
      [{ interval: NaN }, /interval/, RangeError],
      [{ interval: 2 ** 31 }, /interval/, RangeError],
      [{ dispersyCid: "A".repeat(40) }, /hexadecimal/, RangeError],
      [{ dispersyCid: "0".repeat(41) }, /hexadecimal/, RangeError],
    ];
    for (const [options, message, type] of rejections) {
      const callbacks = { onTorrent() {}, onCorrupt() {}, onProblem() {} };
      const error = await watchFolder({ folder: path(), ...callbacks, ...options }).then(
        (watch) => watch.close().then(() => undefined),
        (error: unknown) => error,
      );
      assert.instance(error, type, JSON.stringify(options));
      assert.match((error as Error).message, message);
    }
  });
});

watching.run();
