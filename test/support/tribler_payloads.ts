/**
 * One realistic payload for each event of Tribler's catalogue.
 *
 * @module
 */
import type { PayloadOf } from "../../src/mod.ts";
import type { Assets, Tick, TriblerSchemas } from "../../src/tribler/mod.ts";

/** A payload for each type; `undefined` for the types that have none. */
export type TriblerPayloads = { readonly [T in keyof TriblerSchemas]: PayloadOf<TriblerSchemas, T> };

const INFOHASH = "59066769b9ad42da2e508611c33d7c4480b3857b";
const OTHER_INFOHASH = "9f9165d9a281a9b8e782cd5176bbcc8256fd1871";
const CHANNEL = "a7ecc17ca7f2a7a4f8bbd8f6dd6c9d0e2b1f4c33";
const TRADER = "c0fe1d2c3b4a5968778695a4b3c2d1e0f9e8d7c6";
const PARTNER = "0d1e2f30415263748596a7b8c9daebfc0d1e2f30";
const BLOCK = "7f83b1657ff1fc53b92dc18148a1d65dfc2d4b1fa3d677284addd200126d9069";

const assets: Assets = { first: { amount: 10.5, type: "BTC" }, second: { amount: 2_048, type: "MB" } };
const tick: Tick = {
  trader_id: TRADER,
  order_number: 4,
  assets,
  timeout: 3600,
  timestamp: 1536573421.86,
  traded: 0.25,
  block_hash: BLOCK,
};

/** One realistic payload for each of the 26 types. */
export const triblerPayloads: TriblerPayloads = {
  events_start: { tribler_started: true, version: "7.1.5" },
  search_result_channel: {
    query: "linux isos",
    result: {
      id: 17,
      dispersy_cid: CHANNEL,
      name: "Linux – ISOs und mehr",
      description: "Every distribution,\nchecked by hand. 漢字 😀",
      votes: 42,
      torrents: 318,
      spam: 1,
      modified: 1536573000,
      subscribed: false,
      relevance_score: 0.87,
    },
  },
  search_result_torrent: {
    query: "linux isos",
    result: {
      id: 9001,
      infohash: INFOHASH,
      name: "debian-9.5.0-amd64-netinst.iso",
      size: 305135616,
      category: "other",
      num_seeders: 1203,
      num_leechers: 0,
      last_tracker_check: 1536570000,
      relevance_score: 1,
    },
  },
  upgrader_started: undefined,
  upgrader_finished: undefined,
  upgrader_tick: { text: "Converting torrent 12 of 340…" },
  watch_folder_corrupt_torrent: { name: 'half "finished" \\ download.torrent' },
  new_version_available: { version: "7.2.0" },
  tribler_started: undefined,
  channel_discovered: { name: "Public domain films", description: "", dispersy_cid: CHANNEL },
  torrent_discovered: {
    infohash: OTHER_INFOHASH,
    timestamp: 1536573421,
    name: "Night of the Living Dead (1968)",
    files: [["film/night.mkv", 4_831_838_208], ["film/subtitles/日本語.srt", 0]],
    trackers: ["udp://tracker.example.org:6969/announce", "http://tracker.example.net/announce"],
    dispersy_cid: CHANNEL,
  },
  torrent_removed_from_channel: { infohash: OTHER_INFOHASH, dispersy_cid: CHANNEL },
  torrent_finished: { infohash: INFOHASH, name: "debian-9.5.0-amd64-netinst.iso", hidden: false },
  torrent_error: { infohash: INFOHASH, error: "No space left on device", hidden: true },
  tribler_exception: {
    text: 'Traceback (most recent call last):\n  File "core.py", line 7, in run\nValueError: no such thing\n',
  },
  market_ask: tick,
  market_bid: { ...tick, order_number: 5 },
  market_ask_timeout: { ...tick, traded: 0 },
  market_bid_timeout: { ...tick, timeout: 0 },
  market_transaction_complete: {
    tx: {
      trader_id: TRADER,
      order_number: 4,
      partner_trader_id: PARTNER,
      partner_order_number: 11,
      transaction_number: 2,
      assets,
      transferred: { first: { amount: 10.5, type: "BTC" }, second: { amount: 2_048, type: "MB" } },
      timestamp: 1536573500.5,
      payment_complete: true,
      status: "completed",
    },
    mine: true,
  },
  market_payment_received: {
    trader_id: PARTNER,
    transaction_number: 2,
    transferred: { amount: 0.0001, type: "BTC" },
    payment_id: "f4184fc596403b9d638783cf57adfe4c75c605f6356fbc91338530e9831e9e16",
    address_from: "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    address_to: "12cbQLTFMXRnSzktFkuoG3eHoMeFtpTu3S",
    timestamp: 1536573600,
    success: true,
  },
  market_payment_sent: {
    trader_id: TRADER,
    transaction_number: 3,
    transferred: { amount: 512, type: "MB" },
    payment_id: "",
    address_from: "mb-from",
    address_to: "mb-to",
    timestamp: 1536573601.125,
    success: false,
  },
  market_iom_input_required: {
    required_input: {
      name: "Bank login",
      required_fields: [
        { name: "user", type: "text", text: "User name", placeholder: "as on your card" },
        { name: "tan", type: "password", text: "TAN", placeholder: "" },
      ],
      error_text: "The last TAN was wrong.",
      additional_data: {
        image:
          "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
      },
    },
  },
  signal_low_space: {
    time: 1536573700.3,
    total: 256_060_514_304,
    used: 256_000_000_000,
    free: 60_514_304,
    percent: 99.9,
  },
  credit_mining_error: { message: "Could not join the swarm" },
  shutdown: "Shutting down the download manager…",
};
