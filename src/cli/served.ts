/**
 * What `serve` streams: the events of Tribler, or those of a catalogue that it was given.
 *
 * @module
 */
import type { Channel } from "../channel/channel.ts";
import type { Catalogue, Schemas } from "../events/catalogue.ts";
import type { EventsSource } from "../http/options.ts";
import { ANY, type NamedCatalogue, readCatalogue } from "../server/catalogue_file.ts";
import type { Mount } from "../server/mounts.ts";
import { replaceable } from "../server/replaceable.ts";
import {
  type Generation,
  type GenerationFacts,
  GENERATIONS,
  type GenerationSchemas,
  includesTypes,
} from "../tribler/generations.ts";
import { createSession } from "../tribler/session.ts";
import { VERSION } from "../version.ts";
import { UsageError } from "./usage.ts";

/** A channel of any generation: which one is known at run time alone. */
type AnyChannel = Channel<GenerationSchemas[Generation]>;

/** What a server streams. */
export interface Served {
  /** The types of the channel. */
  readonly catalogue: Catalogue<Schemas>;
  /** What the watch folder publishes. */
  readonly watch: GenerationFacts;
  /** Makes the source of the streams. */
  open(channel: Channel<Schemas>): ServedSource;
  /** Reads the file again, if there is one. If it is wrong, what was read before stays in force. */
  readonly reload?: () => Promise<void>;
}

/** A source that may have to be started. */
export type ServedSource = EventsSource<Schemas> & {
  readonly version: string;
  readonly start?: () => unknown;
};

/** What the options say of it. */
interface ServedOptions {
  readonly catalogue: string | undefined;
  readonly mounts: readonly [Mount, ...Mount[]];
  readonly watchFolder: string | undefined;
}

/**
 * Reads what a server streams.
 *
 * @throws {UsageError} if the catalogue is wrong, or lacks types that other options need
 */
export async function readServed({ catalogue: file, mounts, watchFolder }: ServedOptions): Promise<Served> {
  // The first dialect says which events of Tribler there are.
  const generation: Generation = mounts[0].dialect;
  const watch = GENERATIONS[generation];
  if (watchFolder !== undefined && watch.corruptFile === undefined) {
    throw new UsageError("--watch-folder: this release has no events for it");
  }
  if (file === undefined) {
    const { catalogue } = watch;
    const open = (channel: Channel<Schemas>) => sessionOf(channel, generation) as unknown as ServedSource;
    return { catalogue, watch, open };
  }
  let current = await readCatalogue(file).catch((error: Error) => {
    throw new UsageError(error.message);
  });
  const holder = replaceable(current.catalogue);
  const missing = mounts.find(({ dialect }) => !hasTypesOf(current, dialect) && dialect !== "7.1");
  if (missing !== undefined) {
    throw new UsageError(`--dialect ${missing.dialect}: the catalogue ${file} lacks events of that release`);
  }
  if (watchFolder !== undefined) checkWatched(current.catalogue, watch, file);
  return {
    catalogue: holder.catalogue,
    watch,
    open: (channel) => {
      const session = hasTypesOf(current, generation) ? sessionOf(channel, generation) : undefined;
      return {
        channel,
        version: VERSION,
        startPayload: (dialect) => startOf(current, dialect, session?.startPayload(dialect)),
        onConnect: () => session?.onConnect() ?? (() => {}),
        start: () => session?.start(),
      };
    },
    ...(file !== ANY && {
      reload: async () => {
        current = await readCatalogue(file);
        holder.replace(current.catalogue);
      },
    }),
  };
}

function sessionOf(channel: Channel<Schemas>, generation: Generation) {
  return createSession({ version: VERSION, generation, channel: channel as unknown as AnyChannel });
}

/** Whether a catalogue names all events of a release: then its front end can be served, and a core has its session. */
function hasTypesOf({ catalogue }: NamedCatalogue, generation: Generation): boolean {
  return includesTypes(catalogue, GENERATIONS[generation].catalogue);
}

/** What `events_start` says. The front ends of later releases take no other keys than their own. */
function startOf(
  { name, version }: NamedCatalogue,
  dialect: Generation,
  ofSession: unknown = {},
): Readonly<Record<string, unknown>> {
  const isTolerant = dialect === "7.1" || dialect === "7.4";
  return { ...ofSession as object, ...(isTolerant && { name, version }) };
}

/** @throws {UsageError} if the catalogue lacks what the watch folder publishes */
function checkWatched(
  { types, isOpen }: Catalogue<Schemas>,
  { hasDiscovered, corruptFile }: GenerationFacts,
  file: string,
): void {
  const needed = [...hasDiscovered ? ["torrent_discovered"] : [], corruptFile!("").type];
  const lacking = needed.filter((type) => !types.includes(type));
  if (isOpen || lacking.length === 0) return;
  throw new UsageError(
    `--watch-folder publishes ${needed.join(" and ")}: the catalogue ${file} lacks ${lacking.join(" and ")}`,
  );
}
