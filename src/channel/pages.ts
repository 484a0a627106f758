/**
 * Pages: events that left memory, fetched from where the channel keeps them, piece by piece and shared by all readers.
 *
 * @module
 */
import { type Batch, type Entry, positionAfter } from "./channel.ts";
import { ENTRY_BYTES } from "./entry_writer.ts";
import { withoutErased } from "./erased.ts";
import type { History } from "./history.ts";

/** Reads positions that the window does not hold. */
export interface Pages {
  /** The number of pages kept. */
  readonly size: number;
  /**
   * Reads the events after a position, as `EventLog.read` does; returns a promise if they have to be fetched.
   *
   * @param last the last position of the window
   */
  read(position: number, last: number, maxBytes: number): Batch | Promise<Batch>;
  /** Drops all pages, because another epoch begins or nothing is read any more. */
  clear(): void;
  /** Drops all pages, and fetches those again that are pending, because events were erased. */
  refetch(): void;
}

/** Options of {@linkcode createPages}. */
export interface PagesOptions {
  /**
   * Maximum number of positions in a page, which never crosses a multiple of it, so that readers share pages. If a page ends
   * before that, for its size, the next one begins there.
   */
  readonly pageEvents: number;
  /**
   * Fetches the events after a position up to another, or to one before it if they are large. Retries until it has them;
   * `undefined` if it was aborted.
   */
  fetch(after: number, last: number): Promise<Fetched | undefined>;
  /** Called when the beginning of a page is missing, to learn which events were dropped. */
  refresh(): Promise<void>;
}

/** Consecutive events. */
export interface Fetched {
  /** The last position that they cover. */
  readonly last: number;
  /** The events in order, without those that are no longer kept, and with entries in the places of those that were erased. */
  readonly entries: readonly Entry[];
  /** Whether it ends before the requested position because of its size. */
  readonly isCut: boolean;
}

interface Page extends Fetched {
  /** The position before its first event. */
  readonly after: number;
  /** The memory that it takes, in bytes, about. */
  readonly bytes: number;
}

/** Maximum number of bytes of memory that the kept pages take, about. */
const KEPT_BYTES = 32 * 1024 * 1024;
/** Maximum number of remembered ends of pages. */
const KEPT_CUTS = 10_000;
/** Maximum number of pages that are fetched at once; further ones wait. */
const CONCURRENCY = 4;

/** A log that is kept elsewhere, as far as this process holds it at the moment. */
export interface HeldLog {
  /** The position of the oldest event that is kept; one after the last if there is none. */
  readonly first: number;
  /** The newest events. */
  readonly window: History;
  /** The pages of the events that left the window. */
  readonly pages: Pages;
  /** Whether it was closed, so that nothing can be fetched any more. */
  readonly isClosed: boolean;
}

/** Reads what follows a position, as `EventLog.read` does: from the window, or else from the pages. */
export function readHeld(log: HeldLog, position: number, maxBytes: number): Batch | Promise<Batch> {
  const { window } = log;
  if (position < log.first - 1) return lostUntil(log.first - 1, position);
  if (position >= window.first - 1) return window.read(position, maxBytes);
  if (log.isClosed) return { entries: [] };
  const batch = log.pages.read(position, window.last, maxBytes);
  if (!(batch instanceof Promise)) return batch;
  // Events may have been dropped while the page was fetched.
  return batch.then((batch) => position < log.first - 1 ? lostUntil(log.first - 1, position) : batch);
}

function lostUntil(last: number, position: number): Batch {
  return { lost: { reason: "slow_consumer", count: last - position }, entries: [] };
}

/** Makes an empty store of pages. */
export function createPages(options: PagesOptions): Pages {
  return new PageStore(options);
}

class PageStore implements Pages {
  readonly #options: PagesOptions;
  /** The kept pages by the position before their first event, least recently used first. */
  #kept = new Map<number, Page>();
  /**
   * The last positions of pages that ended because of their size, by the position before their first event. They outlive the
   * pages: otherwise all pages between a multiple and a reader's position would be fetched again, and displace those it needs.
   */
  #cuts = new Map<number, number>();
  #pending = new Map<number, Promise<Page | undefined>>();
  #bytes = 0;
  #fetching = 0;
  /** How many times events were erased. */
  #erasures = 0;
  readonly #queue: (() => void)[] = [];

