/**
 * The front ends of Tribler's releases, as far as they read the events endpoint: written from what is known of each, and
 * as strict as it is. Each collects text until that ends as its events do, takes it apart, and calls a handler.
 *
 * @module
 */
import type { Generation } from "../../src/tribler/mod.ts";

/** What a front end has handled: the name of the event, and what its handler was given. */
export interface Handled {
  readonly type: string;
  readonly payload: unknown;
}

/** A front end. */
export interface FrontEnd {
  /** Takes the next text of the response, cut anywhere; throws where the front end would. */
  read(text: string): void;
  /** What it has handled so far. */
  readonly handled: readonly Handled[];
}

/** Collects text until it ends with the separator, and hands out what stands between separators. */
function createReader(separator: string, handle: (piece: string) => Handled | undefined): FrontEnd {
  const handled: Handled[] = [];
  let collected = "";
  return {
    handled,
    read: (text) => {
      collected += text;
      if (!collected.endsWith(separator)) return;
      for (const piece of collected.split(separator)) {
        if (piece === "") continue;
        const one = handle(piece);
        if (one !== undefined) handled.push(one);
      }
      collected = "";
    },
  };
}

function parseData(piece: string): Record<string, unknown> {
  return JSON.parse(piece.startsWith("data:") ? piece.slice(5) : piece);
}

/** The handler of an event is called with `event`: without it there is nothing to call it with. */
function withEvent(dictionary: Record<string, unknown>): Handled {
  if (!("event" in dictionary)) throw new TypeError(`missing 1 required argument: ${dictionary["type"]}`);
  return { type: dictionary["type"] as string, payload: dictionary["event"] };
}

/** The names of the arguments that a function of 7.12 to 7.14 takes; a `?` marks one that has a default. */
const SIGNATURES: Readonly<Record<string, readonly string[]>> = {
  events_start: ["public_key", "version"],
  tunnel_removed: ["circuit_id", "bytes_up", "bytes_down", "uptime", "additional_info?"],
  watch_folder_corrupt_file: ["file_name"],
  tribler_new_version: ["version"],
  channel_discovered: ["data"],
  torrent_finished: ["infohash", "name", "hidden"],
  channel_entity_updated: ["channel_update_dict"],
  tribler_shutdown_state: ["state"],
  remote_query_results: ["data"],
  low_space: ["disk_usage_data"],
  report_config_error: ["error"],
  tribler_exception: ["error"],
};

/** Calls the function of the topic, which takes neither fewer nor other arguments than its own. */
function called(topic: string, args: readonly unknown[], kwargs: Record<string, unknown>): Handled {
  const signature = SIGNATURES[topic];
  if (signature === undefined) return { type: topic, payload: kwargs }; // It logs a warning.
  const names = signature.map((name) => name.replace("?", ""));
  const given: Record<string, unknown> = Object.fromEntries(
    args.map((value, index) => [names[index], value]),
  );
  for (const [name, value] of Object.entries(kwargs)) {
    if (!names.includes(name)) throw new TypeError(`${topic}() got an unexpected keyword argument '${name}'`);
    given[name] = value;
  }
  for (const name of signature) {
    if (!name.endsWith("?") && !(name in given)) throw new TypeError(`${topic}() misses '${name}'`);
  }
  return { type: topic, payload: given };
}

/** A named block of an `EventSource`: the front end of 8 reads the keys of its data. */
function named(block: string): Handled | undefined {
  const fields = new Map<string, string>();
  for (const line of block.split("\n")) {
    if (line.startsWith(":")) continue;
    const colon = line.indexOf(":");
    fields.set(line.slice(0, colon), line.slice(colon + 1).replace(/^ /, ""));
  }
  const data = fields.get("data");
  return data === undefined ? undefined : { type: fields.get("event")!, payload: JSON.parse(data) };
}

/** Makes the front end of a generation. */
export const FRONT_ENDS: Readonly<Record<Generation, () => FrontEnd>> = {
  "7.1": () =>
    createReader("\n", (line) => {
      const { type, event } = JSON.parse(line);
      return { type, payload: event };
    }),
  "7.4": () => createReader("\n", (line) => withEvent(JSON.parse(line))),
  "7.5": () => createReader("\n\n", (piece) => withEvent(parseData(piece))),
  "7.12": () =>
    createReader("\n\n", (piece) => {
      const { topic, args = [], kwargs = {} } = parseData(piece);
      return called(topic as string, args as unknown[], kwargs as Record<string, unknown>);
    }),
  "8": () => createReader("\n\n", named),
};
