/**
 * The channel: an ordered, bounded log of published events that can be read from any position still kept, in the memory
 * of this process or elsewhere.
 *
 * @module
 */
import type {
  Catalogue,
  Draft,
  PayloadArguments,
  PublishableType,
  PublishedEvent,
  Schemas,
} from "../events/catalogue.ts";
import { EventsError } from "../events/errors.ts";
import { formatCursor, parseCursor } from "../events/cursor.ts";
import type { Loss } from "../events/event.ts";

/** One published event as the channel keeps it. */
export interface Entry {
  /** Its sequence number: 1 for the first event of the channel, and no gaps. */
  readonly position: number;
  /** Its cursor, as it stands in the dictionary's `id`. */
  readonly id: string;
  /** The name of its type. */
  readonly type: string;
  /** What it is about: the dictionary's `subject`; `undefined` if it has none. */
  readonly subject: string | undefined;
  /** The whole dictionary as one line of JSON, the same in every wire format. */
  readonly json: string;
  /** The length of `json` in UTF-8, in bytes. */
  readonly bytes: number;
  /** When it was published, in milliseconds since 1970: the dictionary's `time`. */
  readonly time: number;
}

/** Some events in a row, in the order of publication. */
export interface Batch {
  /** What the reader misses between the last batch and this one, which may have no events then. */
  readonly lost?: Loss;
  /** The events. */
  readonly entries: readonly Entry[];
  /** The position that it reaches, if events up to there were erased; else that of its last event. */
  readonly last?: number;
}

/** The events that `erase` erases. */
export interface ErasedEvents {
  /** What they are about: this subject exactly. `*` has no meaning here. */
  readonly subject: string;
}

/** What a channel holds at the moment. */
export interface ChannelStats {
  /** How many events are kept. */
  readonly events: number;
  /** The bytes of their JSON in UTF-8. */
  readonly bytes: number;
  /** How many events were published since the channel was made, by type; every type of the catalogue is there. */
  readonly published: Readonly<Record<string, number>>;
  /** How many iterators wait for the next event. */
  readonly readers: number;
}

/** The reading side of a channel: what does not depend on its catalogue. */
export interface EventLog {
  /**
   * Names this life of the channel: part of every cursor. Events that are kept elsewhere may be gone one day,
   * and others be counted anew: that is another epoch.
   */
  readonly epoch: string;
  /**
   * The position of the oldest event kept; one after {@linkcode last} where none is. Of events that are kept elsewhere
   * older ones may have been deleted since; reading them reports a loss.
   */
  readonly first: number;
  /** The position of the newest event; 0 before the first. */
  readonly last: number;
  /** Whether events of it were erased; absent where none can be. */
  readonly hasErased?: boolean;
  /** Whether it was closed. */
  readonly closed: boolean;
  /**
   * The types of events that were stored before, which its catalogue may lack by now; absent where no event is older than the
   * process.
   */
  readonly storedTypes?: readonly string[];
  /** What keeps it from taking or telling events at the moment, in words; `undefined`: nothing does. */
  readonly problem?: string | undefined;

  /**
   * Reads what follows a position: at once where this process has it, else as soon as it can be had.
   *
   * @param position the last position already read
   * @param maxBytes where to end the batch, in bytes of JSON; it holds at least one event where there is one
   * @returns the batch, empty where nothing follows yet; `lost` where the position is no longer kept: its count says how
   *   far the reader jumps
   */
  read(position: number, maxBytes: number): Batch | Promise<Batch>;

  /**
   * Finds where a reader starts.
   *
   * @param since a cursor; `"earliest"` for everything kept; `"latest"` for what is published from now on
   * @throws {EventsError} `InvalidCursor` where it is malformed or ahead of the channel; `ChannelUnavailable` where that
   *   cannot be known now
   */
  locate(since: string): Start | Promise<Start>;

  /**
   * Reads from a cursor on, and waits for more: an iterator over batches that ends when the channel is closed.
   * Leaving the loop leaves nothing behind, also while a batch is awaited.
   *
   * @param since as for {@linkcode locate}; default `"latest"`
   * @throws {EventsError} as {@linkcode locate} does
   */
  batches(since?: string): AsyncIterableIterator<Batch>;

