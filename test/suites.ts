/**
 * Which test files run on which runtimes. The first row that a file's path begins with counts.
 *
 * @module
 */

/** The name of a runtime that the tests know. */
export type RuntimeName = "node" | "node22" | "node24" | "node26" | "deno" | "bun" | "bun12";

/** Every runtime: what crosses a socket or depends on the runtime's streams. */
const EVERY: readonly RuntimeName[] = ["node", "node22", "node24", "node26", "deno", "bun"];
/** Every runtime, and the oldest release of Bun: what depends on the requests and responses of its server. */
const EVERY_BUN: readonly RuntimeName[] = [...EVERY, "bun12"];
/**
 * The oldest and the newest Node, and the others: what uses `fetch` or only the handler, and no response of Node's server; and long
 * properties of what is tested on every runtime by other files too.
 */
const OLDEST_AND_NEWEST: readonly RuntimeName[] = ["node", "node26", "deno", "bun"];
/** Every release of Node: what depends on its responses. */
const EVERY_NODE: readonly RuntimeName[] = ["node", "node22", "node24", "node26"];
/** One release of each kind of runtime: what depends on the kind, and not on the release of Node. */
const EACH_KIND: readonly RuntimeName[] = ["node", "deno", "bun"];
/** The Node that runs the tests alone: what is pure, or drives other programs itself. */
const ONCE: readonly RuntimeName[] = ["node"];

/** The runtimes that have SQLite, and of Node the oldest and the newest of them. */
const WITH_SQLITE: readonly RuntimeName[] = ["node22", "node24", "node26", "deno", "bun"];
const OLDEST_AND_NEWEST_WITH_SQLITE: readonly RuntimeName[] = ["node22", "node26", "deno", "bun"];

/** One row of the table. */
export interface Suite {
  /** What the path of a file begins with, from `test/` on. */
  readonly path: string;
  /** The runtimes. */
  readonly on: readonly RuntimeName[];
  /**
   * What runs on the runtime: the test and everything in it, or only the programs that the test starts, which itself runs on
   * the Node that runs the tests. Default `"test"`.
   */
  readonly runs?: "test" | "programs";
  /** What it starts beside the runtimes. */
  readonly needs?: "workerd";
  /** Whether it opens no socket and starts no process: part of `npm run test:unit`. */
  readonly isUnit?: boolean;
  /** Approximate number of seconds on Node: the longest start first. Default 3. */
  readonly seconds?: number;
  /** Whether it waits most of that time, so that it runs beside tests that keep the cores busy. */
  readonly waits?: boolean;
}

