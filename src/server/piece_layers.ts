/**
 * Piece layers (BEP 52): the hashes of a file's pieces, which have to lead to the root that its info dictionary names.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { Bencode, Value } from "./bencode.ts";
import { invalidTorrent } from "./torrent_errors.ts";
import type { TorrentFile } from "./torrent_files.ts";

const HASH_BYTES = 32;
/** The leaves of the tree of hashes stand for blocks of this many bytes. */
const BLOCK_BYTES = 16 * 1024;
/** After this many hashes the event loop has its turn: some milliseconds. */
const HASHES_PER_TURN = 4096;

/**
 * Checks the layers that a torrent brings. A file without one is like a magnet link: peers have it.
 *
 * @param layers the dictionary from roots to layers; `undefined` if the torrent has none
 * @throws {TorrentError} if a layer belongs to no file, or is not that of its file
 */
export async function checkPieceLayers(
  bencode: Bencode,
  layers: Value | undefined,
  files: readonly TorrentFile[],
  pieceLength: number,
): Promise<void> {
  const sizes = new Map(
    files.flatMap(({ root, size }) => root && size > pieceLength ? [[hexOf(root), size] as const] : []),
  );
  const padding = paddingOf(pieceLength);
  for (const [key, value] of bencode.entries(layers)) {
    const root = hexOf(key);
    const layer = bencode.string(value);
    const size = sizes.get(root);
    if (layer === undefined || size === undefined) throw invalidTorrent("a piece layer belongs to no file");
    sizes.delete(root); // Each file has but one.
    if (layer.length !== Math.ceil(size / pieceLength) * HASH_BYTES) {
      throw invalidTorrent("a piece layer has not as many hashes as its file has pieces");
    }
    if (hexOf(await rootOf(layer, padding)) !== root) {
      throw invalidTorrent("a piece layer is not that of its file");
    }
  }
}

/** The hash of a piece that lies behind the end of a file. */
function paddingOf(pieceLength: number): Uint8Array {
  let hash: Uint8Array = new Uint8Array(HASH_BYTES);
  for (let bytes = BLOCK_BYTES; bytes < pieceLength; bytes *= 2) hash = sha256(hash, hash);
  return hash;
}

/** The root of a binary tree with these leaves, filled up to a power of two. */
async function rootOf(layer: Uint8Array, padding: Uint8Array): Promise<Uint8Array> {
  let row = layer;
  let filler = padding;
  let hashes = 0;
  while (row.length > HASH_BYTES) {
    const count = Math.ceil(row.length / (2 * HASH_BYTES));
    const above = new Uint8Array(count * HASH_BYTES);
    for (let i = 0; i < count; i++) {
      const left = row.subarray(2 * i * HASH_BYTES, (2 * i + 1) * HASH_BYTES);
      const right = row.subarray((2 * i + 1) * HASH_BYTES, (2 * i + 2) * HASH_BYTES);
      above.set(sha256(left, right.length === 0 ? filler : right), i * HASH_BYTES);
      if (++hashes % HASHES_PER_TURN === 0) await new Promise((resolve) => setTimeout(resolve));
    }
    filler = sha256(filler, filler);
    row = above;
  }
  return row;
}

function sha256(left: Uint8Array, right: Uint8Array): Uint8Array {
  return createHash("sha256").update(left).update(right).digest();
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
