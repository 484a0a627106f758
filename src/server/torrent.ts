/** What a `.torrent` file says of its content. */
export interface Torrent {
  /** SHA-1 over the info dictionary's bytes as they stand in the file: 40 lower-case hexadecimal digits. */
  infohash: string;
  /** The suggested name of the file, or of the folder that holds the files. */
  name: string;
  /** Path inside the torrent (without its name, "/" between the parts) and size in bytes, in file order. */
  files: [path: string, size: number][];
  /** Announce URLs, in file order, without repeats. */
  trackers: string[];
  /** When the torrent was made, in unix seconds; missing where the file does not say, or says nonsense. */
  created?: number;
}

type Value = number | Uint8Array | Value[] | Dictionary;

/**
 * Keys are binary strings, one character per byte: those of a file tree are file names, and two that are not
 * UTF-8 must not become one. A Map keeps the file's order and makes nothing of `__proto__`.
 */
type Dictionary = Map<string, Value>;

// Far above any real torrent (a file tree nests once per folder), far below where a call stack ends.
const MAX_DEPTH = 100;

// 64 MiB can spell 30 million empty lists, and each value takes up to 0.5 KB once decoded. A file in a
// torrent is about six values: room for 160 000 of them.
const MAX_VALUES = 1_000_000;

// Anything later than the year 2106 is no date in seconds.
const MAX_CREATED = 2 ** 32 - 1;

// A byte order mark at the start of a name is part of the name.
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const DICTIONARY = 0x64;
const END = 0x65;
const INTEGER = 0x69;
const LIST = 0x6c;

/**
 * Reads a whole `.torrent` file: BEP 3 (single and multi-file), BEP 12 (`announce-list`), BEP 30 (`root
 * hash`) and BEP 52 (`file tree`, read where there is no version 1 listing). Text is `name.utf-8` and
 * `path.utf-8` where present, else UTF-8; bytes that are not UTF-8 become U+FFFD.
 *
 * What identifies and lists the content must be right. What merely accompanies it (trackers, date) is left
 * out where it is not: that is no reason to refuse a torrent one can download.
 *
 * @param bytes the file, from its first byte to its last; not kept
 * @returns what the file says; `infohash` is the SHA-1 one even for a version 2 torrent
 * @throws {Error} `not a torrent: …`, saying what is wrong and where
 */
export async function readTorrent(bytes: Uint8Array): Promise<Torrent> {
  const { top, info, infoBytes } = decode(bytes);
  const torrent = { name: nameOf(info), files: filesOf(info), trackers: trackersOf(top) };
  checkPieces(info);
  const created = createdOf(top);
  const digest = await crypto.subtle.digest("SHA-1", infoBytes);
  return {
    infohash: Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join(""),
    ...torrent,
    ...(created !== undefined && { created }),
  };
}

/** The creation date in seconds since 1970, where the file has one that can be meant. */
function createdOf(top: Dictionary): number | undefined {
  const date = top.get("creation date");
  if (isInteger(date, 1, MAX_CREATED)) return date;
  // Some programs wrote milliseconds.
  return isInteger(date, MAX_CREATED, MAX_CREATED * 1000) ? Math.floor(date / 1000) : undefined;
}

function nameOf(info: Dictionary): string {
  const name = [info.get("name.utf-8"), info.get("name")].find(isBytes);
  if (name === undefined) throw invalid("the info dictionary has no name");
  return text(name);
}

function filesOf(info: Dictionary): Torrent["files"] {
  const [files, tree] = [info.get("files"), info.get("file tree")];
  let listed: Torrent["files"];
  if (files !== undefined) listed = filesOfList(files);
  else if (info.has("length")) listed = [[nameOf(info), sizeOf(info)]];
  else if (tree instanceof Map) listed = [...filesOfTree(tree)];
  else throw invalid("the info dictionary lists no files");
  if (listed.length === 0) throw invalid("the list of files is empty");
  return listed;
}

function filesOfList(files: Value): Torrent["files"] {
  if (!Array.isArray(files)) throw invalid("files is not a list");
  return files.map((file) => {
    if (!(file instanceof Map)) throw invalid("a file is not a dictionary");
    const parts = file.get("path.utf-8") ?? file.get("path");
    if (!Array.isArray(parts) || parts.length === 0 || !parts.every(isBytes)) {
      throw invalid("the path of a file is not a list of strings");
    }
    return [parts.map(text).join("/"), sizeOf(file)];
  });
}

/** BEP 52: a file is a dictionary whose one key is the empty string; any other dictionary is a folder. */
function* filesOfTree(folder: Dictionary, parents: string[] = []): Generator<[path: string, size: number]> {
  for (const [key, node] of folder) {
    if (!(node instanceof Map)) throw invalid("the file tree holds something that is not a dictionary");
    const path = [...parents, text(Uint8Array.from(key, (char) => char.charCodeAt(0)))];
    const file = node.get("");
    if (file === undefined) yield* filesOfTree(node, path);
    else if (file instanceof Map) yield [path.join("/"), sizeOf(file)];
    else throw invalid("a file is not a dictionary");
  }
}

