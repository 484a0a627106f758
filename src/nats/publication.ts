/**
 * Publications: from the events of an application to their cursors, once the stream and this process have them.
 *
 * @module
 */
import { checkArgument, STRING } from "../events/arguments.ts";
import type { Catalogue } from "../events/catalogue.ts";
import { formatCursor } from "../events/cursor.ts";
import { type EncodedEvent, encodeEvents, type UncheckedDraft } from "../events/encode.ts";
import { EventsError } from "../events/errors.ts";
import { utf8Length } from "../events/json.ts";
import { headersOf, messageOf } from "./message.ts";
import { type Outgoing, unavailable, unconfirmed } from "./publisher.ts";
import type { StreamMonitor, StreamMonitorOptions } from "./stream_monitor.ts";

/** How long `publish` waits until this process has received the stored events. */
const READ_YOUR_WRITES_TIMEOUT_MS = 1000;
/** Maximum size of the headers of a message without the key: `Nats-Msg-Id` and the index of the event. */
const HEADER_BYTES = 64;

/** Where an event is stored, and whether it was before. */
interface Stored {
  readonly seq: number;
  readonly duplicate: boolean;
}

/** Options of {@linkcode createPublish}. */
export interface PublicationOptions
  extends Pick<StreamMonitorOptions, "connection" | "limits" | "publisher" | "subjects"> {
  readonly catalogue: Catalogue;
  readonly monitor: StreamMonitor;
  /** Whether the channel was closed. */
  isClosed(): boolean;
  /** Counts an event of this type that was stored. */
  count(type: string): void;
}

/** Publishes events, under a key or without one, and returns their cursors: see `NatsChannel.publishBatch`. */
export type Publish = (drafts: readonly UncheckedDraft[], key?: string) => Promise<string[]>;

/** Makes a function that publishes to a stream. */
export function createPublish(options: PublicationOptions): Publish {
  const { catalogue, connection, limits, monitor, publisher, subjects } = options;
  const { replica } = monitor;

  /** Encodes and checks events, and that they can be published. */
  function prepare(drafts: readonly UncheckedDraft[], key: string | undefined): EncodedEvent[] {
    if (options.isClosed()) checkOpen();
    if (key !== undefined) checkArgument("publishBatch: the key", key, STRING);
    if (key !== undefined && /[\r\n]/.test(key)) throw new RangeError("a key must not have line breaks");
    const prepared = encodeEvents(catalogue, drafts, maxEventBytes(key));
    checkOpen();
    return prepared;
  }

  /** Returns the maximum size of an event: the window, the connection and the stream limit it, the last two with its headers. */
  function maxEventBytes(key: string | undefined): number {
    const headerBytes = key === undefined ? 0 : HEADER_BYTES + utf8Length(key);
    const ofStream = Math.min(connection.info?.max_payload ?? Infinity, replica.maxMessageBytes);
    return Math.min(limits.maxBytes, ofStream - headerBytes);
  }

  function checkOpen(): void {
    if (options.isClosed()) {
      throw new EventsError("ChannelClosed", "the channel was closed: it takes no more events");
    }
    if (connection.isClosed()) throw unavailable("the connection to NATS was closed");
    // The client would queue the event, and send it after the publisher had received an error.
    if (!monitor.isConnected) throw unavailable("the connection to NATS is down");
  }

  function messagesOf(events: readonly EncodedEvent[], key: string | undefined): Outgoing[] {
    return events.map((event, index) => ({
      subject: subjects.subjectOf(event.type),
      data: messageOf(event),
      headers: headersOf(event),
      id: key === undefined ? undefined : `${key}:${index}`,
    }));
  }

  /**
   * Finds out whether the stream has reused positions.
   *
   * @param last the last position before the events were published
   */
  async function checkReused(stored: readonly Stored[], last: number): Promise<void> {
    if (stored.some(({ seq, duplicate }) => seq <= last && !duplicate)) replica.markTruncated();
    await monitor.refresh().catch(({ message }) => {
      throw unconfirmed(message, stored.length);
    });
  }

  /** Counts the events that are stored now, and returns their cursors. */
  function accept(events: readonly EncodedEvent[], stored: readonly Stored[]): string[] {
    return stored.map(({ seq, duplicate }, index) => {
      if (!duplicate) options.count(events[index]!.type);
      return formatCursor(replica.epoch, seq);
    });
  }

  // It resolves once this process has received the stored events, so that their positions are certain.
  return async (drafts, key) => {
    const prepared = prepare(drafts, key);
    const { epoch, window: { last } } = replica;
    const stored = await publisher.publish(messagesOf(prepared, key));
    // A replaced or truncated stream reuses positions: one that was received before may belong to another event.
    if (replica.epoch === epoch && stored.some(({ seq }) => seq <= last)) await checkReused(stored, last);
    // A later position is certain only when this process has received it.
    if (replica.epoch === epoch) await monitor.reaches(newestOf(stored), READ_YOUR_WRITES_TIMEOUT_MS);
    if (replica.epoch !== epoch) {
      throw unconfirmed("the stream was replaced, or lost events", stored.length);
    }
    return accept(prepared, stored);
  };
}

function newestOf(stored: readonly Stored[]): number {
  return stored.reduce((most, { seq }) => Math.max(most, seq), 0);
}
