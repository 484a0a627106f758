/**
 * Torrent files: what identifies one, and what it says of its content. What libtorrent reads is read, and what it refuses is
 * refused.
 *
 * @module
 */
import { Bencode, BencodeError, BencodeLimitError, type Value } from "./bencode.ts";
import { checkPieceLayers } from "./piece_layers.ts";
import {
  checkCollisions,
  checkVersions,
  filesOfList,
  filesOfTree,
  type TorrentFile,
  withAlignment,
} from "./torrent_files.ts";
import { invalidTorrent, sizeOf, TorrentTooLarge } from "./torrent_errors.ts";
import { cleanName, createTextDecoder } from "./torrent_names.ts";

/** What a `.torrent` file says of its content. */
export interface Torrent {
  /**
   * The SHA-1 over the info dictionary's bytes as they stand in the file; of a torrent of version 2 alone the first 20
   * bytes of its SHA-256, as trackers and peers use it: 40 lower-case hexadecimal digits.
   */
  infohash: string;
  /** The whole SHA-256 of a torrent of version 2, a hybrid one too: 64 lower-case hexadecimal digits. */
  infohashV2?: string;
  /** The suggested name of the file, or of the folder that holds the files; cleaned, so that it is one part of a path. */
  name: string;
  /**
   * Path inside the torrent (without its name, "/" between the parts, each of them cleaned) and size in bytes, in file
   * order, without padding.
   */
  files: [path: string, size: number][];
  /** Announce URLs, in file order, without repeats. */
  trackers: string[];
  /** When the torrent was made, in unix seconds; missing where the file does not say, or says nonsense. */
  created?: number;
}

/** Maximum size of a torrent file in bytes: that of qBittorrent. */
export const MAX_TORRENT_BYTES: number = 100 * 1024 * 1024;
/** Those of qBittorrent. A torrent of 300 000 files has about 3 million values, which take 8 bytes each. */
const LIMITS = { maxValues: 10_000_000, maxDepth: 100 };
/** That of libtorrent. */
const MAX_PIECES = 0x20_0000;
/** The least and the most bytes of a piece in version 2, and the most in version 1 (BEP 52, libtorrent). */
const MIN_PIECE_LENGTH = 16 * 1024;
const MAX_PIECE_LENGTH = 0x7fff * MIN_PIECE_LENGTH;
/** What a dictionary begins with: `d`. */
const DICTIONARY = 0x64;
/** Anything later than the year 2106 is no date in seconds. */
const MAX_CREATED = 2 ** 32 - 1;

/**
 * Reads a whole `.torrent` file: BEP 3 (single and multi-file), BEP 12 (`announce-list`), BEP 30 (`root hash`), BEP 47
 * (padding, which is left out, and symbolic links) and BEP 52 (version 2, and hybrid). Text is `name.utf-8` and `path.utf-8`
 * where present, else `name` and `path`, in UTF-8 or in the torrent's own `encoding`.
 *
 * What identifies and lists the content must be right. What merely accompanies it (trackers, date) is left out where it is
 * not: that is no reason to refuse a torrent one can download. What follows the torrent in the file is ignored.
 *
 * @param bytes the file, from its first byte on; not kept
 * @throws {TorrentError} `not a torrent: …`, saying what is wrong and where
 * @throws {TorrentTooLarge} if it is beyond a limit
 */
export async function readTorrent(bytes: Uint8Array): Promise<Torrent> {
  if (bytes.length > MAX_TORRENT_BYTES) {
    throw new TorrentTooLarge(`it has more than ${MAX_TORRENT_BYTES} bytes`);
  }
  const bencode = scan(bytes);
  const info = infoOf(bencode);
  const version = versionOf(bencode, info);
  const pieceLength = pieceLengthOf(bencode, info, version);
  const sha1 = await digestOf("SHA-1", bencode.section(info));
  const sha256 = version === 2 ? await digestOf("SHA-256", bencode.section(info)) : undefined;
  const text = createTextDecoder(textOf(bencode, bencode.get(bencode.root, "encoding")));
  const rawName = bencode.string(bencode.get(info, "name.utf-8")) ??
    bencode.string(bencode.get(info, "name"));
  if (rawName === undefined) throw invalidTorrent("the info dictionary has no name");
  const name = cleanName(text(rawName)) || (sha256 ?? sha1);
  const { files, isHybrid } = listFiles(bencode, info, { version, pieceLength, name, rawName, text });
  if (version === 2) {
    await checkPieceLayers(bencode, bencode.get(bencode.root, "piece layers"), files, pieceLength);
  }
  const created = createdOf(bencode);
  return {
    infohash: sha256 === undefined || isHybrid ? sha1 : sha256.slice(0, 40),
    ...(sha256 !== undefined && { infohashV2: sha256 }),
    name,
    files: files.filter(({ isPadding }) => !isPadding).map(({ path, size }) => [path, size]),
    trackers: trackersOf(bencode, text),
    ...(created !== undefined && { created }),
  };
}

function scan(bytes: Uint8Array): Bencode {
  if (bytes.length === 0) throw invalidTorrent("it is empty");
  if (bytes[0] !== DICTIONARY) throw invalidTorrent("it is not a dictionary");
  try {
    return new Bencode(bytes, LIMITS);
  } catch (error) {
    if (error instanceof BencodeLimitError) throw new TorrentTooLarge(error.message);
    throw error instanceof BencodeError ? invalidTorrent(error.message) : error;
  }
}

