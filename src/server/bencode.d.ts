/** The part of the npm package `bencode` (which ships no types) that `torrent.ts` uses: its cursor. */
declare module "bencode" {
  interface Cursor {
    /** What is being decoded. The package keeps one cursor for everybody. */
    data: Uint8Array | null;
    /** Offset of the next byte to decode. */
    position: number;
    /** Reads `i…e` and moves behind it. Takes anything that begins like a number. */
    integer(): number;
    /** Reads `N:…` and moves behind it; behind the end of `data`, too, without an error. */
    buffer(): Uint8Array;
  }
  const bencode: { decode: Cursor };
  export default bencode;
}
