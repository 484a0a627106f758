/**
 * Pages: what this process no longer holds of the stream, read piece by piece and shared by all readers.
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
  /** Drops all pages: the positions mean something else from now on. */
  clear(): void;
}

/** Options of {@linkcode createPages}. */
export interface PagesOptions {
  /**
   * Fetches the events after a position up to another, or to one before it if they are large. Retries until it has them;
   * `undefined` if they are not wanted any more.
   */
  fetch(after: number, last: number): Promise<Fetched | undefined>;
  /** Called when the beginning of a page is missing, to find out how far the stream has lost its beginning. */
  refresh(): Promise<void>;
}

/** Some events in a row. */
export interface Fetched {
  /** The last position that they cover. */
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
 * Maximum number of positions in a page, which never crosses a multiple of it, so that readers share pages. If a page ends
 * before that, for its size, the next one begins there.
 */
const PAGE_EVENTS = 1024;
/** Maximum number of bytes in pages that are kept for other readers. */
const KEPT_BYTES = 32 * 1024 * 1024;
/** Maximum number of pages whose ends are known. */
const KEPT_CUTS = 10_000;
/** Maximum number of pages fetched at a time; further ones wait. */
const CONCURRENCY = 4;

/** Makes a store of pages, empty. */
export function createPages(options: PagesOptions): Pages {
  return new PageStore(options);
}

class PageStore implements Pages {
  readonly #options: PagesOptions;
  /** By the position they begin after, in the order in which they were last requested. */
  #kept = new Map<number, Page>();
  /**
   * Where a page ended for its size, by the position it began after. These outlive the pages: otherwise a reader would have
   * everything fetched again between a multiple and its position, which would drop what it needs next.
   */
  #cuts = new Map<number, number>();
  #underWay = new Map<number, Promise<Page | undefined>>();
  #bytes = 0;
  #fetching = 0;
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
      return { ...fetched, after, bytes: entries.reduce((sum, entry) => sum + entry.bytes, 0) };
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

  /** Fetches the page that begins after a position, with others who want the same. */
  #ask(after: number, last: number): Promise<Page | undefined> {
    const asked = this.#underWay.get(after);
    if (asked !== undefined) return asked;
    const mine = this.#underWay;
    const end = Math.min(startOf(after) + PAGE_EVENTS, last);
    const loading = this.#load(after, end).then((page) => {
      if (page === undefined || mine !== this.#underWay) return undefined; // Its positions mean something else by now.
      this.#keep(page);
      return page;
    }).finally(() => mine.delete(after));
    this.#underWay.set(after, loading);
    return loading;
  }

  read(position: number, last: number, maxBytes: number): Batch | Promise<Batch> {
    let after = startOf(position);
    for (let cut; (cut = this.#cuts.get(after)) !== undefined && cut <= position;) after = cut;
    const page = this.#kept.get(after);
    // A page that was fetched when there was less is fetched again.
    if (page === undefined || page.last <= position) {
      return this.#ask(after, last).then((page) => {
        if (page === undefined) return { entries: [] };
        // The position may lie behind a page that has ended for its size, or was asked for when there was less.
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
    const isEnd = batch.entries.at(-1)?.position === page.last && page.last < last;
    const isWhole = page.isCut || page.last === startOf(page.last); // Else it is fetched again, with more.
    if (isEnd && isWhole && !this.#kept.has(page.last)) this.#ask(page.last, last).catch(() => {}); // It is wanted next.
    return batch;
  }

  clear(): void {
    this.#kept = new Map();
    this.#cuts = new Map();
    this.#underWay = new Map();
    this.#bytes = 0;
  }
}

/** Returns the beginning of the pages that share the position. */
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