function infoOf(bencode: Bencode): Value {
  const info = bencode.get(bencode.root, "info");
  if (!bencode.isDictionary(info)) throw invalidTorrent("it has no info dictionary");
  return info;
}

/** The version of a torrent: 1 or 2, which a hybrid one has too. */
function versionOf(bencode: Bencode, info: Value): 1 | 2 {
  const version = bencode.integer(bencode.get(info, "meta version")) ?? 1;
  if (version > 2) throw invalidTorrent(`it is of version ${version}`);
  const hasTree = bencode.isDictionary(bencode.get(info, "file tree"));
  if (version === 2 && !hasTree) throw invalidTorrent("it is of version 2 and has no file tree");
  if (version < 2 && hasTree) throw invalidTorrent("it has a file tree and is not of version 2");
  // A torrent that says so has one form (BEP 52): others would have the same content and another infohash.
  const fault = bencode.get(info, "meta version") === undefined ? undefined : bencode.findUncanonical(info);
  if (fault !== undefined) throw invalidTorrent(`the info dictionary is not canonical: ${fault}`);
  return version < 2 ? 1 : 2;
}

function pieceLengthOf(bencode: Bencode, info: Value, version: 1 | 2): number {
  const length = bencode.integer(bencode.get(info, "piece length"));
  const isSize = length !== undefined && length > 0 && length <= MAX_PIECE_LENGTH;
  const isPower = isSize && length >= MIN_PIECE_LENGTH && (length & (length - 1)) === 0;
  if (isSize && (version === 1 || isPower)) return length;
  throw invalidTorrent("the piece length is not a size");
}

/** What the list of files is made of. */
interface Listing {
  readonly version: 1 | 2;
  readonly pieceLength: number;
  /** The name of the torrent, cleaned. */
  readonly name: string;
  /** Its bytes. */
  readonly rawName: Uint8Array;
  readonly text: (bytes: Uint8Array) => string;
}

/** Lists the files, and checks that the pieces fit them. */
function listFiles(
  bencode: Bencode,
  info: Value,
  { version, pieceLength, name, rawName, text }: Listing,
): { readonly files: readonly TorrentFile[]; readonly isHybrid: boolean } {
  const list = bencode.get(info, "files");
  const isList = bencode.isList(list);
  const length = bencode.get(info, "length");
  let first: TorrentFile[] | undefined;
  if (isList) first = filesOfList(bencode, list, text);
  else if (version === 1 || length !== undefined) {
    if (rawName.length === 0 || cleanName(text(rawName)) === "") {
      throw invalidTorrent("the name of the file is empty");
    }
    first = [{ path: name, size: sizeOf(bencode.integer(length)), isPadding: false }];
  }
  let files = first;
  if (version === 2) {
    const tree = filesOfTree(bencode, bencode.get(info, "file tree")!, text);
    files = withAlignment(tree, pieceLength);
    if (first !== undefined) checkVersions(files, first);
  }
  if (files === undefined || files.length === 0) throw invalidTorrent("it lists no files");
  checkCollisions(files);
  checkPieces(bencode, info, files, pieceLength, version);
  return { files, isHybrid: version === 2 && first !== undefined };
}

function checkPieces(
  bencode: Bencode,
  info: Value,
  files: readonly TorrentFile[],
  pieceLength: number,
  version: 1 | 2,
): void {
  const total = files.reduce((sum, { size }) => sum + size, 0);
  if (total === 0) throw invalidTorrent("all its files are empty");
  const count = Math.ceil(total / pieceLength);
  if (count > MAX_PIECES) throw new TorrentTooLarge(`it has more than ${MAX_PIECES} pieces`);
  const pieces = bencode.string(bencode.get(info, "pieces"));
  const root = bencode.string(bencode.get(info, "root hash")); // BEP 30
  if (pieces === undefined && (version === 2 || root?.length === 20)) return;
  if (pieces === undefined) throw invalidTorrent("it has no pieces");
  // Padding at the end is not written by every program.
  const last = files.at(-1)!;
  const least = last.isPadding ? Math.ceil((total - last.size) / pieceLength) : count;
  const isFit = pieces.length === count * 20 || pieces.length === least * 20;
  if (!isFit) throw invalidTorrent(`pieces is not a string of ${count} hashes of 20 bytes`);
}

/** The creation date in seconds since 1970, where the file has one that can be meant. */
function createdOf(bencode: Bencode): number | undefined {
  const date = bencode.integer(bencode.get(bencode.root, "creation date"));
  if (date === undefined || date < 1) return undefined;
  if (date <= MAX_CREATED) return date;
  // Some programs wrote milliseconds.
  return date <= MAX_CREATED * 1000 ? Math.floor(date / 1000) : undefined;
}

function trackersOf(bencode: Bencode, text: (bytes: Uint8Array) => string): string[] {
  const tiers = bencode.get(bencode.root, "announce-list");
  const found = [bencode.get(bencode.root, "announce")];
  // One level only: both a list of tiers and, as some programs write it, a plain list of URLs.
  for (const tier of bencode.items(tiers)) found.push(...bencode.isList(tier) ? bencode.items(tier) : [tier]);
  const urls = found.map((value) => bencode.string(value)).filter((bytes) => bytes !== undefined);
  return [...new Set(urls.map((bytes) => text(bytes).trim()).filter((url) => url !== ""))];
}

function textOf(bencode: Bencode, value: Value | undefined): string | undefined {
  const bytes = bencode.string(value);
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
}

async function digestOf(algorithm: "SHA-1" | "SHA-256", bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest(algorithm, bytes as Uint8Array<ArrayBuffer>);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
