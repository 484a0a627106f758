/**
 * The events of Tribler 7.5 to 7.11.
 *
 * @module
 */
import * as v from "valibot";
import { type Catalogue, defineEvents } from "../events/catalogue.ts";
import { type CircuitRemoved, circuitRemoved } from "./events_7_4.ts";
import type * as payload from "./payloads.ts";
import { aboutTorrent, dictionary, infohash } from "./scalars.ts";

/** An error of the core, as its front end reports it. */
export interface ReportedError {
  /** The name of its class; since Tribler 7.8. */
  type?: string | undefined;
  /** What went wrong, often a traceback. */
  text: string;
  /** What is sent to the developers with it; since Tribler 7.8. */
  event?: Record<string, unknown> | undefined;
  /** The traceback. */
  long_text?: string | undefined;
  /** What the core was doing. */
  context?: string | undefined;
  /** Whether the core has to stop. */
  should_stop?: boolean | null | undefined;
}

/** The schemas of the events of Tribler 7.5 to 7.11, by type; `null` for those without a payload. */
export type Tribler75Schemas = {
  /** The head of every stream. */
  readonly events_start: v.GenericSchema<payload.TriblerStart>;
  /** The upgrader is done. */
  readonly upgrader_finished: null;
  /** The upgrader is done: the name that the front ends of these releases listen for. */
  readonly upgrader_done: null;
  /** The upgrader has come to a new state. */
  readonly upgrader_tick: v.GenericSchema<payload.Text>;
  /** A file in the watch folder is no torrent. */
  readonly watch_folder_corrupt_file: v.GenericSchema<payload.WatchFolderFile>;
  /** There is a newer release. */
  readonly tribler_new_version: v.GenericSchema<payload.Version>;
  /** A channel was seen for the first time: its data. */
  readonly channel_discovered: v.GenericSchema<Record<string, unknown>>;
  /** A torrent is complete. */
  readonly torrent_finished: v.GenericSchema<{ infohash: string; name: string; hidden: boolean }>;
  /** A torrent has changed, its health for example: its data. */
  readonly channel_entity_updated: v.GenericSchema<Record<string, unknown>>;
  /** The core shuts down: the state it has reached. */
  readonly tribler_shutdown_state: v.GenericSchema<string>;
  /** Other peers have answered a search: their results. */
  readonly remote_query_results: v.GenericSchema<Record<string, unknown>>;
  /** The core has started. */
  readonly tribler_started: v.GenericSchema<{ version: string; public_key?: string | undefined }>;
  /** The disk is nearly full: what is used of it. */
  readonly low_space: v.GenericSchema<Record<string, unknown>>;
  /** A circuit is no longer in use. */
  readonly tunnel_removed: v.GenericSchema<CircuitRemoved>;
  /** A circuit is no longer in use: the name that the cores of these releases send. */
  readonly tunnel_remove: v.GenericSchema<CircuitRemoved>;
  /** The configuration is faulty: what is wrong with it; since Tribler 7.11. */
  readonly report_config_error: v.GenericSchema<string>;
  /** The core met an error. */
  readonly tribler_exception: v.GenericSchema<ReportedError>;
};

/** The schema of {@linkcode ReportedError}. */
export const reportedError: v.GenericSchema<ReportedError> = v.looseObject({
  type: v.optional(v.string()),
  text: v.string(),
  event: v.optional(dictionary),
  long_text: v.optional(v.string()),
  context: v.optional(v.string()),
  should_stop: v.optional(v.nullable(v.boolean())),
});

const schemas: Tribler75Schemas = {
  events_start: v.looseObject({ tribler_started: v.boolean(), version: v.string() }),
  upgrader_finished: null,
  upgrader_done: null,
  upgrader_tick: v.looseObject({ text: v.string() }),
  watch_folder_corrupt_file: v.looseObject({ name: v.string() }),
  tribler_new_version: v.looseObject({ version: v.string() }),
  channel_discovered: dictionary,
  torrent_finished: v.looseObject({ infohash, name: v.string(), hidden: v.boolean() }),
  channel_entity_updated: dictionary,
  tribler_shutdown_state: v.string(),
  remote_query_results: dictionary,
  tribler_started: v.looseObject({ version: v.string(), public_key: v.optional(v.string()) }),
  low_space: dictionary,
  tunnel_removed: circuitRemoved,
  tunnel_remove: circuitRemoved,
  report_config_error: v.string(),
  tribler_exception: reportedError,
};

/** The catalogue of Tribler 7.5 to 7.11, for the dialect `"7.5"`. The subject of an event about a torrent is its infohash. */
export const tribler75Events: Catalogue<Tribler75Schemas> = defineEvents(schemas, {
  subject: { torrent_finished: aboutTorrent, channel_entity_updated: aboutTorrent },
});
