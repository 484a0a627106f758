/**
 * The events of Tribler 7.3 and 7.4.
 *
 * @module
 */
import * as v from "valibot";
import { type Catalogue, defineEvents } from "../events/catalogue.ts";
import { triblerEvents, type TriblerSchemas } from "./events.ts";
import type * as payload from "./payloads.ts";
import { aboutTorrent, dictionary, infohash, integer } from "./scalars.ts";

/** A circuit of the anonymous network that is no longer in use. */
export interface CircuitRemoved {
  /** The number of the circuit. */
  circuit_id: number;
  /** The number of bytes sent. */
  bytes_up: number;
  /** The number of bytes received. */
  bytes_down: number;
  /** How many seconds it existed. */
  uptime: number;
}

/** The schemas of the events of Tribler 7.3 and 7.4, by type. */
export type Tribler74Schemas =
  & Pick<
    TriblerSchemas,
    | "events_start"
    | "upgrader_finished"
    | "upgrader_tick"
    | "watch_folder_corrupt_torrent"
    | "new_version_available"
    | "market_ask"
    | "market_bid"
    | "market_ask_timeout"
    | "market_bid_timeout"
    | "market_transaction_complete"
    | "market_payment_received"
    | "market_payment_sent"
    | "tribler_exception"
    | "signal_low_space"
    | "credit_mining_error"
    | "shutdown"
  >
  & {
    /** The core has started. */
    readonly tribler_started: v.GenericSchema<payload.Version>;
    /** A channel was seen for the first time: its data. */
    readonly channel_discovered: v.GenericSchema<Record<string, unknown>>;
    /** A torrent was seen for the first time: its data. */
    readonly torrent_discovered: v.GenericSchema<Record<string, unknown>>;
    /** A torrent is complete. */
    readonly torrent_finished: v.GenericSchema<{ infohash: string; name: string; hidden: boolean }>;
    /** A torrent went wrong. */
    readonly torrent_error: v.GenericSchema<{ infohash: string; error: string; hidden: boolean }>;
    /** A torrent has changed, its health for example: its data. */
    readonly torrent_info_updated: v.GenericSchema<{ infohash: string; [key: string]: unknown }>;
    /** A channel, or what it holds, has changed: its data. */
    readonly channel_entity_info_updated: v.GenericSchema<Record<string, unknown>>;
    /** Other peers have answered a search: their results. */
    readonly remote_search_results: v.GenericSchema<Record<string, unknown>>;
    /** A circuit is no longer in use. */
    readonly circuit_removed: v.GenericSchema<CircuitRemoved>;
  };

/** The schema of {@linkcode CircuitRemoved}. */
export const circuitRemoved: v.GenericSchema<CircuitRemoved> = v.looseObject({
  circuit_id: integer,
  bytes_up: integer,
  bytes_down: integer,
  uptime: v.number(),
});

const { schemas: unchanged } = triblerEvents;

const schemas: Tribler74Schemas = {
  events_start: unchanged.events_start,
  upgrader_finished: unchanged.upgrader_finished,
  upgrader_tick: unchanged.upgrader_tick,
  watch_folder_corrupt_torrent: unchanged.watch_folder_corrupt_torrent,
  new_version_available: unchanged.new_version_available,
  tribler_started: v.looseObject({ version: v.string() }),
  channel_discovered: dictionary,
  torrent_discovered: dictionary,
  torrent_finished: v.looseObject({ infohash, name: v.string(), hidden: v.boolean() }),
  torrent_error: v.looseObject({ infohash, error: v.string(), hidden: v.boolean() }),
  torrent_info_updated: v.looseObject({ infohash }),
  channel_entity_info_updated: dictionary,
  remote_search_results: dictionary,
  market_ask: unchanged.market_ask,
  market_bid: unchanged.market_bid,
  market_ask_timeout: unchanged.market_ask_timeout,
  market_bid_timeout: unchanged.market_bid_timeout,
  market_transaction_complete: unchanged.market_transaction_complete,
  market_payment_received: unchanged.market_payment_received,
  market_payment_sent: unchanged.market_payment_sent,
  circuit_removed: circuitRemoved,
  tribler_exception: unchanged.tribler_exception,
  signal_low_space: unchanged.signal_low_space,
  credit_mining_error: unchanged.credit_mining_error,
  shutdown: unchanged.shutdown,
};

/** The catalogue of Tribler 7.3 and 7.4, for the dialect `"7.4"`. The subject of an event about a torrent is its infohash. */
export const tribler74Events: Catalogue<Tribler74Schemas> = defineEvents(schemas, {
  subject: {
    torrent_discovered: aboutTorrent,
    torrent_finished: aboutTorrent,
    torrent_error: aboutTorrent,
    torrent_info_updated: aboutTorrent,
    channel_entity_info_updated: aboutTorrent,
  },
});
