/**
 * The events of Tribler's events endpoint, as its release 7.1.5 sends them: the 23 it documents and the 3 it
 * does not. Every schema lets keys it does not know pass: later releases add some.
 *
 * @module
 */
import * as v from "valibot";
import { type Catalogue, defineEvents } from "../events/catalogue.ts";
import type * as payload from "./payloads.ts";
import { aboutTorrent, hash, hex, infohash, integer } from "./scalars.ts";

/** The schemas of Tribler's events, by type; `null` for those without a payload. */
// An interface would not do: a catalogue wants the index signature that only a type alias has.
export type TriblerSchemas = {
  /** The head of every stream. */
  readonly events_start: v.GenericSchema<payload.TriblerStart>;
  /** A search found a channel. */
  readonly search_result_channel: v.GenericSchema<payload.ChannelResult>;
  /** A search found a torrent. */
  readonly search_result_torrent: v.GenericSchema<payload.TorrentResult>;
  /** The upgrader begins. */
  readonly upgrader_started: null;
  /** The upgrader is done. */
  readonly upgrader_finished: null;
  /** The upgrader has come to a new state. */
  readonly upgrader_tick: v.GenericSchema<payload.Text>;
  /** A file in the watch folder is no torrent. */
  readonly watch_folder_corrupt_torrent: v.GenericSchema<payload.WatchFolderFile>;
  /** There is a newer release. */
  readonly new_version_available: v.GenericSchema<payload.Version>;
  /** The core has started. */
  readonly tribler_started: null;
  /** A channel was seen for the first time. */
  readonly channel_discovered: v.GenericSchema<payload.ChannelDiscovered>;
  /** A torrent was seen for the first time. */
  readonly torrent_discovered: v.GenericSchema<payload.TorrentDiscovered>;
  /** A torrent was removed from the user's channel. */
  readonly torrent_removed_from_channel: v.GenericSchema<payload.TorrentRemoved>;
  /** A torrent is complete. */
  readonly torrent_finished: v.GenericSchema<payload.TorrentFinished>;
  /** A torrent went wrong. */
  readonly torrent_error: v.GenericSchema<payload.TorrentFault>;
  /** The core met an error. */
  readonly tribler_exception: v.GenericSchema<payload.Text>;
  /** A trader offers. */
  readonly market_ask: v.GenericSchema<payload.Tick>;
  /** A trader bids. */
  readonly market_bid: v.GenericSchema<payload.Tick>;
  /** An ask has run out. */
  readonly market_ask_timeout: v.GenericSchema<payload.Tick>;
  /** A bid has run out. */
  readonly market_bid_timeout: v.GenericSchema<payload.Tick>;
  /** A trade is complete. */
  readonly market_transaction_complete: v.GenericSchema<payload.TransactionComplete>;
  /** A payment came in. */
  readonly market_payment_received: v.GenericSchema<payload.Payment>;
  /** A payment went out. */
  readonly market_payment_sent: v.GenericSchema<payload.Payment>;
  /** The internet of money wants input from the user. */
  readonly market_iom_input_required: v.GenericSchema<payload.InputRequired>;
  /** The disk is nearly full; not documented by Tribler. */
  readonly signal_low_space: v.GenericSchema<payload.LowSpace>;
  /** Credit mining met an error; not documented by Tribler. */
  readonly credit_mining_error: v.GenericSchema<payload.Message>;
  /** The core shuts down: the state it has reached; not documented by Tribler. */
  readonly shutdown: v.GenericSchema<string>;
};

const channel = v.looseObject({
  id: integer,
  dispersy_cid: hash,
  name: v.string(),
  description: v.string(),
  votes: integer,
  torrents: integer,
  spam: integer,
  modified: integer,
  subscribed: v.boolean(),
  relevance_score: v.number(),
});

const torrent = v.looseObject({
  id: integer,
  infohash,
  name: v.string(),
  size: integer,
  category: v.string(),
  num_seeders: integer,
  num_leechers: integer,
  last_tracker_check: integer,
  relevance_score: v.number(),
});