/** The table. */
export const SUITES: readonly Suite[] = [
  { path: "events/", on: ONCE, isUnit: true },
  { path: "text/", on: ONCE, isUnit: true },
  { path: "channel/", on: ONCE, isUnit: true },
  { path: "tribler/session", on: EACH_KIND },
  { path: "tribler/gener", on: EACH_KIND },
  { path: "tribler/", on: ONCE, isUnit: true },
  { path: "stream/formats", on: EVERY, isUnit: true },
  { path: "stream/pacing", on: ONCE, isUnit: true },
  { path: "stream/replays", on: ONCE, isUnit: true },
  { path: "stream/slow", on: OLDEST_AND_NEWEST, seconds: 13, waits: true },
  { path: "stream/propert", on: EACH_KIND, seconds: 10 },
  { path: "stream/socket_sink_memory", on: EVERY_NODE },
  { path: "stream/", on: EVERY },
  { path: "http/publish_memory", on: EVERY_NODE },
  { path: "http/publish", on: OLDEST_AND_NEWEST, seconds: 8 },
  { path: "http/authorize_by_token", on: EACH_KIND, seconds: 4, waits: true },
  { path: "http/authorize", on: EVERY_BUN, seconds: 7, waits: true },
  { path: "http/filters", on: EVERY, seconds: 6, waits: true },
  { path: "http/middleware", on: EVERY, seconds: 10, waits: true },
  { path: "http/limits", on: EVERY_BUN },
  { path: "http/mount_idle", on: ["bun", "bun12"], seconds: 25, waits: true }, // No other server has an idle timeout.
  { path: "http/mount", on: EVERY_BUN, seconds: 7, waits: true },
  { path: "http/http2", on: EVERY, seconds: 4 }, // By itself: it floods a server with streams that are reset.
  { path: "http/", on: EVERY },
  { path: "fuzz/", on: EACH_KIND, seconds: 1 },
  { path: "attack/inputs", on: EACH_KIND, seconds: 12 },
  { path: "attack/", on: EACH_KIND, seconds: 5 },
  { path: "client/sse_readers", on: EACH_KIND, seconds: 20, waits: true },
  { path: "client/", on: OLDEST_AND_NEWEST, waits: true },
  { path: "store/", on: EACH_KIND, seconds: 2, waits: true },
  { path: "chaos/client", on: EACH_KIND, seconds: 27, waits: true },
  { path: "chaos/soak", on: EACH_KIND, runs: "programs", seconds: 7, waits: true },
  { path: "chaos/", on: OLDEST_AND_NEWEST, seconds: 5 },
  // It replaces the clock and the timers of Node. The newest one has SQLite, and runs twice as many seeds in a second as Node 20.
  { path: "simulation/", on: ["node26"], seconds: 35 },
  { path: "page/build", on: ONCE },
  { path: "page/", on: ONCE, isUnit: true },
  { path: "browser/back", on: EACH_KIND, seconds: 4, waits: true },
  { path: "browser/apps", on: ONCE, seconds: 8, waits: true }, // The code is that of browsers.
  // What the page does and looks like by itself: every runtime serves the same bytes.
  { path: "browser/looks", on: ONCE, seconds: 20, waits: true },
  { path: "browser/page_forms", on: ONCE, seconds: 15, waits: true },
  { path: "browser/places", on: ONCE, seconds: 60, waits: true },
  { path: "browser/page_view", on: ONCE, seconds: 40, waits: true },
  { path: "browser/page", on: EACH_KIND, seconds: 8, waits: true },
  { path: "browser/", on: EACH_KIND, seconds: 25, waits: true },
  { path: "nats/outages", on: EACH_KIND, seconds: 22, waits: true },
  { path: "nats/epochs", on: EACH_KIND, seconds: 10, waits: true },
  { path: "nats/restrictions", on: EACH_KIND, seconds: 13, waits: true },
  { path: "nats/cluster", on: EACH_KIND, seconds: 35, waits: true },
  { path: "nats/slow", on: EACH_KIND, seconds: 13, waits: true },
  { path: "nats/replaced_stream", on: EACH_KIND, seconds: 4, waits: true },
  { path: "nats/losses", on: EACH_KIND, seconds: 3, waits: true },
  { path: "nats/publisher", on: ONCE, isUnit: true },
  { path: "nats/position_waiters", on: ONCE, isUnit: true },
  { path: "nats/servers", on: ONCE, seconds: 9 }, // It starts a server on each runtime itself.
  { path: "nats/serve", on: EACH_KIND, runs: "programs", seconds: 15, waits: true },
  { path: "nats/", on: EACH_KIND, seconds: 6 },
  { path: "sqlite/unsupported", on: ONCE },
  { path: "sqlite/kills", on: WITH_SQLITE, runs: "programs", seconds: 8 },
  { path: "sqlite/power", on: ["node24"], seconds: 10 }, // It replaces a function of Node.
  { path: "sqlite/failed_merge", on: ["node24"] }, // As well.
  { path: "sqlite/serve", on: OLDEST_AND_NEWEST_WITH_SQLITE, runs: "programs", seconds: 14, waits: true },
  { path: "sqlite/", on: OLDEST_AND_NEWEST_WITH_SQLITE, seconds: 3 },
  { path: "cli/place", on: ONCE, isUnit: true },
  { path: "cli/serve_options", on: ONCE, isUnit: true },
  { path: "cli/terminal", on: ONCE, isUnit: true },
  { path: "cli/", on: EACH_KIND, runs: "programs", seconds: 10 },
  { path: "package/examples", on: EACH_KIND, runs: "programs", seconds: 9 },
  { path: "package/workers", on: ONCE, needs: "workerd", seconds: 10, waits: true },
  { path: "package/package", on: EACH_KIND, seconds: 10 },
  // They try the tarball on each runtime themselves.
  { path: "package/checkouts", on: ONCE, seconds: 60 },
  { path: "package/installs", on: ONCE, seconds: 25 },
  { path: "package/generators", on: ONCE, seconds: 9 },
  { path: "package/", on: ONCE, seconds: 25 },
  { path: "docs/pages", on: ONCE, seconds: 60, waits: true },
  { path: "docs/", on: ONCE, seconds: 13, waits: true },
  { path: "server/watch_folder_corrupt", on: EACH_KIND, seconds: 9, waits: true },
  { path: "server/watch_folder_slow", on: EACH_KIND, seconds: 8, waits: true },
  { path: "server/watch_folder_problems", on: EACH_KIND, seconds: 12, waits: true },
  { path: "server/watch", on: EACH_KIND, seconds: 7, waits: true },
  { path: "server/torrent", on: EACH_KIND, seconds: 4 },
  { path: "server/json_schema", on: ONCE, isUnit: true },
  { path: "server/access", on: EVERY },
  { path: "server/descriptors", on: EACH_KIND, runs: "programs", seconds: 4, waits: true },
  { path: "server/smoke", on: EVERY, runs: "programs" },
  { path: "server/server_shutdown", on: EACH_KIND, seconds: 10, waits: true },
  { path: "server/server", on: EACH_KIND, seconds: 8, waits: true },
  { path: "server/", on: EACH_KIND, seconds: 5, waits: true },
];

/** The row of a file. Throws an Error for a file that no row covers. */
export function suiteOf(file: string): Suite {
  const suite = SUITES.find(({ path }) => file.startsWith(path));
  if (suite === undefined) throw new Error(`test/${file} stands in no row of test/suites.ts: add one`);
  return suite;
}
