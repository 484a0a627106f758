/**
 * The generations of Tribler's events: for each its catalogue, and how it reports the state of a core.
 *
 * @module
 */
import type { Catalogue, Schemas } from "../events/catalogue.ts";
import { triblerEvents, type TriblerSchemas } from "./events.ts";
import { tribler74Events, type Tribler74Schemas } from "./events_7_4.ts";
import { tribler75Events, type Tribler75Schemas } from "./events_7_5.ts";
import { tribler712Events, type Tribler712Schemas } from "./events_7_12.ts";
import { tribler8Events, type Tribler8Schemas } from "./events_8.ts";

/** The schemas of each generation. The name is that of the first release, and of its dialect. */
export interface GenerationSchemas {
  /** Tribler 7.0 to 7.2. */
  readonly "7.1": TriblerSchemas;
  /** Tribler 7.3 and 7.4. */
  readonly "7.4": Tribler74Schemas;
  /** Tribler 7.5 to 7.11. */
  readonly "7.5": Tribler75Schemas;
  /** Tribler 7.12 to 7.14. */
  readonly "7.12": Tribler712Schemas;
  /** Tribler 8. */
  readonly "8": Tribler8Schemas;
}

/** The name of a generation. */
export type Generation = keyof GenerationSchemas;

/** The state of a core, as a session knows it. */
export interface CoreState {
  readonly version: string;
  /** The public key of the core: hexadecimal digits, or empty. */
  readonly publicKey: string;
  readonly started: boolean;
  /** The number of open streams. */
  readonly connected: number;
}

/** An error of the core. */
export interface CoreError {
  /** The name of its class. */
  readonly name: string;
  readonly message: string;
  /** The message with the traceback, or without one. */
  readonly stack: string;
}

/** One generation, as far as a session is concerned. */
export interface GenerationFacts {
  readonly catalogue: Catalogue;
  /** The payload of `events_start`. */
  start(state: CoreState): Readonly<Record<string, unknown>>;
  /** The payload of `tribler_started`, `undefined` for none; absent if the generation has no such event. */
  started?(state: CoreState): unknown;
  /** The payload of `tribler_exception`. */
  exception(error: CoreError): unknown;
  /** Whether it has `torrent_discovered` for each torrent in the watch folder. */
  readonly hasDiscovered: boolean;
  /** The event for a file in the watch folder that is no torrent; absent if the generation has none. */
  corruptFile?(name: string): { readonly type: string; readonly event: unknown };
}

const startOf7 = ({ started, version }: CoreState) => ({ tribler_started: started, version });

/** What differs from one generation to the next. */
export const GENERATIONS: Readonly<Record<Generation, GenerationFacts>> = {
  "7.1": {
    catalogue: triblerEvents,
    start: startOf7,
    started: () => undefined,
    exception: ({ stack }) => ({ text: stack }),
    hasDiscovered: true,
    corruptFile: (name) => ({ type: "watch_folder_corrupt_torrent", event: { name } }),
  },
  "7.4": {
    catalogue: tribler74Events,
    start: startOf7,
    started: ({ version }) => ({ version }),
    exception: ({ stack }) => ({ text: stack }),
    hasDiscovered: true,
    corruptFile: (name) => ({ type: "watch_folder_corrupt_torrent", event: { name } }),
  },
  "7.5": {
    catalogue: tribler75Events,
    start: startOf7,
    started: ({ version, publicKey }) => ({ version, public_key: publicKey }),
    // Until 7.7 the front end reads `text` alone; from 7.8 on it wants the first three.
    exception: ({ name, stack }) => ({ type: name, text: stack, event: {} }),
    hasDiscovered: false,
    corruptFile: (name) => ({ type: "watch_folder_corrupt_file", event: { name } }),
  },
  "7.12": {
    catalogue: tribler712Events,
    start: ({ publicKey, version }) => ({ public_key: publicKey, version }),
    exception: ({ name, message, stack }) => ({
      error: { type: name, text: message, event: {}, long_text: stack },
    }),
    hasDiscovered: false,
    corruptFile: (name) => ({ type: "watch_folder_corrupt_file", event: { file_name: name } }),
  },
  "8": {
    catalogue: tribler8Events,
    start: ({ publicKey, version, connected }) => ({
      public_key: publicKey,
      version,
      sessions: String(connected),
    }),
    exception: ({ message, stack }) => ({ error: message, traceback: stack }),
    hasDiscovered: false,
  },
};

/** Whether a catalogue has every type of another. */
export function includesTypes(catalogue: Catalogue<Schemas>, of: Catalogue<Schemas>): boolean {
  return of.types.every((type) => Object.hasOwn(catalogue.schemas, type));
}
