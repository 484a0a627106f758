/**
 * Pages: what this process no longer holds of the stream, read piece by piece and shared by whoever asks for it.
 *
 * @module
 */
import type { Batch, Entry } from "../channel/channel.ts";

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
   * Fetches the events after a position up to another, or to one before it where they are large. Tries until it has
   * them; `undefined` where nobody wants them any more.
   */
  fetch(after: number, last: number): Promise<Fetched | undefined>;
  /** Asked when the beginning of a page is missing: how far the whole stream has lost its beginning. */
  refresh(): Promise<void>;
}

/** Some events in a row. */
export interface Fetched {
  /** The last position they tell of. */
  readonly last: number;
  /** The events, in order; those that the stream no longer keeps are not among them. */
  readonly entries: readonly Entry[];
  /** Whether it ends there for its size: more was to be had. */
  readonly isCut: boolean;
}

interface Page extends Fetched {
  /** The position before its first event. */
  readonly after: number;
  readonly bytes: number;
}

/**
 * So many positions are read at once at the most, and no page goes beyond a multiple of it, so that readers share them.
 * Where a page ends before that, for its size, the next one begins there.
 */
const PAGE_EVENTS = 1024;
/** So many bytes of pages are kept for others who ask. */
const KEPT_BYTES = 32 * 1024 * 1024;
/** Of so many pages it is known where they ended. */
const KEPT_CUTS = 10_000;
/** So many are fetched at the same time; who asks for more waits. */
const CONCURRENCY = 4;

/** Makes a store of pages, empty. */
export function createPages({ fetch, refresh }: PagesOptions): Pages {
  /** By the position they begin after, in the order in which they were last asked for. */
  let kept = new Map<number, Page>();
  /**
   * Where a page ended for its size, by the position it began after. These outlive the pages: whoever reads on would
   * else have all fetched again that stands between a multiple and his position, and by that forget what he needs next.
   */
  let cuts = new Map<number, number>();
  let underWay = new Map<number, Promise<Page | undefined>>();
  let bytes = 0;
  let fetching = 0;
  const queue: (() => void)[] = [];

  async function load(after: number, end: number): Promise<Page | undefined> {
    if (fetching >= CONCURRENCY) await new Promise<void>((resolve) => queue.push(resolve));
    fetching++;
    try {
      const fetched = await fetch(after, end);
      if (fetched === undefined) return undefined;
      const { entries } = fetched;
      if (entries[0]?.position !== after + 1) await refresh();
      return { ...fetched, after, bytes: entries.reduce((sum, entry) => sum + entry.bytes, 0) };
    } finally {
      fetching--;
      queue.shift()?.();
    }
  }

  function keep(page: Page): void {
    forget(page.after);
    kept.set(page.after, page);
    bytes += page.bytes;
    cuts.delete(page.after);
    if (page.isCut) cuts.set(page.after, page.last);
    if (cuts.size > KEPT_CUTS) cuts.delete(cuts.keys().next().value!);
    for (const oldest of kept.keys()) {
      if (bytes <= KEPT_BYTES || oldest === page.after) break;
      forget(oldest);
    }
  }

  function forget(after: number): void {
    bytes -= kept.get(after)?.bytes ?? 0;
    kept.delete(after);
  }

  /** Fetches the page that begins after a position, with others who want the same. */
  function ask(after: number, last: number): Promise<Page | undefined> {
    const asked = underWay.get(after);
    if (asked !== undefined) return asked;
    const mine = underWay;
    const end = Math.min(startOf(after) + PAGE_EVENTS, last);
    const loading = load(after, end).then((page) => {
      if (page === undefined || mine !== underWay) return undefined; // Its positions mean something else by now.
      keep(page);
      return page;
    }).finally(() => mine.delete(after));
    underWay.set(after, loading);
    return loading;
  }

  function read(position: number, last: number, maxBytes: number): Batch | Promise<Batch> {
    let after = startOf(position);
    for (let cut; (cut = cuts.get(after)) !== undefined && cut <= position;) after = cut;
    const page = kept.get(after);
    // One that was fetched when there was less is fetched again.
    if (page === undefined || page.last <= position) {
      return ask(after, last).then((page) => {
        if (page === undefined) return { entries: [] };
        // The position may lie behind a page that has ended for its size, or was asked for when there was less.
        return position < page.last ? take(page, position, last, maxBytes) : read(position, last, maxBytes);
      });
    }
    keep(page);
    return take(page, position, last, maxBytes);
  }

  function take(page: Page, position: number, last: number, maxBytes: number): Batch {
    const batch = batchOf(page, position, maxBytes);
    const isEnd = batch.entries.at(-1)?.position === page.last && page.last < last;
    const isWhole = page.isCut || page.last === startOf(page.last); // Else it is fetched again, with more.
    if (isEnd && isWhole && !kept.has(page.last)) ask(page.last, last).catch(() => {}); // It is wanted next.
    return batch;
  }

  return {
    read,
    clear: () => {
      kept = new Map();
      cuts = new Map();
      underWay = new Map();
      bytes = 0;
    },
  };
}

/** Where the pages begin that share the position. */
function startOf(position: number): number {
  return position - position % PAGE_EVENTS;
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
