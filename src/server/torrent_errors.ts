/**
 * What is wrong with a torrent file.
 *
 * @module
 */

/** The file is no torrent: the message says what is wrong with it. */
export class TorrentError extends Error {}

/** The file may be a torrent, and is beyond what is read: the message says by what. */
export class TorrentTooLarge extends Error {}

/** The most bytes of a file that libtorrent takes. */
const MAX_FILE_SIZE = 2 ** 44 - 1;

/** Makes the error of a file that is no torrent. */
export function invalidTorrent(reason: string): TorrentError {
  return new TorrentError(`not a torrent: ${reason}`);
}

/** Checks the size of a file in a torrent, in bytes. */
export function sizeOf(size: number | undefined): number {
  if (size === undefined || size < 0 || size > MAX_FILE_SIZE) {
    throw invalidTorrent("the length of a file is not a size");
  }
  return size;
}
