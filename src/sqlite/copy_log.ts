/**
 * Copies a log into its file a second time. SQLite would do so only after the database was opened anew.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { fstatSync } from "node:fs";
import { readAt, writeAt } from "./scrub.ts";

/** The number that a log begins with; one more if the words of its checksums are big-endian. */
const MAGIC = 0x377f0682;
const HEAD_BYTES = 32;
const FRAME_HEAD_BYTES = 24;

/** The two sums over a log: each frame goes on with those of the frame before it. */
type Sums = readonly [number, number];

/**
 * Copies the newest page of each number from a log into its file, up to the last commit: those that SQLite finds when it recovers
 * the log (its documentation, Database File Format, sections 4.1 to 4.3). A log without a head has none. Nothing may be stored
 * meanwhile.
 *
 * @throws {Error}
 */
export async function copyLog(log: number, file: number): Promise<void> {
  const head = Buffer.alloc(HEAD_BYTES);
  await readAt(log, head, 0);
  if ((head.readUInt32BE(0) & ~1) !== MAGIC) return;
  const isBigEndian = head.readUInt32BE(0) !== MAGIC;
  const frame = Buffer.alloc(FRAME_HEAD_BYTES + head.readUInt32BE(8));
  const page = frame.subarray(FRAME_HEAD_BYTES);
  const salt = head.subarray(16, 24);
  let sums = add([0, 0], head.subarray(0, 24), isBigEndian);
  /** Where the page of each number stands in the log: those of transactions that were committed, and of the one after them. */
  const places = new Map<number, number>();
  let uncommitted = new Map<number, number>();
  const { size } = fstatSync(log);
  for (let at = HEAD_BYTES; at + frame.length <= size; at += frame.length) {
    await readAt(log, frame, at);
    sums = add(add(sums, frame.subarray(0, 8), isBigEndian), page, isBigEndian);
    const isNext = frame.subarray(8, 16).equals(salt) && frame.readUInt32BE(16) === sums[0] &&
      frame.readUInt32BE(20) === sums[1];
    if (!isNext) break;
    uncommitted.set(frame.readUInt32BE(0), at + FRAME_HEAD_BYTES);
    if (frame.readUInt32BE(4) === 0) continue; // It is not the last one of its transaction.
    for (const [number, place] of uncommitted) places.set(number, place);
    uncommitted = new Map();
  }
  for (const [number, place] of places) {
    await readAt(log, page, place);
    await writeAt(file, page, (number - 1) * page.length);
  }
}

/** Adds words of 32 bits to the sums, two at a time. */
function add([first, second]: Sums, bytes: Buffer, isBigEndian: boolean): Sums {
  for (let at = 0; at < bytes.length; at += 8) {
    const [one, two] = isBigEndian
      ? [bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4)]
      : [bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4)];
    first = (first + one + second) >>> 0;
    second = (second + two + first) >>> 0;
  }
  return [first, second];
}
