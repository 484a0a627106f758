/**
 * Pieces: how bytes that are shared go out, so that it shows how far a slow reader has come in them.
 *
 * @module
 */

/** What is no larger than a batch goes out whole: in smaller pieces a flood is slower by a third on Deno and Bun. */
const SEGMENT_BYTES = 256 * 1024;

const segments = new WeakMap<Uint8Array, readonly Uint8Array[]>();

/** The bytes in pieces of that size or a little more, in order. Nothing is copied; the same bytes have the same pieces. */
export function segmentsOf(bytes: Uint8Array): readonly Uint8Array[] {
  const count = Math.floor(bytes.length / SEGMENT_BYTES);
  if (count <= 1) return [bytes];
  let known = segments.get(bytes);
  if (known === undefined) {
    const size = Math.ceil(bytes.length / count);
    known = Array.from({ length: count }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
    segments.set(bytes, known);
  }
  return known;
}
