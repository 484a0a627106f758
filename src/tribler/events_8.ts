/**
 * The events of Tribler 8.
 *
 * @module
 */
import * as v from "valibot";
import { type Catalogue, defineEvents } from "../events/catalogue.ts";
import { aboutTorrent, dictionary, infohash, integer } from "./scalars.ts";

/** The state of the core, at the head of every stream of Tribler 8. */
export interface Tribler8Start {
  /** The public key of the core: hexadecimal digits, or empty. */
  public_key: string;
  /** The version of the core. */
  version: string;
  /** The number of other streams that are open, in digits; since Tribler 8.1. */
  sessions?: string | undefined;
}

/** The schemas of the events of Tribler 8, by topic. */
export type Tribler8Schemas = {
  /** The head of every stream. */
  readonly events_start: v.GenericSchema<Tribler8Start>;
  /** The status of a download has changed. */
  readonly torrent_status_changed: v.GenericSchema<{ infohash: string; status: string }>;
  /** A circuit is no longer in use. */
  readonly tunnel_removed: v.GenericSchema<
    {
      circuit_id: number;
      circuit_class?: string | undefined;
      bytes_up: number;
      bytes_down: number;
      uptime: number;
      additional_info: string;
    }
  >;
  /** There is a newer release. */
  readonly tribler_new_version: v.GenericSchema<{ version: string }>;
  /** The core met an error. */
  readonly tribler_exception: v.GenericSchema<{ error: string; traceback?: string | undefined }>;
  /** A torrent is complete. */
  readonly torrent_finished: v.GenericSchema<{ infohash: string; name: string; hidden: boolean }>;
  /** The health of a torrent was checked. */
  readonly torrent_health_updated: v.GenericSchema<
    {
      infohash: string;
      num_seeders: number;
      num_leechers: number;
      last_tracker_check: number;
      health: string;
    }
  >;
  /** The core shuts down: the state it has reached. */
  readonly tribler_shutdown_state: v.GenericSchema<{ state: string }>;
  /** A peer has answered a search. */
  readonly remote_query_results: v.GenericSchema<
    { query: string | null; results: Record<string, unknown>[]; uuid: string; peer: string }
  >;
  /** The disk is nearly full: what is used of it. */
  readonly low_space: v.GenericSchema<{ disk_usage_data: Record<string, unknown> }>;
  /** The configuration is faulty: what is wrong with it. */
  readonly report_config_error: v.GenericSchema<{ error: string }>;
  /** The front end is asked to offer a download: a magnet link, or the address of a torrent. */
  readonly ask_add_download: v.GenericSchema<{ uri: string }>;
};

const schemas: Tribler8Schemas = {
  events_start: v.looseObject({
    public_key: v.string(),
    version: v.string(),
    sessions: v.optional(v.string()),
  }),
  torrent_status_changed: v.looseObject({ infohash, status: v.string() }),
  tunnel_removed: v.looseObject({
    circuit_id: integer,
    circuit_class: v.optional(v.string()),
    bytes_up: integer,
    bytes_down: integer,
    uptime: v.number(),
    additional_info: v.string(),
  }),
  tribler_new_version: v.looseObject({ version: v.string() }),
  tribler_exception: v.looseObject({ error: v.string(), traceback: v.optional(v.string()) }),
  torrent_finished: v.looseObject({ infohash, name: v.string(), hidden: v.boolean() }),
  torrent_health_updated: v.looseObject({
    infohash,
    num_seeders: integer,
    num_leechers: integer,
    last_tracker_check: integer,
    health: v.string(),
  }),
  tribler_shutdown_state: v.looseObject({ state: v.string() }),
  remote_query_results: v.looseObject({
    query: v.nullable(v.string()),
    results: v.array(dictionary),
    uuid: v.string(),
    peer: v.string(),
  }),
  low_space: v.looseObject({ disk_usage_data: dictionary }),
  report_config_error: v.looseObject({ error: v.string() }),
  ask_add_download: v.looseObject({ uri: v.string() }),
};

/** The catalogue of Tribler 8: its 12 topics, for the dialect `"8"`. The subject of an event about a torrent is its infohash. */
export const tribler8Events: Catalogue<Tribler8Schemas> = defineEvents(schemas, {
  subject: {
    torrent_status_changed: aboutTorrent,
    torrent_finished: aboutTorrent,
    torrent_health_updated: aboutTorrent,
  },
});
