/**
 * The search results of Tribler 7.1: which are published, and which were already.
 *
 * @module
 */
import type { ChannelResult, TorrentResult } from "./payloads.ts";

/** Maximum number of results remembered of one query; beyond it the first ones may be published again. */
const MAX_PUBLISHED_KEYS = 100_000;

/** The results of one query that were published. */
export interface Searches {
  /**
   * Returns the key by which a search result is published once; `null` if the family filter leaves it out, `undefined` if
   * it is no search result.
   */
  keyOf(type: string, event: unknown): string | null | undefined;
  /** Whether a result with the key was published. */
  has(key: string): boolean;
  /** Notes that a result was published. */
  add(key: string): void;
  /** Notes that a result was not published after all. */
  delete(key: string): void;
  /** Forgets all results, for the next query. */
  startNew(): void;
}

/**
 * Makes it, for a first query.
 *
 * @param familyFilter whether torrents of the category `xxx` are left out
 */
export function createSearches(familyFilter: boolean): Searches {
  const published = new Set<string>();
  return {
    keyOf: (type, event) => {
      if (type === "search_result_channel") return `channel ${(event as ChannelResult).result.dispersy_cid}`;
      if (type !== "search_result_torrent") return undefined;
      const { category, infohash } = (event as TorrentResult).result;
      return familyFilter && category === "xxx" ? null : `torrent ${infohash}`;
    },
    has: (key) => published.has(key),
    add: (key) => {
      published.add(key);
      if (published.size > MAX_PUBLISHED_KEYS) published.delete(published.values().next().value!);
    },
    delete: (key) => void published.delete(key),
    startNew: () => published.clear(),
  };
}