const amount = v.looseObject({ amount: v.number(), type: v.string() });
const assets = v.looseObject({ first: amount, second: amount });

const tick = v.looseObject({
  trader_id: hex,
  order_number: integer,
  assets,
  timeout: integer,
  timestamp: v.number(),
  traded: v.number(),
  block_hash: hex,
});

const transaction = v.looseObject({
  trader_id: hex,
  order_number: integer,
  partner_trader_id: hex,
  partner_order_number: integer,
  transaction_number: integer,
  assets,
  transferred: assets,
  timestamp: v.number(),
  payment_complete: v.boolean(),
  status: v.string(),
});

const payment = v.looseObject({
  trader_id: hex,
  transaction_number: integer,
  transferred: amount,
  payment_id: v.string(),
  address_from: v.string(),
  address_to: v.string(),
  timestamp: v.number(),
  success: v.boolean(),
});

const requiredField = v.looseObject({
  name: v.string(),
  type: v.string(),
  text: v.string(),
  placeholder: v.string(),
});

const schemas: TriblerSchemas = {
  events_start: v.looseObject({ tribler_started: v.boolean(), version: v.string() }),
  search_result_channel: v.looseObject({ query: v.string(), result: channel }),
  search_result_torrent: v.looseObject({ query: v.string(), result: torrent }),
  upgrader_started: null,
  upgrader_finished: null,
  upgrader_tick: v.looseObject({ text: v.string() }),
  watch_folder_corrupt_torrent: v.looseObject({ name: v.string() }),
  new_version_available: v.looseObject({ version: v.string() }),
  tribler_started: null,
  channel_discovered: v.looseObject({ name: v.string(), description: v.string(), dispersy_cid: hash }),
  torrent_discovered: v.looseObject({
    infohash,
    timestamp: integer,
    name: v.string(),
    files: v.array(v.tuple([v.pipe(v.string(), v.title("path")), v.pipe(integer, v.title("size"))])),
    trackers: v.array(v.string()),
    dispersy_cid: hash,
  }),
  torrent_removed_from_channel: v.looseObject({ infohash, dispersy_cid: hash }),
  torrent_finished: v.looseObject({ infohash, name: v.string(), hidden: v.optional(v.boolean()) }),
  torrent_error: v.looseObject({ infohash, error: v.string(), hidden: v.optional(v.boolean()) }),
  tribler_exception: v.looseObject({ text: v.string() }),
  market_ask: tick,
  market_bid: tick,
  market_ask_timeout: tick,
  market_bid_timeout: tick,
  market_transaction_complete: v.looseObject({ tx: transaction, mine: v.boolean() }),
  market_payment_received: payment,
  market_payment_sent: payment,
  market_iom_input_required: v.looseObject({
    required_input: v.looseObject({
      name: v.string(),
      required_fields: v.array(requiredField),
      error_text: v.optional(v.string()),
      additional_data: v.pipe(
        // A loose object of which every key may be missing would take an array too.
        v.custom<{ image?: string | undefined }>(
          (data) => typeof data === "object" && data !== null && !Array.isArray(data),
          "Invalid type: Expected a dictionary",
        ),
        v.looseObject({ image: v.optional(v.pipe(v.string(), v.base64())) }),
      ),
    }),
  }),
  signal_low_space: v.looseObject({
    time: v.number(),
    total: integer,
    used: integer,
    free: integer,
    percent: v.number(),
  }),
  credit_mining_error: v.looseObject({ message: v.string() }),
  shutdown: v.string(),
};

/**
 * The catalogue of Tribler's events: 23 documented, and `signal_low_space`, `credit_mining_error` and `shutdown`,
 * which its endpoint sends all the same. `events_start` is the head of every stream and cannot be published. The subject of
 * an event about a torrent is its infohash.
 */
export const triblerEvents: Catalogue<TriblerSchemas> = defineEvents(schemas, {
  subject: {
    search_result_torrent: ({ result }) => aboutTorrent(result),
    torrent_discovered: aboutTorrent,
    torrent_removed_from_channel: aboutTorrent,
    torrent_finished: aboutTorrent,
    torrent_error: aboutTorrent,
  },
});
