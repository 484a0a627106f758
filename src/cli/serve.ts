/**
 * `events-endpoint serve`: the server, from its options to its end.
 *
 * @module
 */
import process from "node:process";
import type { Channel } from "../channel/channel.ts";
import { createChannel } from "../channel/memory.ts";
import { isLoopback, urlHost } from "../server/access.ts";
import { createApp } from "../server/app.ts";
import { readKeys } from "../server/keys_file.ts";
import { createLog, type Log } from "../server/log.ts";
import { type Fetch, listen } from "../server/listen.ts";
import { loadNatsPackages } from "../server/nats_packages.ts";
import { type WatchFolder, watchFolder } from "../server/watch_folder.ts";
import { sqliteChannel } from "../sqlite/mod.ts";
import type { AccessKey } from "../http/credentials.ts";
import type { Draft, Schemas } from "../events/catalogue.ts";
import type { GenerationFacts } from "../tribler/generations.ts";
import { VERSION } from "../version.ts";
import { readServed, type Served } from "./served.ts";
import { onReloadSignal, onStopSignal } from "./signals.ts";
import { SERVE_HELP, unknownVariables } from "./serve_flags.ts";
import { UsageError } from "./usage.ts";
import { readServeOptions, type ServeOptions } from "./serve_options.ts";

/** How long open streams may take to end when the server shuts down. */
const GRACE_MS = 3000;

/** Serves until SIGINT or SIGTERM. */
export async function serve(args: string[]): Promise<void> {
  const options = readServeOptions(args, process.env);
  if (options === "help") return console.log(SERVE_HELP);
  const log = createLog(options.log);
  for (const warning of unknownVariables(process.env)) log.warning(warning);
  process.stderr.on("error", () => {}); // The reader of the log has closed it, which is no reason to stop.
  const stop = new AbortController();
  const stopped = new Promise<void>((resolve) => onStopSignal(resolve)).then(() => stop.abort());
  const served = await readServed(options);
  const keys = options.keys === undefined ? undefined : await openKeys(options.keys);
  const channel = await openChannel(served, options, log, stop.signal);
  if (channel === undefined) return;
  const source = served.open(channel);
  const credentials = keys === undefined ? options.credentials : { ...options.credentials, keys: keys.read };
  const app = createApp(source, { ...options, credentials, log });
  const watch = options.watchFolder === undefined
    ? undefined
    : await watchTorrents(options.watchFolder, options, served.watch, channel, log);
  reloadFiles({ catalogue: served.reload, keys: keys?.reload }, log);
  const reloaded = [served.reload && options.catalogue, options.keys].filter((file) => file !== undefined);
  try {
    const server = await listen(app.fetch as Fetch, { ...options, onProblem: log.problem });
    const origin = `http://${urlHost(options.host)}:${server.port}`;
    console.log(`events-endpoint ${VERSION} listens on ${origin}${options.mounts[0].path}`);
    console.log(`Its page is ${origin}/`);
    // The process that a shell or npm shows may be another one.
    if (reloaded.length > 0) console.log(`To reload ${reloaded.join(" and ")}: kill -HUP ${process.pid}`);
    if (options.apiKey === undefined && credentials === undefined && !isLoopback(options.host)) {
      log.warning(
        "other machines can reach this server, and it has no key: set EVENTS_API_KEY to say who may",
      );
    }
    Promise.resolve(source.start?.()).catch((error: Error) => log.problem(error.message));
    await stopped;
    app.drain(); // First of all, so that `/healthz` reports it.
    if (options.drain > 0) await new Promise((resolve) => setTimeout(resolve, options.drain * 1000));
    const isClosed: unknown = channel.close(); // A channel in a file has a promise.
    const closed = server.stop(GRACE_MS, app.abort);
    watch?.close(); // It reports nothing from now on; a scan under way ends with the process.
    await closed;
    await isClosed;
  } catch (error) {
    watch?.close();
    throw error;
  }
}

/** The keys of a file, as they are now. */
interface Keys {
  read(): readonly AccessKey[];
  reload(): Promise<void>;
}

async function openKeys(file: string): Promise<Keys> {
  let keys = await readKeys(file).catch((error: Error) => {
    throw new UsageError(error.message);
  });
  return { read: () => keys, reload: async () => void (keys = await readKeys(file)) };
}

/** Reads files again at SIGHUP, each by what it holds. If one is wrong, what was read before stays in force. */
function reloadFiles(files: Readonly<Record<string, (() => Promise<void>) | undefined>>, log: Log): void {
  const given = Object.entries(files).filter(([, reload]) => reload !== undefined);
  if (given.length === 0) return; // SIGHUP ends the process.
  onReloadSignal(async () => {
    for (const [name, reload] of given) {
      try {
        await reload!();
        log.notice(`read again: ${name}`);
      } catch (error) {
        log.problem(`${(error as Error).message}: what was read before stays in force`);
      }
    }
  });
}

/** Publishes what is in the watch folder, as far as the generation has events for it. */
async function watchTorrents(
  folder: string,
  { corruptAfter }: ServeOptions,
  { hasDiscovered, corruptFile }: GenerationFacts,
  channel: Channel<Schemas>,
  log: Log,
): Promise<WatchFolder> {
  const publish = (type: string, event: unknown, key: string) =>
    channel.publishBatch([{ type, event } as Draft<Schemas>], key);
  return await watchFolder({
    folder,
    corruptAfter: corruptAfter * 1000,
    onTorrent: (event, key) => hasDiscovered ? publish("torrent_discovered", event, key) : undefined,
    onCorrupt: ({ name }, key) => {
      const { type, event } = corruptFile!(name);
      return publish(type, event, key);
    },
    onProblem: (problem) => log.problem(problem.message),
  });
}

/** Opens the channel: in memory, in a file, or in NATS once that is up; `undefined` if the server is stopped before. */
async function openChannel(
  { catalogue }: Pick<Served, "catalogue">,
  { history: events, historyBytes: bytes, data, durability, keep, nats, stream }: ServeOptions,
  log: Log,
  signal: AbortSignal,
): Promise<Channel<Schemas> | undefined> {
  const history = { events, bytes };
  if (data !== undefined) {
    const onProblem = (problem: Error) => log.problem(problem.message);
    return await sqliteChannel(data, catalogue, { durability, keep, history, onProblem });
  }
  if (nats === undefined) return createChannel(catalogue, { history, keep });
  await loadNatsPackages();
  const { openNats } = await import("../server/nats.ts");
  try {
    return await openNats(catalogue, { servers: nats, stream, history, keep, log, signal });
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  }
}
