/**
 * `events-endpoint serve`: the server, from its options to its end.
 *
 * @module
 */
import process from "node:process";
import { createApp } from "../server/app.ts";
import { type Fetch, listen } from "../server/runtime.ts";
import { watchFolder } from "../server/watch_folder.ts";
import { createSession } from "../tribler/session.ts";
import { VERSION } from "../version.ts";
import { readServeOptions, SERVE_HELP } from "./serve_options.ts";

/** So long the open streams have to end when the server stops, in milliseconds. */
const GRACE = 3000;

/** Serves until it is told to stop. */
export async function serve(args: string[]): Promise<void> {
  const options = readServeOptions(args, process.env);
  if (options === "help") return console.log(SERVE_HELP);
  const session = createSession({ version: VERSION, history: { events: options.history } });
  const app = createApp(session, options);
  const stopped = untilStopped();
  const watch = options.watchFolder === undefined ? undefined : await watchFolder({
    folder: options.watchFolder,
    onTorrent: (torrent) => session.emit("torrent_discovered", torrent),
    onCorrupt: (file) => session.emit("watch_folder_corrupt_torrent", file),
    onProblem: (problem) => console.error(`events-endpoint: ${problem.message}`),
  });
  try {
    const server = await listen(app.fetch as Fetch, options);
    console.log(
      `events-endpoint ${VERSION} listens on http://${urlHost(options.host)}:${server.port}/events`,
    );
    session.start();
    await stopped;
    const closed = server.stop(GRACE);
    watch?.close(); // It tells nobody any more; a scan under way goes with the process.
    session.channel.close();
    await closed;
  } catch (error) {
    watch?.close();
    throw error;
  }
}

/** Resolves at the first SIGINT or SIGTERM. Those that follow change nothing: npm passes on what a terminal told all. */
function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => resolve());
  });
}

function urlHost(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
