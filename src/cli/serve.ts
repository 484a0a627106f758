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
import { createLog, type Log } from "../server/log.ts";
import { type Fetch, listen } from "../server/listen.ts";
import { watchFolder } from "../server/watch_folder.ts";
import { triblerEvents, type TriblerSchemas } from "../tribler/events.ts";
import { createSession } from "../tribler/session.ts";
import { VERSION } from "../version.ts";
import { onStopSignal } from "./signals.ts";
import { readServeOptions, SERVE_HELP, type ServeOptions } from "./serve_options.ts";

/** How long open streams may take to end when the server shuts down. */
const GRACE_MS = 3000;

/** Serves until SIGINT or SIGTERM. */
export async function serve(args: string[]): Promise<void> {
  const options = readServeOptions(args, process.env);
  if (options === "help") return console.log(SERVE_HELP);
  const log = createLog(options.log);
  process.stderr.on("error", () => {}); // The reader of the log has closed it, which is no reason to stop.
  const stop = new AbortController();
  const stopped = new Promise<void>((resolve) => onStopSignal(resolve)).then(() => stop.abort());
  const channel = await openChannel(options, log, stop.signal);
  if (channel === undefined) return;
  const session = createSession({ version: VERSION, channel });
  const app = createApp(session, { ...options, log });
  const watch = options.watchFolder === undefined ? undefined : await watchFolder({
    folder: options.watchFolder,
    corruptAfter: options.corruptAfter * 1000,
    onTorrent: (event, key) => channel.publishBatch([{ type: "torrent_discovered", event }], key),
    onCorrupt: (event, key) => channel.publishBatch([{ type: "watch_folder_corrupt_torrent", event }], key),
    onProblem: (problem) => log.problem(problem.message),
  });
  try {
    const server = await listen(app.fetch as Fetch, options);
    console.log(
      `events-endpoint ${VERSION} listens on http://${urlHost(options.host)}:${server.port}/events`,
    );
    if (options.apiKey === undefined && !isLoopback(options.host)) {
      log.warning(
        "other machines can reach this server, and it has no key: set EVENTS_API_KEY to say who may",
      );
    }
    Promise.resolve(session.start()).catch((error: Error) => log.problem(error.message));
    await stopped;
    app.drain(); // First of all, so that `/healthz` reports it.
    if (options.drain > 0) await new Promise((resolve) => setTimeout(resolve, options.drain * 1000));
    channel.close();
    const closed = server.stop(GRACE_MS, app.abort);
    watch?.close(); // It reports nothing from now on; a scan under way ends with the process.
    await closed;
  } catch (error) {
    watch?.close();
    throw error;
  }
}

/** Opens the channel: in memory, or in NATS once that is up; `undefined` if the server is stopped before. */
async function openChannel(
  { history: events, historyBytes: bytes, nats, stream }: ServeOptions,
  log: Log,
  signal: AbortSignal,
): Promise<Channel<TriblerSchemas> | undefined> {
  const history = { events, bytes };
  if (nats === undefined) return createChannel(triblerEvents, { history });
  const { openNats } = await import("../server/nats.ts");
  try {
    return await openNats(triblerEvents, { servers: nats, stream, history, log, signal });
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  }
}
