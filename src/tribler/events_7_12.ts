/**
 * The events of Tribler 7.12 to 7.14. Its front end calls a function for each event, with the keys of the payload as the
 * names of arguments: a key that it does not know is an error there.
 *
 * @module
 */
import * as v from "valibot";
import { type Catalogue, defineEvents } from "../events/catalogue.ts";
import type { CircuitRemoved } from "./events_7_4.ts";
import { type ReportedError, reportedError } from "./events_7_5.ts";
import { aboutTorrent, dictionary, infohash, integer } from "./scalars.ts";

/** The schemas of the events of Tribler 7.12 to 7.14, by topic. */
export type Tribler712Schemas = {
  /** The head of every stream. */
  readonly events_start: v.GenericSchema<{ public_key: string; version: string }>;
  /** A circuit is no longer in use. */
  readonly tunnel_removed: v.GenericSchema<CircuitRemoved & { additional_info?: string | undefined }>;
  /** A file in the watch folder is no torrent. */
  readonly watch_folder_corrupt_file: v.GenericSchema<{ file_name: string }>;
  /** There is a newer release. */
  readonly tribler_new_version: v.GenericSchema<{ version: string }>;
  /** A channel was seen for the first time: its data. */
  readonly channel_discovered: v.GenericSchema<{ data: Record<string, unknown> }>;
  /** A torrent is complete. */
  readonly torrent_finished: v.GenericSchema<{ infohash: string; name: string; hidden: boolean }>;
  /** A torrent has changed, its health for example: its data. */
  readonly channel_entity_updated: v.GenericSchema<{ channel_update_dict: Record<string, unknown> }>;
  /** The core shuts down: the state it has reached. */
  readonly tribler_shutdown_state: v.GenericSchema<{ state: string }>;
  /** Other peers have answered a search: their results. */
  readonly remote_query_results: v.GenericSchema<{ data: Record<string, unknown> }>;
  /** The disk is nearly full: what is used of it. */
  readonly low_space: v.GenericSchema<{ disk_usage_data: Record<string, unknown> }>;
  /** The configuration is faulty: what is wrong with it. */
  readonly report_config_error: v.GenericSchema<{ error: string }>;
  /** The core met an error. */
  readonly tribler_exception: v.GenericSchema<{ error: ReportedError }>;
};

const schemas: Tribler712Schemas = {
  events_start: v.looseObject({ public_key: v.string(), version: v.string() }),
  tunnel_removed: v.looseObject({
    circuit_id: integer,
    bytes_up: integer,
    bytes_down: integer,
    uptime: v.number(),
    additional_info: v.optional(v.string()),
  }),
  watch_folder_corrupt_file: v.looseObject({ file_name: v.string() }),
  tribler_new_version: v.looseObject({ version: v.string() }),
  channel_discovered: v.looseObject({ data: dictionary }),
  torrent_finished: v.looseObject({ infohash, name: v.string(), hidden: v.boolean() }),
  channel_entity_updated: v.looseObject({ channel_update_dict: dictionary }),
  tribler_shutdown_state: v.looseObject({ state: v.string() }),
  remote_query_results: v.looseObject({ data: dictionary }),
  low_space: v.looseObject({ disk_usage_data: dictionary }),
  report_config_error: v.looseObject({ error: v.string() }),
  tribler_exception: v.looseObject({ error: reportedError }),
};

/** The catalogue of Tribler 7.12 to 7.14, for the dialect `"7.12"`. The subject of an event about a torrent is its infohash. */
export const tribler712Events: Catalogue<Tribler712Schemas> = defineEvents(schemas, {
  subject: {
    torrent_finished: aboutTorrent,
    channel_entity_updated: ({ channel_update_dict }) => aboutTorrent(channel_update_dict),
  },
});