  constructor(options: PagesOptions) {
    this.#options = options;
  }

  async #load(after: number, end: number): Promise<Page | undefined> {
    if (this.#fetching >= CONCURRENCY) await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#fetching++;
    try {
      const fetched = await this.#options.fetch(after, end);
      if (fetched === undefined) return undefined;
      const { entries } = fetched;
      if (entries[0]?.position !== after + 1) await this.#options.refresh();
      return { ...fetched, after, bytes: entries.reduce((sum, entry) => sum + entry.bytes + ENTRY_BYTES, 0) };
    } finally {
      this.#fetching--;
      this.#queue.shift()?.();
    }
  }

  #keep(page: Page): void {
    this.#forget(page.after);
    this.#kept.set(page.after, page);
    this.#bytes += page.bytes;
    this.#cuts.delete(page.after);
    if (page.isCut) this.#cuts.set(page.after, page.last);
    if (this.#cuts.size > KEPT_CUTS) this.#cuts.delete(this.#cuts.keys().next().value!);
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= KEPT_BYTES || oldest === page.after) break;
      this.#forget(oldest);
    }
  }

  #forget(after: number): void {
    this.#bytes -= this.#kept.get(after)?.bytes ?? 0;
    this.#kept.delete(after);
  }

  /** Fetches the page after a position; concurrent calls share one request. */
  #request(after: number, last: number): Promise<Page | undefined> {
    const shared = this.#pending.get(after);
    if (shared !== undefined) return shared;
    const [pending, erasures] = [this.#pending, this.#erasures];
    const end = Math.min(this.#startOf(after) + this.#options.pageEvents, last);
    const loading = this.#load(after, end).then((page) => {
      if (page !== undefined && erasures !== this.#erasures) return this.#request(after, last);
      if (page === undefined || pending !== this.#pending) return undefined; // Another epoch has begun.
      this.#keep(page);
      return page;
    }).finally(() => pending.delete(after));
    this.#pending.set(after, loading);
    return loading;
  }

  read(position: number, last: number, maxBytes: number): Batch | Promise<Batch> {
    let after = this.#startOf(position);
    for (let cut; (cut = this.#cuts.get(after)) !== undefined && cut <= position;) after = cut;
    const page = this.#kept.get(after);
    // A page that was fetched when the channel had less is fetched again.
    if (page === undefined || page.last <= position) {
      return this.#request(after, last).then((page) => {
        if (page === undefined) return { entries: [] };
        // The page may end before the position, because of its size or because the channel had less when it was requested.
        return position < page.last
          ? this.#take(page, position, last, maxBytes)
          : this.read(position, last, maxBytes);
      });
    }
    this.#keep(page);
    return this.#take(page, position, last, maxBytes);
  }

  #take(page: Page, position: number, last: number, maxBytes: number): Batch {
    const batch = batchOf(page, position, maxBytes);
    const isEnd = positionAfter(batch, position) === page.last && page.last < last;
    const isWhole = page.isCut || page.last === this.#startOf(page.last); // If not, it is fetched again.
    if (isEnd && isWhole && !this.#kept.has(page.last)) this.#request(page.last, last).catch(() => {}); // Prefetched.
    return batch;
  }

  /** Returns the multiple after which the pages of the position begin. */
  #startOf(position: number): number {
    return position - position % this.#options.pageEvents;
  }

  refetch(): void {
    this.#erasures++;
    this.clear();
  }

  get size(): number {
    return this.#kept.size;
  }

  clear(): void {
    this.#kept = new Map();
    this.#cuts = new Map();
    this.#pending = new Map();
    this.#bytes = 0;
  }
}

/** Returns the events after the position in the page, up to the next gap. */
function batchOf({ after, last, entries }: Page, position: number, maxBytes: number): Batch {
  // Without gaps the index is the distance.
  let index = Math.min(position - after, entries.length);
  while (index > 0 && entries[index - 1]!.position > position) index--;
  const next = entries[index]?.position ?? last + 1;
  if (next > position + 1) return lostUntil(next - 1, position);
  let end = index;
  for (let bytes = 0; end < entries.length; end++) {
    const { position: here, bytes: size } = entries[end]!;
    if (here !== next + end - index || (bytes > 0 && bytes + size > maxBytes)) break;
    bytes += size;
  }
  return withoutErased(entries.slice(index, end));
}
