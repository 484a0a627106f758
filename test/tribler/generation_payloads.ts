/**
 * One realistic payload for each event of the later generations of Tribler.
 *
 * @module
 */
import type { PayloadOf } from "../../src/mod.ts";
import type { Generation, GenerationSchemas } from "../../src/tribler/mod.ts";
import { triblerPayloads } from "../support/tribler_payloads.ts";

/** A payload for each type of a generation; `undefined` for the types that have none. */
type Payloads<G extends Generation> = {
  readonly [T in keyof GenerationSchemas[G]]: PayloadOf<GenerationSchemas[G], T>;
};

const INFOHASH = "9f9165d9a281a9b8e782cd5176bbcc8256fd1871";
/** SHA-256, as of a torrent of version 2. */
const LONG_INFOHASH = INFOHASH + "0123456789abcdef01234567";
const KEY = "4c69624e61434c504b3a" + "ab".repeat(32);

const circuit = { circuit_id: 4_294_967_291, bytes_up: 10, bytes_down: 2_000_000, uptime: 12.75 };
const health = { infohash: INFOHASH, num_seeders: 3, num_leechers: 0, last_tracker_check: 1_536_570_000 };
const channel = { id: 3, name: "Linux – ISOs\n\ndata: 漢字 😀", state: "Complete", torrents: 12 };
const disk = { time: 1_536_573_000.5, total: 1e12, used: 999e9, free: 1e9, percent: 99.9 };
const results = { uuid: "7e5a1c0e-2f0f-4c3e-9e62-4bbd0a1f8a11", results: [{ id: 17, name: "Debian 12" }] };
const finished = { infohash: INFOHASH, name: "Debian \u2028 12", hidden: false };
const traceback = 'Traceback (most recent call last):\n  File "core.py", line 1\n\nOSError: 漢';

/** The payloads of each generation. */
export const generationPayloads: { readonly [G in Generation]: Payloads<G> } = {
  "7.1": triblerPayloads,
  "7.4": {
    ...pick(triblerPayloads, [
      "events_start",
      "upgrader_finished",
      "upgrader_tick",
      "watch_folder_corrupt_torrent",
      "new_version_available",
      "market_ask",
      "market_bid",
      "market_ask_timeout",
      "market_bid_timeout",
      "market_transaction_complete",
      "market_payment_received",
      "market_payment_sent",
      "tribler_exception",
      "signal_low_space",
      "credit_mining_error",
      "shutdown",
    ]),
    tribler_started: { version: "7.4.4" },
    channel_discovered: channel,
    torrent_discovered: { infohash: INFOHASH, name: "Debian 12" },
    torrent_finished: finished,
    torrent_error: { infohash: INFOHASH, error: "no space", hidden: true },
    torrent_info_updated: health,
    channel_entity_info_updated: { ...channel, type: 400 },
    remote_search_results: results,
    circuit_removed: circuit,
  },
  "7.5": {
    events_start: { tribler_started: false, version: "7.5.4" },
    upgrader_finished: undefined,
    upgrader_done: undefined,
    upgrader_tick: { text: "Moving\n\nfiles" },
    watch_folder_corrupt_file: { name: "bad.torrent" },
    tribler_new_version: { version: "7.6.0" },
    channel_discovered: channel,
    torrent_finished: finished,
    channel_entity_updated: health,
    tribler_shutdown_state: "Shutting down IPv8",
    remote_query_results: results,
    tribler_started: { version: "7.5.4", public_key: KEY },
    low_space: disk,
    tunnel_removed: circuit,
    tunnel_remove: circuit,
    report_config_error: "bad value",
    tribler_exception: { type: "OSError", text: traceback, event: {} },
  },
  "7.12": {
    events_start: { public_key: KEY, version: "7.12.1" },
    tunnel_removed: { ...circuit, additional_info: "" },
    watch_folder_corrupt_file: { file_name: "bad.torrent" },
    tribler_new_version: { version: "7.13.0" },
    channel_discovered: { data: channel },
    torrent_finished: finished,
    channel_entity_updated: { channel_update_dict: health },
    tribler_shutdown_state: { state: "Shutting down IPv8" },
    remote_query_results: { data: results },
    low_space: { disk_usage_data: disk },
    report_config_error: { error: "bad value" },
    tribler_exception: { error: { type: "OSError", text: "漢", event: {}, long_text: traceback } },
  },
  "8": {
    events_start: { public_key: KEY, version: "8.3.1", sessions: "0" },
    torrent_status_changed: { infohash: LONG_INFOHASH, status: "DOWNLOADING" },
    tunnel_removed: { ...circuit, circuit_class: "Circuit", additional_info: "" },
    tribler_new_version: { version: "8.4.0" },
    tribler_exception: { error: "漢", traceback },
    torrent_finished: { ...finished, infohash: LONG_INFOHASH },
    torrent_health_updated: { ...health, health: "updated" },
    tribler_shutdown_state: { state: "Shutting down download manager." },
    remote_query_results: { query: "linux", results: results.results, uuid: results.uuid, peer: INFOHASH },
    low_space: { disk_usage_data: disk },
    report_config_error: { error: "bad value" },
    ask_add_download: { uri: "magnet:?xt=urn:btih:" + INFOHASH },
  },
};

function pick<T, K extends keyof T>(from: T, keys: readonly K[]): Pick<T, K> {
  return Object.fromEntries(keys.map((key) => [key, from[key]])) as Pick<T, K>;
}
