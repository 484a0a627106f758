/**
 * Torrents of the tests: those of `webtorrent-fixtures`, and small ones made to measure.
 *
 * @module
 */
import { createHash } from "node:crypto";

export const fixtures: URL = new URL("../../node_modules/webtorrent-fixtures/fixtures/", import.meta.url);

// As `parse-torrent` 11 reads them, but for `created` where the file has milliseconds.
export const WEBTORRENT: Record<string, { infohash: string; name: string; files: number; created?: number }> =
  {
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

export type Plain = string | number | Uint8Array | Plain[] | Map<string | Uint8Array, Plain> | {
  [key: string]: Plain;
};

export function encode(value: Plain): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  collect(value, parts);
  return concat(parts);
}

function collect(value: Plain, parts: Uint8Array[]): void {
  if (typeof value === "number") parts.push(bytesOf(`i${value}e`));
  else if (typeof value === "string") collect(bytesOf(value), parts);
  else if (value instanceof Uint8Array) parts.push(bytesOf(`${value.length}:`), value);
  else {
    parts.push(bytesOf(Array.isArray(value) ? "l" : "d"));
    const items = Array.isArray(value)
      ? value
      : [...value instanceof Map ? value : Object.entries(value)].flat();
    for (const item of items) collect(item, parts);
    parts.push(bytesOf("e"));
  }
}

export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** One byte per character: what is no UTF-8 as well. */
export function latin1(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

export function concat(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function sha1(bytes: Uint8Array): string {
  return createHash("sha1").update(bytes).digest("hex");
}

export function sha256Bytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash("sha256").update(bytes).digest());
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Pieces of 1 MiB for files with this many bytes in total. */
export function hashes(bytes: number): { "piece length": number; pieces: Uint8Array } {
  const length = 1024 * 1024;
  return { "piece length": length, pieces: latin1("\xff".repeat(20 * Math.ceil(bytes / length))) };
}

export const PIECES: { "piece length": number; pieces: Uint8Array } = {
  "piece length": 16384,
  pieces: latin1("\xff".repeat(20)),
};

/** A small torrent; another name is another infohash, and another length of the file. */
export function torrentNamed(name: string, top: { [key: string]: Plain } = {}): Uint8Array<ArrayBuffer> {
  return encode({ ...top, info: { length: 5, name, ...PIECES } });
}