function sizeOf(file: Dictionary): number {
  const size = file.get("length");
  if (!isInteger(size, 0, Number.MAX_SAFE_INTEGER)) throw invalid("the length of a file is not a size");
  return size;
}

function checkPieces(info: Dictionary): void {
  if (!isInteger(info.get("piece length"), 1, Number.MAX_SAFE_INTEGER)) {
    throw invalid("the piece length is not a size");
  }
  const [pieces, root] = [info.get("pieces"), info.get("root hash")];
  const hashed = (isBytes(pieces) && pieces.length % 20 === 0) || (isBytes(root) && root.length === 20);
  if (!hashed && !info.has("file tree")) throw invalid("pieces is not a string of 20-byte hashes");
}

function trackersOf(top: Dictionary): string[] {
  const tiers = top.get("announce-list");
  // One level only: both a list of tiers and, as some programs write it, a plain list of URLs.
  const urls = [top.get("announce"), ...(Array.isArray(tiers) ? tiers.flat() : [])].filter(isBytes).map(text);
  return [...new Set(urls.filter((url) => url.trim() !== ""))];
}

interface Decoded {
  top: Dictionary;
  info: Dictionary;
  /** The info dictionary as it stands in the file. */
  infoBytes: Uint8Array<ArrayBuffer>;
}

/**
 * Decodes bencode (BEP 3) strictly, with the bytes of the info dictionary as they stand in the file. The libraries for it take
 * what is no number for one and strings that are cut off, and do not say where a value stands, so none is used.
 */
function decode(bytes: Uint8Array): Decoded {
  let position = 0;
  let values = 0;
  let infoStart = 0;
  let infoEnd = 0;

  function value(depth: number): Value {
    if (depth > MAX_DEPTH) throw invalid(`it nests more than ${MAX_DEPTH} levels deep`);
    if (++values > MAX_VALUES) throw invalid(`it holds more than ${MAX_VALUES} values`);
    switch (bytes[position]) {
      case DICTIONARY:
        return dictionary(depth);
      case LIST:
        return list(depth);
      case INTEGER:
        return integer();
      default:
        return string();
    }
  }

  function dictionary(depth: number): Dictionary {
    const entries: Dictionary = new Map();
    position++;
    while (!atEnd()) {
      const key = binaryString(string());
      if (entries.has(key)) throw invalid(`a dictionary has two of one key before byte ${position}`);
      const start = position;
      entries.set(key, value(depth + 1));
      if (depth === 1 && key === "info") [infoStart, infoEnd] = [start, position];
    }
    position++;
    return entries;
  }

  function list(depth: number): Value[] {
    const items: Value[] = [];
    position++;
    while (!atEnd()) items.push(value(depth + 1));
    position++;
    return items;
  }

  function integer(): number {
    const isNegative = bytes[position + 1] === MINUS;
    const value = digits(position + (isNegative ? 2 : 1), END, "an integer");
    return isNegative ? -value : value;
  }

  function string(): Uint8Array {
    const start = position;
    const length = digits(start, COLON, "the length of a string");
    const content = bytes.subarray(position, position + length);
    if (content.length < length) throw invalid(`the string at byte ${start} is cut off`);
    position += length;
    return content;
  }

  /** Reads a number of at least one digit, and moves behind its delimiter. Leading zeros are accepted: they occur. */
  function digits(first: number, delimiter: number, what: string): number {
    let value = 0;
    let at = first;
    for (let digit = bytes[at]; digit !== delimiter || at === first; digit = bytes[++at]) {
      if (digit === undefined) throw invalid(`it is cut off at byte ${at}`);
      if (digit < ZERO || digit > NINE) throw invalid(`${what} was expected at byte ${first}`);
      value = value * 10 + (digit - ZERO);
    }
    position = at + 1;
    return value;
  }

  function atEnd(): boolean {
    if (position >= bytes.length) throw invalid(`it is cut off at byte ${bytes.length}`);
    return bytes[position] === END;
  }

  if (bytes[0] !== DICTIONARY) throw invalid(bytes.length === 0 ? "it is empty" : "it is not a dictionary");
  const top = dictionary(1);
  if (position < bytes.length) throw invalid(`the dictionary ends at byte ${position}, the file goes on`);
  const info = top.get("info");
  if (!(info instanceof Map)) throw invalid("it has no info dictionary");
  return { top, info, infoBytes: bytes.slice(infoStart, infoEnd) };
}

function binaryString(bytes: Uint8Array): string {
  let string = "";
  // In portions, since a call takes some 100 000 arguments at most.
  for (let i = 0; i < bytes.length; i += 8192) string += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return string;
}

function text(bytes: Uint8Array): string {
  return utf8.decode(bytes);
}

function isBytes(value: Value | undefined): value is Uint8Array {
  return value instanceof Uint8Array;
}

function isInteger(value: Value | undefined, least: number, most: number): value is number {
  return typeof value === "number" && value >= least && value <= most;
}

function invalid(reason: string): Error {
  return new Error(`not a torrent: ${reason}`);
}
