/**
 * The files of a torrent: the list of version 1 (BEP 3, BEP 47), and the tree of version 2 (BEP 52).
 *
 * @module
 */
import type { Bencode, Value } from "./bencode.ts";
import { invalidTorrent, sizeOf } from "./torrent_errors.ts";
import { cleanPath, type DecodeText } from "./torrent_names.ts";

/** One file of a torrent. */
export interface TorrentFile {
  /** Its path inside the torrent, cleaned. */
  readonly path: string;
  /** Its size in bytes; 0 for a symbolic link. */
  readonly size: number;
  /** Whether it only fills a piece, so that the next file begins with one (BEP 47). */
  readonly isPadding: boolean;
  /** The root of the tree of its hashes, in version 2. */
  readonly root?: Uint8Array;
}

/** Maximum number of folders in each other: that of libtorrent. */
const MAX_FOLDERS = 100;
/** Maximum number of names that are taken when each file is given one of its own: that of libtorrent. */
const MAX_COLLISIONS = 500;
/** The name that BitComet gives to padding. */
const BITCOMET_PADDING = "_____padding_file_";

/** Reads the list of files in version 1. */
export function filesOfList(bencode: Bencode, list: Value, text: DecodeText): TorrentFile[] {
  const files: TorrentFile[] = [];
  for (const file of bencode.items(list)) {
    if (!bencode.isDictionary(file)) throw invalidTorrent("a file is not a dictionary");
    const { isPadding, isLink } = attributesOf(bencode, file);
    const utf8 = bencode.get(file, "path.utf-8");
    const path = bencode.isList(utf8) ? utf8 : bencode.get(file, "path");
    const parts = partsOf(bencode, path);
    if (parts.length === 0 && !isPadding) throw invalidTorrent("the path of a file is not a list of strings");
    const size = isLink ? 0 : sizeOf(bencode.integer(bencode.get(file, "length")));
    const cleaned = cleanPath(parts.map(text));
    files.push({ path: cleaned, size, isPadding: isPadding || cleaned.includes(BITCOMET_PADDING) });
  }
  return files;
}

function partsOf(bencode: Bencode, path: Value | undefined): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (const part of bencode.items(path)) {
    const bytes = bencode.string(part);
    if (bytes === undefined) throw invalidTorrent("the path of a file is not a list of strings");
    if (parts.push(bytes) > MAX_FOLDERS) {
      throw invalidTorrent(`the path of a file has more than ${MAX_FOLDERS} parts`);
    }
  }
  return parts;
}

/** What stands in `attr` (BEP 47): `p` for padding, `l` for a symbolic link, which may have no length. */
function attributesOf(
  bencode: Bencode,
  file: Value,
): { readonly isPadding: boolean; readonly isLink: boolean } {
  const attributes = bencode.string(bencode.get(file, "attr")) ?? new Uint8Array();
  return { isPadding: attributes.includes(0x70), isLink: attributes.includes(0x6c) };
}

/** A folder that is being read, and the path to it. */
interface Folder {
  readonly entries: Iterator<readonly [Uint8Array, Value]>;
  readonly parts: readonly string[];
}

/**
 * Reads the tree of files in version 2: a file is a dictionary whose one key is the empty string, any other dictionary is a
 * folder.
 */
export function filesOfTree(bencode: Bencode, tree: Value, text: DecodeText): TorrentFile[] {
  const files: TorrentFile[] = [];
  const open: Folder[] = [{ entries: bencode.entries(tree), parts: [] }];
  for (let folder; (folder = open.at(-1)) !== undefined;) {
    const { done, value } = folder.entries.next();
    if (done) {
      open.pop();
      continue;
    }
    const [name, node] = value;
    if (name.length === 0 || !bencode.isDictionary(node)) {
      throw invalidTorrent("the file tree holds something that is neither file nor folder");
    }
    const parts = [...folder.parts, text(name)];
    const file = fileOf(bencode, node);
    if (file !== undefined) files.push({ path: cleanPath(parts), ...readLeaf(bencode, file) });
    else if (open.push({ entries: bencode.entries(node), parts }) > MAX_FOLDERS) {
      throw invalidTorrent(`the file tree has more than ${MAX_FOLDERS} folders in each other`);
    }
  }
  return files;
}

/** The dictionary of a file, if the node is one. */
function fileOf(bencode: Bencode, node: Value): Value | undefined {
  const [first, second] = bencode.entries(node);
  return first !== undefined && second === undefined && first[0].length === 0 ? first[1] : undefined;
}

function readLeaf(bencode: Bencode, file: Value): Omit<TorrentFile, "path"> {
  if (!bencode.isDictionary(file)) throw invalidTorrent("a file is not a dictionary");
  const { isPadding, isLink } = attributesOf(bencode, file);
  if (isPadding) throw invalidTorrent("the file tree has padding");
  const size = isLink ? 0 : sizeOf(bencode.integer(bencode.get(file, "length")));
  if (size === 0) return { size, isPadding };
  const root = bencode.string(bencode.get(file, "pieces root"));
  if (root?.length !== 32 || root.every((byte) => byte === 0)) {
    throw invalidTorrent("a file has no pieces root");
  }
  return { size, isPadding, root };
}

/** Adds what stands between the files of version 2, each of which begins with a piece. */
export function withAlignment(files: readonly TorrentFile[], pieceLength: number): TorrentFile[] {
  const aligned: TorrentFile[] = [];
  let offset = 0;
  for (const file of files) {
    const gap = file.size === 0 ? 0 : (pieceLength - offset % pieceLength) % pieceLength;
    if (gap > 0) aligned.push({ path: "", size: gap, isPadding: true });
    aligned.push(file);
    offset += gap + file.size;
  }
  return aligned;
}

/** Checks that both versions of a hybrid torrent have the same content in the same places. */
export function checkVersions(second: readonly TorrentFile[], first: readonly TorrentFile[]): void {
  const [ofSecond, ofFirst] = [placesOf(second), placesOf(first)];
  const isSame = ofSecond.length === ofFirst.length &&
    ofSecond.every(({ path, size, offset }, index) => {
      const other = ofFirst[index]!;
      return path === other.path && size === other.size && offset === other.offset;
    });
  if (!isSame) throw invalidTorrent("its two versions have different files");
}

function placesOf(files: readonly TorrentFile[]): { path: string; size: number; offset: number }[] {
  let end = 0;
  return files.map(({ path, size, isPadding }) => ({ path, size, isPadding, offset: (end += size) - size }))
    .filter(({ size, isPadding }) => size > 0 && !isPadding);
}

/** Refuses a torrent with more files of one path than any honest program writes. */
export function checkCollisions(files: readonly TorrentFile[]): void {
  const counts = new Map<string, number>();
  let collisions = 0;
  for (const { path, isPadding } of files) {
    if (isPadding) continue;
    const key = path.toLowerCase();
    const count = counts.get(key) ?? 0;
    counts.set(key, count + 1);
    collisions += Math.max(0, count - 1); // The second one has another name at once, the third tries that one first.
    if (collisions > MAX_COLLISIONS) throw invalidTorrent("too many of its files have the same path");
  }
}
