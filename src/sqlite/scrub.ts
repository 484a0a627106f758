/**
 * Scrubbing: overwrites what SQLite leaves in the pages of a file. With `secure_delete` it overwrites what is deleted, but when
 * it moves rows within a page or from one page to another, copies of them stay between the pointers to the rows and the rows
 * (its documentation, Database File Format, section 1.6).
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { read, write } from "node:fs";

/** Number of bytes that are read at a time: a whole number of pages of any size. */
const PIECE_BYTES = 1024 * 1024;
/** The head of a database, which stands before that of its first page. */
const DATABASE_HEAD_BYTES = 100;
/** The sizes of the heads of pages with rows, by their types. A page of another kind begins with the high byte of a number. */
const PAGE_HEAD_BYTES: Readonly<Record<number, number>> = { 0x02: 12, 0x05: 12, 0x0a: 8, 0x0d: 8 };
/** From this number of pages on (128 GiB) the number could have one of those types as its high byte. */
const MAX_PAGES = 0x02000000;

const ZEROS = Buffer.alloc(65_536);

/**
 * Overwrites the unallocated space of every page. The log must be empty, and nothing may be stored meanwhile.
 *
 * @throws {Error}
 */
export async function scrub(file: number, pageBytes: number, pages: number): Promise<void> {
  if (pages >= MAX_PAGES) throw new Error("the file is too large to be scrubbed");
  const piece = Buffer.alloc(PIECE_BYTES);
  for (let at = 0; at < pages * pageBytes; at += PIECE_BYTES) {
    const length = await readAt(file, piece, at);
    for (let page = 0; page + pageBytes <= length; page += pageBytes) {
      const [start, end] = unallocated(piece.subarray(page, page + pageBytes), at + page === 0);
      const zeros = ZEROS.subarray(0, end - start);
      // These bytes alone: if the write is torn, all rows are whole.
      if (!zeros.equals(piece.subarray(page + start, page + end))) {
        await writeAt(file, zeros, at + page + start);
      }
    }
  }
}

/** Returns where the unallocated space of a page begins and ends; nothing in a page without rows. */
function unallocated(page: Uint8Array, isFirst: boolean): readonly [start: number, end: number] {
  const head = isFirst ? DATABASE_HEAD_BYTES : 0;
  const headBytes = PAGE_HEAD_BYTES[page[head]!];
  if (headBytes === undefined) return [0, 0];
  const view = new DataView(page.buffer, page.byteOffset, page.length);
  const start = head + headBytes + 2 * view.getUint16(head + 3);
  const end = view.getUint16(head + 5) || 65_536;
  return start < end && end <= page.length ? [start, end] : [0, 0];
}

/** Reads bytes from a position of a file, and returns how many there are. */
export function readAt(file: number, into: Uint8Array, position: number): Promise<number> {
  return new Promise((resolve, reject) =>
    read(file, into, 0, into.length, position, (error, length) => error ? reject(error) : resolve(length))
  );
}

/** Writes bytes at a position of a file. */
export function writeAt(file: number, bytes: Uint8Array, position: number): Promise<void> {
  return new Promise((resolve, reject) =>
    write(file, bytes, 0, bytes.length, position, (error, length) => {
      if (error) reject(error);
      else if (length < bytes.length) reject(new Error("the disk has taken only a part"));
      else resolve();
    })
  );
}