  /**
   * Calls the listener whenever events were erased, so that copies of them can be dropped; absent where none can be.
   *
   * @returns a function that ends this
   */
  onErase?(listener: () => void): () => void;

  /** Ends the channel: every iterator ends once it has read what was published. */
  close(): void;

  /** What the channel holds at the moment. */
  stats(): ChannelStats;
}

/** An ordered, bounded log of published events, typed by its catalogue. */
export interface Channel<S extends Schemas = Schemas> extends EventLog {
  /** The event types it carries. */
  readonly catalogue: Catalogue<S>;

  /**
   * Publishes one event.
   *
   * @returns the event's `id`, once the channel has it
   * @throws {EventsError} `InvalidEvent` where the payload does not fit its schema or cannot be JSON;
   *   `ChannelClosed` after {@linkcode close}. Nothing is published then. If events are kept elsewhere also
   *   `ChannelUnavailable`: nothing was published; and `PublishUnconfirmed`: whether it was published is unknown
   */
  publish<T extends PublishableType<S>>(
    type: T,
    ...payload: PayloadArguments<S, T>
  ): string | Promise<string>;

  /**
   * Publishes several events in a row: all of them, or none where one does not fit.
   *
   * @param key names this publication: where events are kept elsewhere the same key is taken but once, for some minutes
   * @returns the `id` of each, once the channel has them
   * @throws {EventsError} as {@linkcode publish} does; `InvalidEvent` with every fault of every event
   */
  publishBatch(drafts: readonly Draft<S>[], key?: string): string[] | Promise<string[]>;

  /**
   * Erases every event of a subject that is kept: from memory, from where the events are stored, and from what this process
   * holds for its readers. Their positions stay. A reader that passes them receives nothing of them, and no loss is reported.
   * What was sent before is not recalled.
   *
   * @returns how many events were erased, once nothing of them is left
   * @throws {TypeError} if there is no such subject
   * @throws {EventsError} `EraseNotSupported` where events cannot be erased, as on NATS; `ChannelClosed` after {@linkcode close};
   *   `ChannelUnavailable` where something of them may be left: repeat it
   */
  erase(events: ErasedEvents): number | Promise<number>;

  /** The event of an entry, typed; parsed anew at each call, so it is the caller's own. */
  parse(entry: Entry): PublishedEvent<S>;
}

/** Returns the position that a reader has reached with a batch. */
export function positionAfter({ lost, entries, last }: Batch, position: number): number {
  return last ?? entries.at(-1)?.position ?? position + (lost?.count ?? 0);
}

/** Where a reader starts. */
export interface Start {
  /** The epoch that the position belongs to. It may be over when an asynchronous `locate` has answered. */
  readonly epoch: string;
  /** The last position not to be read. */
  readonly position: number;
  /** Whether the cursor is of another epoch, so that the number of missed events is unknown. */
  readonly unknownEpoch: boolean;
  /** Whether events before the position, which are no longer kept, may belong to what was asked for; default no. */
  readonly mayHaveExpired?: boolean;
}

/**
 * Finds where a reader starts in what the channel has now.
 *
 * @param since a cursor, `"earliest"` or `"latest"`
 * @throws {EventsError} `InvalidCursor` where it is malformed or ahead of the channel
 */
export function locate(channel: Pick<EventLog, "epoch" | "first" | "last">, since: string): Start {
  const { epoch, first, last } = channel;
  if (since === "latest") return { epoch, position: last, unknownEpoch: false };
  if (since === "earliest") return { epoch, position: first - 1, unknownEpoch: false };
  const cursor = parseCursor(since);
  if (cursor.epoch !== epoch) return { epoch, position: first - 1, unknownEpoch: true };
  if (cursor.position > last) {
    throw new EventsError(
      "InvalidCursor",
      `the cursor "${since}" is ahead of the channel, which has reached "${formatCursor(epoch, last)}"`,
    );
  }
  return { epoch, position: cursor.position, unknownEpoch: false };
}
