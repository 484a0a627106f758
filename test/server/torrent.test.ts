import fc from "fast-check";
import { readdir, readFile } from "node:fs/promises";
import * as assert from "uvu/assert";
import { MAX_TORRENT_BYTES, readTorrent } from "../../src/server/torrent.ts";
import { TorrentTooLarge } from "../../src/server/torrent_errors.ts";
import { suite } from "../support/suite.ts";
import {
  bytesOf,
  concat,
  encode,
  fixtures,
  hashes,
  latin1,
  PIECES,
  type Plain,
  sha1,
  sha256,
  sha256Bytes,
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
  test(`readTorrent() reads ${file}`, async () => {
    const torrent = await readTorrent(await readFile(new URL(file, fixtures)));
    const { infohash, name, files, created } = torrent;
    assert.equal({ infohash, name, files: files.length, created }, { created: undefined, ...expected });
    assert.equal(torrent.trackers, []);
  });
}

test("readTorrent() reads every torrent of the fixtures but corrupt.torrent", async () => {
  const files = (await readdir(fixtures)).filter((name) => name.endsWith(".torrent"));
  assert.equal(files.sort(), [...Object.keys(WEBTORRENT), "corrupt.torrent"].sort());
  assert.match(await reasonOf(await readFile(new URL("corrupt.torrent", fixtures))), /no name/);
});

