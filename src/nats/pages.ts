/**
 * Pages: what this process no longer holds of the stream, read piece by piece and shared by whoever asks for it.
 *
 * @module
 */
import type { Batch, Entry } from "../channel.ts";

/** Reads positions that the window does not hold. */
export interface Pages {
  /**
   * What follows a position, as `EventLog.read` gives it; a promise where it has to be fetched.
   *
   * @param last the newest position there is
   */
  read(position: number, last: number, maxBytes: number): Batch | Promise<Batch>;
  /** Forgets all: the positions mean something else from now on. */
  clear(): void;
}

/** Options of {@linkcode createPages}. */
export interface PagesOptions {
  /**
   * Fetches the events after a position up to another, in order; those that the stream no longer keeps are not among
   * them. Tries until it has them; `undefined` where nobody wants them any more.
   */
  fetch(after: number, last: number): Promise<readonly Entry[] | undefined>;
  /** Asked when the beginning of a page is missing: how far the whole stream has lost its beginning. */
  refresh(): Promise<void>;
}

/** Some events in a row. */
interface Page {
  /** The position before its first event. */
  readonly after: number;
  /** The last position it tells of. */
  readonly last: number;
  readonly entries: readonly Entry[];
  readonly bytes: number;
}

/** So many positions are read at once, and all pages begin at a multiple of it, so that readers share them. */
const PAGE_EVENTS = 256;
/** So many bytes of pages are kept for others who ask. */
const KEPT_BYTES = 32 * 1024 * 1024;
/** So many are fetched at the same time; who asks for more waits. */
const CONCURRENCY = 4;

/** Makes a store of pages, empty. */
export function createPages({ fetch, refresh }: PagesOptions): Pages {
  /** In the order in which they were last asked for. */
  let kept = new Map<number, Page>();
  let underWay = new Map<number, Promise<Page | undefined>>();
  let bytes = 0;
  let fetching = 0;
  const queue: (() => void)[] = [];

  async function load(number: number, last: number): Promise<Page | undefined> {
    if (fetching >= CONCURRENCY) await new Promise<void>((resolve) => queue.push(resolve));
    fetching++;
    try {
      const after = number * PAGE_EVENTS;
      const end = Math.min(after + PAGE_EVENTS, last);
      const entries = await fetch(after, end);
      if (entries === undefined) return undefined;
      if (entries[0]?.position !== after + 1) await refresh();
      return { after, last: end, entries, bytes: entries.reduce((sum, entry) => sum + entry.bytes, 0) };
    } finally {
      fetching--;
      queue.shift()?.();
    }
  }

  function keep(number: number, page: Page): void {
    forget(number);
    kept.set(number, page);
    bytes += page.bytes;
    for (const oldest of kept.keys()) {
      if (bytes <= KEPT_BYTES || oldest === number) break;
      forget(oldest);
    }
  }

  function forget(number: number): void {
    bytes -= kept.get(number)?.bytes ?? 0;
    kept.delete(number);
  }

  /** Fetches a page, with others who want the same. */
  function ask(number: number, last: number): Promise<Page | undefined> {
    const asked = underWay.get(number);
    if (asked !== undefined) return asked;
    const mine = underWay;
    const loading = load(number, last).finally(() => mine.delete(number));
    underWay.set(number, loading);
    loading.then((page) => void (page !== undefined && mine === underWay && keep(number, page)), () => {});
    return loading;
  }

  function read(position: number, last: number, maxBytes: number): Batch | Promise<Batch> {
    const number = Math.floor(position / PAGE_EVENTS);
    const page = kept.get(number);
    if (page === undefined || position >= page.last) {
      return ask(number, last).then((page) => {
        if (page === undefined) return { entries: [] };
        // It may have been asked for when there was less.
        return position < page.last ? batchOf(page, position, maxBytes) : read(position, last, maxBytes);
      });
    }
    keep(number, page);
    const batch = batchOf(page, position, maxBytes);
    const isEnd = batch.entries.at(-1)?.position === page.last && page.last < last;
    if (isEnd && !kept.has(number + 1)) ask(number + 1, last).catch(() => {}); // The reader will want it next.
    return batch;
  }

  return {
    read,
    clear: () => {
      kept = new Map();
      underWay = new Map();
      bytes = 0;
    },
  };
}

/** What follows the position in the page, up to where something is missing. */
function batchOf({ after, last, entries }: Page, position: number, maxBytes: number): Batch {
  // Where nothing is missing the index is the distance.
  let index = Math.min(position - after, entries.length);
  while (index > 0 && entries[index - 1]!.position > position) index--;
  const next = entries[index]?.position ?? last + 1;
  if (next > position + 1) {
    return { lost: { reason: "slow_consumer", count: next - 1 - position }, entries: [] };
  }
  let end = index;
  for (let bytes = 0; end < entries.length; end++) {
    const { position: here, bytes: size } = entries[end]!;
    if (here !== next + end - index || (end > index && bytes + size > maxBytes)) break;
    bytes += size;
  }
  return { entries: entries.slice(index, end) };
}