test("readTorrent() lists the files of real torrents without the torrent's name", async () => {
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

test("readTorrent() hashes the info dictionary as its bytes stand in the file", async () => {
  const infos = [
    concat([
      bytesOf("d6:pieces20:"),
      latin1("\xfe".repeat(20)),
      bytesOf("4:name1:z12:piece lengthi1e6:lengthi1ee"),
    ]),
    concat([
      bytesOf("d6:lengthi007e4:name1:z12:piece lengthi0016e6:pieces020:"),
      latin1("\xfe".repeat(20)),
      bytesOf("e"),
    ]),
    encode({ zzz: { b: 1, a: [-0, latin1("\xff")] }, length: 1, name: "4:infode", ...PIECES, "": "" }),
    concat([
      bytesOf(
        "d3:bigi123456789012345678901234567890e3:negi-0e6:lengthi1e4:name1:z12:piece lengthi1e6:pieces20:",
      ),
      latin1("\xfe".repeat(20)),
      bytesOf("4:name5:othere"), // The first of two counts.
    ]),
  ];
  for (const info of infos) {
    const torrent = await readTorrent(
      concat([bytesOf("d7:comment8:4:infode4:info"), info, bytesOf("3:zzzd4:infodeee")]),
    );
    assert.is(torrent.infohash, sha1(info));
  }
});

test("readTorrent() reads a view into a larger buffer", async () => {
  const bytes = torrentNamed("view");
  const around = concat([bytesOf("junk"), bytes, bytesOf("junk")]);
  const torrent = await readTorrent(around.subarray(4, 4 + bytes.length));
  assert.equal(torrent, await readTorrent(bytes));
});

test("readTorrent() reads twenty torrents at once", async () => {
  const names = Array.from({ length: 20 }, (_, i) => `torrent ${i}`);
  const read = await Promise.all(names.map((name) => readTorrent(torrentNamed(name))));
  assert.equal(read.map((torrent) => torrent.name), names);
  assert.equal(
    read.map((t) => t.infohash),
    names.map((name) => sha1(encode({ length: 5, name, ...PIECES }))),
  );
});

test("readTorrent() prefers name.utf-8 and path.utf-8, and replaces bytes that are not UTF-8", async () => {
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

test("readTorrent() lists files in their order, empty ones included, and leaves out padding", async () => {
  const files: Plain = [
    { length: 3, path: ["z", "10.txt"] },
    { attr: "p", length: 13, path: [".pad", "13"] },
    { length: 0, path: ["a", "b", "c", "empty"] },
    { attr: "xp", length: 16 },
    { length: 7, path: ["_____padding_file_0_____"] },
    { length: 2 ** 32, path: ["__proto__"] },
  ];
  const info: Plain = { files, name: "many", ...hashes(2 ** 32 + 39) };
  const torrent = await readTorrent(encode({ info }));
  assert.is(torrent.name, "many");
  assert.is(torrent.infohash, sha1(encode(info)));
  assert.equal(torrent.files, [["z/10.txt", 3], ["a/b/c/empty", 0], ["__proto__", 2 ** 32]]);
});

test("readTorrent() reads symbolic links without a length", async () => {
  const files: Plain = [
    { length: 5, path: ["lib", "a.so.1"] },
    { attr: "l", path: ["lib", "a.so"], "symlink path": ["lib", "a.so.1"] },
    { attr: "lx", length: 99, path: ["b"], "symlink path": ["lib"] },
  ];
  const torrent = await readTorrent(encode({ info: { files, name: "links", ...PIECES } }));
  assert.equal(torrent.files, [["lib/a.so.1", 5], ["lib/a.so", 0], ["b", 0]]);
});

test("readTorrent() cleans names and paths, so that none leads out of a folder", async () => {
  const parts: [part: string, cleaned: string][] = [
    ["plain.txt", "plain.txt"],
    ["..", "_"],
    [".", "_"],
    ["", "_"],
    ["/", "_"],
    ["../..", "...."],
    ["/etc/passwd", "etcpasswd"],
    ["..\\..\\a", "....a"],
    ["C:\\Windows", "C_Windows"],
    ["c:", "c_"],
    ["a:b", "a_b"],
    ["Film: Part 2", "Film: Part 2"],
    ["./.", "_"],
    ["a\0b\u0007c\u009d", "ab_c_"],
    ["exe\u202egpj.scr", "exegpj.scr"],
    ["...", "..."],
    [".hidden", ".hidden"],
    ["👨‍👩‍👧", "👨‍👩‍👧"],
    ["x".repeat(300) + ".torrent", "x".repeat(240) + ".torrent"],
    ["日".repeat(200), "日".repeat(80)],
  ];
  for (const [part, cleaned] of parts) {
    const files: Plain = [{ length: 5, path: ["folder", part] }];
    const torrent = await readTorrent(encode({ info: { files, name: "n", ...PIECES } }));
    assert.equal(torrent.files, [[`folder/${cleaned}`, 5]], JSON.stringify(part));
    const info: Plain = { files: [{ length: 5, path: ["a"] }], name: part, ...PIECES };
    const { name } = await readTorrent(encode({ info }));
    assert.is(name, cleaned === "_" ? sha1(encode(info)) : cleaned, JSON.stringify(part));
  }
});

test("readTorrent() reads names in the torrent's own encoding, unless they are UTF-8", async () => {
  const named: [encoding: string, bytes: Uint8Array, name: string][] = [
    ["GBK", latin1("\xd6\xd0\xce\xc4"), "中文"],
    ["cp936", latin1("\xd6\xd0\xce\xc4"), "中文"],
    ["Shift_JIS", latin1("\x93\xfa\x96\x7b\x8c\xea"), "日本語"],
    ["windows-1251", latin1("\xcf\xf0\xe8\xe2\xe5\xf2"), "Привет"],
    ["Big5", latin1("\xa4\xa4\xa4\xe5"), "中文"],
    ["EUC-KR", latin1("\xc7\xd1\xb1\xdb"), "한글"],
    ["GBK", bytesOf("中文"), "中文"],
    ["UTF-8", latin1("caf\xe9"), "caf\ufffd"],
    ["no such encoding", latin1("caf\xe9"), "caf\ufffd"],
  ];
  for (const [encoding, bytes, name] of named) {
    const info: Plain = { files: [{ length: 5, path: [bytes] }], name: bytes, ...PIECES };
    const torrent = await readTorrent(encode({ encoding, info }));
    assert.equal([torrent.name, torrent.files], [name, [[name, 5]]], encoding);
  }
});

test("readTorrent() reads 300 000 files", async () => {
  const string = (text: string) => `${text.length}:${text}`;
  const files = Array.from({ length: 300_000 }, (_, n) => {
    const path = `l6:folder${string(`${n}.txt`)}e`;
    return `d4:attr1:x6:lengthi1e4:path${path}10:path.utf-8${path}e`;
  });
  const pieces = `12:piece lengthi1048576e6:pieces20:${"x".repeat(20)}`;
  const torrent = await readTorrent(bytesOf(`d4:infod5:filesl${files.join("")}e4:name4:many${pieces}ee`));
  assert.is(torrent.files.length, 300_000);
  assert.equal(torrent.files[299_999], ["folder/299999.txt", 1]);
});

test("readTorrent() ignores what follows the torrent in its file", async () => {
  const whole = torrentNamed("followed");
  for (const more of ["\n", "\r\n \t", "e", "\0\0", "d4:infodee", "<html>"]) {
    assert.equal(await readTorrent(concat([whole, bytesOf(more)])), await readTorrent(whole));
  }
});

test("readTorrent() rejects as too large what is beyond a limit, and not as corrupt", async () => {
  const beyond: [Uint8Array, RegExp][] = [
    [new Uint8Array(MAX_TORRENT_BYTES + 1), /more than 104857600 bytes/],
    [bytesOf(`d1:a${"l".repeat(100)}`), /levels deep/],
    [bytesOf(`d1:a${"d1:a".repeat(100)}`), /levels deep/],
    [bytesOf(`d1:al${"le".repeat(5_000_000)}ee`), /values/],
    [encode({ info: { length: 2 ** 44 - 1, name: "n", ...PIECES } }), /pieces/],
  ];
  for (const [bytes, reason] of beyond) {
    const error = await readTorrent(bytes).catch((error: unknown) => error);
    assert.instance(error, TorrentTooLarge);
    assert.match((error as Error).message, reason);
  }
});

const leaf = (length: number, root: Uint8Array = latin1("\xaa".repeat(32))): Plain =>
  new Map([["", { length, ...(length > 0 && { "pieces root": root }) }]]);
const V2: { [key: string]: Plain } = { "meta version": 2, name: "v2", "piece length": 16384 };

test("readTorrent() walks the file tree of version 2, and names the torrent by its SHA-256", async () => {
  const tree: Plain = new Map<string | Uint8Array, Plain>([
    ["..", leaf(1)],
    ["10.txt", leaf(10)],
    ["2", leaf(2)],
    ["__proto__", leaf(7)],
    ["link", new Map([["", { attr: "l", "symlink path": ["2"] }]])],
    ["sub", new Map<string, Plain>([["empty", {}], ["y", leaf(0)], ["ü", new Map([["x.bin", leaf(5)]])]])],
    [latin1("\xe8.txt"), leaf(3)],
  ]);
  const info: Plain = { "file tree": tree, ...V2 };
  const torrent = await readTorrent(encode({ info, "piece layers": {} }));
  assert.is(torrent.infohashV2, sha256(encode(info)));
  assert.is(torrent.infohash, sha256(encode(info)).slice(0, 40));
  assert.equal(torrent.files, [
    ["_", 1],
    ["10.txt", 10],
    ["2", 2],
    ["__proto__", 7],
    ["link", 0],
    ["sub/y", 0],
    ["sub/ü/x.bin", 5],
    ["\uFFFD.txt", 3],
  ]);
});

test("readTorrent() reads hybrid torrents whose two versions agree, and names them by SHA-1", async () => {
  const tree: Plain = new Map([["a", leaf(10)], ["b", leaf(16385)]]);
  const list: Plain[] = [
    { length: 10, path: ["a"] },
    { attr: "p", length: 16374, path: [".pad", "16374"] },
    { length: 16385, path: ["b"] },
  ];
  const tail: Plain = { attr: "p", length: 16383, path: [".pad", "16383"] };
  for (const files of [list, [...list, tail]]) {
    const info: Plain = { "file tree": tree, files, ...V2, pieces: latin1("\xff".repeat(60)) };
    const torrent = await readTorrent(encode({ info }));
    assert.equal([torrent.infohash, torrent.infohashV2], [sha1(encode(info)), sha256(encode(info))]);
    assert.equal(torrent.files, [["a", 10], ["b", 16385]]);
  }
  const single: Plain = {
    "file tree": new Map([["v2", leaf(10)]]),
    length: 10,
    ...V2,
    pieces: latin1("\xff".repeat(20)),
  };
  assert.equal((await readTorrent(encode({ info: single }))).files, [["v2", 10]]);
  const others: Plain[][] = [
    [{ length: 10, path: ["a"] }, { length: 16385, path: ["b"] }],
    [{ length: 10, path: ["c"] }, ...list.slice(1)],
    [{ length: 9, path: ["a"] }, { attr: "p", length: 16375 }, list[2]!],
    list.slice(0, 1),
    [list[2]!, list[1]!, list[0]!],
  ];
  for (const files of others) {
    const info: Plain = { "file tree": tree, files, ...V2, pieces: latin1("\xff".repeat(60)) };
    assert.match(await reasonOf(encode({ info })), /two versions have different files/);
  }
});

/** The hash of the layer above, again and again: of a list of hashes, filled up to a power of two. */
function rootOf(layer: readonly Uint8Array[], filler: Uint8Array): Uint8Array {
  if (layer.length === 1) return layer[0]!;
  const above: Uint8Array[] = [];
  for (let i = 0; i < layer.length; i += 2) {
    above.push(sha256Bytes(concat([layer[i]!, layer[i + 1] ?? filler])));
  }
  return rootOf(above, sha256Bytes(concat([filler, filler])));
}

test("readTorrent() checks piece layers against the roots of their files", async () => {
  const pieceLength = 65536;
  const zero = new Uint8Array(32);
  const pair = sha256Bytes(concat([zero, zero]));
  const filler = sha256Bytes(concat([pair, pair])); // Four blocks to a piece.
  for (const count of [2, 3, 5, 8, 1000]) {
    const layer = Array.from({ length: count }, (_, n) => sha256Bytes(bytesOf(`${n}`)));
    const root = rootOf(layer, filler);
    const tree: Plain = new Map([["a", leaf(count * pieceLength - 1, root)], ["small", leaf(5)]]);
    const info: Plain = { "file tree": tree, "meta version": 2, name: "v2", "piece length": pieceLength };
    const read = (layers: Plain) => encode({ info, "piece layers": layers });
    const whole = concat(layer);
    assert.is((await readTorrent(read(new Map([[root, whole]])))).files.length, 2);
    assert.is((await readTorrent(read({}))).files.length, 2, "peers have it");
    const wrong = Uint8Array.from(whole, (byte, at) => at === whole.length - 1 ? byte ^ 1 : byte);
    assert.match(await reasonOf(read(new Map([[root, wrong]]))), /is not that of its file/);
    assert.match(await reasonOf(read(new Map([[root, whole.subarray(32)]]))), /has not as many hashes/);
    assert.match(await reasonOf(read(new Map([[root, concat([whole, zero])]]))), /has not as many hashes/);
    assert.match(await reasonOf(read(new Map([[zero, whole]]))), /belongs to no file/);
    assert.match(await reasonOf(read(new Map([[root, 5]]))), /belongs to no file/);
  }
});

test("readTorrent() reads a torrent of Merkle trees, and one with a key of a million bytes", async () => {
  const info: Plain = {
    length: 5,
    name: "merkle",
    "piece length": 1,
    "root hash": latin1("\xaa".repeat(20)),
  };
  assert.is((await readTorrent(encode({ info }))).name, "merkle");
  assert.is((await readTorrent(torrentNamed("long", { ["k".repeat(1_000_000)]: "" }))).name, "long");
});

test("readTorrent() lists each tracker once, announce first, without empty ones", async () => {
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

test("readTorrent() reads a creation date in seconds or milliseconds, and ignores others", async () => {
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

test("readTorrent() rejects a torrent that is cut off at any byte", async () => {
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
  [{ info: new Map([["__proto__", info]]) }, /piece length/],
  [bytesOf("d+4:spami1ee"), /a key was expected/],
  [bytesOf("d-4:spami1ee"), /a key was expected/],
  [bytesOf("d1.5:ai1ee"), /length of a string/],
  [bytesOf("d0x1:ai1ee"), /length of a string/],
  [bytesOf("d:i1ee"), /a key was expected/],
  [bytesOf("di1ei1ee"), /a key was expected/],
  [bytesOf("d1:ae"), /a key has no value/],
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
  [bytesOf("d1:ax"), /a value was expected/],
  [bytesOf("d1:ai 1ee"), /an integer/],
  [bytesOf("d1:aie"), /an integer/],
  [concat([bytesOf("d4:infode4:info"), encode(info), bytesOf("e")]), /piece length/],
  [{ info: without("name") }, /no name/],
  [{ info: { ...info, name: 5 } }, /no name/],
  [{ info: without("length") }, /length of a file/],
  [{ info: { ...info, length: -1 } }, /length of a file/],
  [{ info: { ...info, length: "5" } }, /length of a file/],
  [bytesOf("d4:infod6:lengthi9007199254740992e4:name1:n12:piece lengthi1e6:pieces0:ee"), /length of a file/],
  [{ info: { ...without("length"), files: {} } }, /length of a file/],
  [{ info: { ...info, files: [] } }, /lists no files/],
  [{ info: { ...info, files: ["a"] } }, /not a dictionary/],
  [{ info: { ...info, files: [{ path: ["a"] }] } }, /length of a file/],
  [{ info: { ...info, files: [{ length: 5 }] } }, /path of a file/],
  [{ info: { ...info, files: [{ length: 5, path: "a" }] } }, /path of a file/],
  [{ info: { ...info, files: [{ length: 5, path: [] }] } }, /path of a file/],
  [{ info: { ...info, files: [{ length: 5, path: ["a", 5] }] } }, /path of a file/],
  [{ info: { ...info, files: [{ length: 5, "path.utf-8": 5 }] } }, /path of a file/],
  [{ info: { ...info, files: [{ length: 5, path: Array(101).fill("a") }] } }, /100 parts/],
  [{ info: { ...info, files: Array(40).fill({ length: 5, path: ["a"] }) } }, /the same path/],
  [{ info: { ...info, length: 0, pieces: "" } }, /empty/],
  [{ info: { ...info, name: "" } }, /name of the file is empty/],
  [{ info: { ...info, name: "/" } }, /name of the file is empty/],
  [{ info: { ...info, "file tree": { a: { "": { length: 5 } } } } }, /not of version 2/],
  [{ info: { ...info, "meta version": 2 } }, /no file tree/],
  [{ info: { ...info, "meta version": 3 } }, /of version 3/],
  [{ info: { "file tree": { a: 5 }, ...V2 } }, /neither file nor folder/],
  [{ info: { "file tree": { a: { "": 5 } }, ...V2 } }, /not a dictionary/],
  [{ info: { "file tree": { a: { "": {} } }, ...V2 } }, /length of a file/],
  [{ info: { "file tree": { "": { length: 5 } }, ...V2 } }, /neither file nor folder/],
  [{ info: { "file tree": { a: { "": { attr: "p", length: 5 } } }, ...V2 } }, /padding/],
  [{ info: { "file tree": { a: { "": { length: 5 } } }, ...V2 } }, /pieces root/],
  [{ info: { "file tree": { a: leaf(5, new Uint8Array(32)) }, ...V2 } }, /pieces root/],
  [{ info: { "file tree": { a: leaf(5, new Uint8Array(31)) }, ...V2 } }, /pieces root/],
  [{ info: { "file tree": {}, ...V2 } }, /lists no files/],
  [{ info: { "file tree": { a: leaf(5) }, ...V2, "piece length": 16383 } }, /piece length/],
  [{ info: { "file tree": { a: leaf(5) }, ...V2, "piece length": 49152 } }, /piece length/],
  [{ info: { name: "n", "file tree": { a: leaf(5) }, ...V2 } }, /not in order/],
  [{ info: { "file tree": new Map([["b", leaf(5)], ["a", leaf(5)]]), ...V2 } }, /not in order/],
  [{ info: without("piece length") }, /piece length/],
  [{ info: { ...info, "piece length": 0 } }, /piece length/],
  [{ info: without("pieces") }, /pieces/],
  [{ info: { ...info, pieces: "19 characters of it" } }, /pieces/],
  [{ info: { ...info, pieces: "" } }, /pieces/],
  [{ info: { ...info, pieces: latin1("\xff".repeat(40)) } }, /string of 1 hashes/],
  [{ info: { ...info, length: 16385 } }, /string of 2 hashes/],
  [{ info: { ...info, "piece length": 0x7fff * 16384 + 1 } }, /piece length/],
  [{ info: { ...info, pieces: 20 } }, /pieces/],
  [{ info: { ...without("pieces"), "root hash": "short" } }, /pieces/],
];

test("readTorrent() rejects what is no torrent, with the reason", async () => {
  for (const [bytes, reason] of REFUSED) {
    const isFile = bytes instanceof Uint8Array;
    const message = await reasonOf(isFile ? bytes : encode(bytes));
    assert.match(
      message,
      reason,
      `${isFile ? new TextDecoder().decode(bytes.subarray(0, 40)) : JSON.stringify(bytes)}: ${message}`,
    );
    assert.match(message, /^not a torrent: .+$/);
  }
});

test("readTorrent() reads a torrent after it has rejected a file", async () => {
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

test("readTorrent() returns a torrent or throws its own error for any bytes", async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), isAnswered), { numRuns: 400 });
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
  await fc.assert(fc.asyncProperty(tokens, isAnswered), { numRuns: 1000 });
});

test("readTorrent() returns a torrent or throws its own error when bytes of a torrent are changed", async () => {
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
  await fc.assert(fc.asyncProperty(mutant, isAnswered), { numRuns: 1000 });
});

test("readTorrent() returns what any torrent was written with", async () => {
  // Of what cleaning leaves as it is: that is tested above.
  const text = fc.string({
    unit: fc.constantFrom(..."abc.-é 漢😀\ufeff".split(/(?:)/u)),
    minLength: 3,
    maxLength: 10,
  });
  const size = fc.integer({ min: 1, max: 2 ** 30 });
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
        ...hashes(files.reduce((sum, { length }) => sum + length, 0)),
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
