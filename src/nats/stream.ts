/**
 * The stream: opened or created, checked, and its epoch.
 *
 * @module
 */
import {
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
  type StreamInfo,
} from "@nats-io/jetstream";
import type { RetentionLimits } from "../channel/retention.ts";
import { EventsError } from "../events/errors.ts";

/** The name and the subjects of a stream, and what it has if it is created. */
export interface StreamPlace {
  readonly name: string;
  /** The prefix of its subjects; a `.` and the token of the type follow. */
  readonly prefix: string;
  readonly keep: RetentionLimits;
  /** Number of servers of the cluster that store it. */
  readonly replicas: number;
}

/** The code of an error of the JetStream API (nats-server, `server/errors.json`). */
const STREAM_NOT_FOUND = 10059;

/** Nanoseconds in a millisecond: the JetStream API counts in nanoseconds. */
const NANOS = 1e6;
/** The greatest age: nanoseconds of 64 bits. */
const MAX_AGE_MS = 9e12;
/** For how long the stream recognizes an `Idempotency-Key`, in milliseconds: as long as a server itself does. */
const DUPLICATE_WINDOW_MS = 120_000;

/**
 * Opens the stream, and creates it if it is missing. Also throws the errors of the server.
 *
 * @throws {EventsError} `StreamMismatch` if the stream exists and cannot hold a channel
 */
export async function openStream(manager: JetStreamManager, place: StreamPlace): Promise<StreamInfo> {
  const found = await findStream(manager, place.name) ?? await createStream(manager, place);
  const faults = faultsOf(found.config, place);
  if (faults.length === 0) return found;
  throw new EventsError(
    "StreamMismatch",
    `the stream ${place.name} cannot hold a channel: ${faults.join("; ")}. Change it, or choose another`,
  );
}

async function findStream(manager: JetStreamManager, name: string): Promise<StreamInfo | undefined> {
  try {
    let info = await manager.streams.info(name);
    // nats-server reports the year 1 while it creates the stream.
    for (let tries = 0; info.created.startsWith("0001-") && tries < 100; tries++) {
      info = await manager.streams.info(name);
    }
    return info;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Returns the subjects that the stream holds messages of. */
export async function storedSubjects(
  manager: JetStreamManager,
  { name, prefix }: StreamPlace,
): Promise<string[]> {
  const { state } = await manager.streams.info(name, { subjects_filter: `${prefix}.*` });
  return Object.keys(state.subjects ?? {});
}

/** Whether the error says that the stream does not exist. */
export function isMissing(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.apiError().err_code === STREAM_NOT_FOUND;
}

async function createStream(
  manager: JetStreamManager,
  { name, prefix, keep, replicas }: StreamPlace,
): Promise<StreamInfo> {
  try {
    await manager.streams.add({
      name,
      subjects: [`${prefix}.*`],
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.Old,
      max_age: keep.maxAgeMs === Infinity ? 0 : Math.min(MAX_AGE_MS, Math.round(keep.maxAgeMs)) * NANOS,
      max_bytes: keep.maxBytes === Infinity ? -1 : keep.maxBytes,
      max_msgs: keep.maxEvents === Infinity ? -1 : keep.maxEvents,
      num_replicas: replicas,
      duplicate_window: Math.min(DUPLICATE_WINDOW_MS, Math.round(keep.maxAgeMs)) * NANOS,
      deny_delete: true, // Deletions in the middle could not be reported.
    });
  } catch (error) {
    // Another server may have created it first, perhaps with other limits.
    if (await findStream(manager, name) === undefined) throw error;
  }
  // The response to a concurrent creation may have no time yet, so the state is requested.
  const created = await findStream(manager, name);
  if (created === undefined) throw new Error(`the stream ${name} was deleted while it was created`);
  return created;
}

/** Returns the reasons for which a stream cannot hold a channel. */
function faultsOf(config: StreamConfig, { prefix }: StreamPlace): string[] {
  const wanted = `${prefix}.*`;
  const faults: [isFault: boolean, fault: string][] = [
    [
      config.subjects?.join() !== wanted,
      `subjects must be ${wanted}, not ${config.subjects?.join(", ")}`,
    ],
    [config.retention !== RetentionPolicy.Limits, `retention must be limits, not ${config.retention}`],
    [
      config.max_msgs_per_subject > 0,
      "max_msgs_per_subject must be -1, because it deletes events from the middle",
    ],
    [config.mirror !== undefined, "it is a mirror, which stores no published events"],
    [
      config.sources !== undefined && config.sources.length > 0,
      "it has sources, whose events were not published to this channel",
    ],
    // Of nats-server 2.10 and newer.
    [
      config.subject_transform !== undefined,
      "subject_transform must not be set, because subjects name the types of events",
    ],
    [config.sealed === true, "it is sealed, and stores no published events"],
    [config.no_ack === true, "no_ack must be false, because publishing awaits acknowledgements"],
  ];
  return faults.filter(([isFault]) => isFault).map(([, fault]) => fault);
}

/** The end of the description of a stream that lost acknowledged events: the epoch that was assigned to it. */
const MARK = / ?\[events epoch ([0-9a-z]{12})([0-9a-z]{8})\]$/;
/** The precision of its time: servers that see the loss at about the same time write the same epoch. */
const MARK_PRECISION_MS = 10_000;

/**
 * Returns the epoch of the stream, which is the same for all servers: the time of its creation in nanoseconds, followed by that
 * of the last assigned epoch in milliseconds, both in base 36. A newer epoch of the same stream is greater.
 */
export function epochOf(info: StreamInfo): string {
  return createdOf(info) + (markOf(info)?.[2] ?? "");
}

/** Returns the time of the stream's creation, with which its epochs begin. */
export function createdOf(info: StreamInfo): string {
  // nats-server 2.9 reports another time when a stream was changed and the server restarted since.
  const marked = markOf(info)?.[1];
  if (marked !== undefined) return marked;
  const [, seconds, fraction = ""] = /^(.*?)(?:\.(\d+))?Z$/.exec(info.created) ?? [];
  const nanos = BigInt(Date.parse(`${seconds}Z`)) * 1_000_000n + BigInt(fraction.padEnd(9, "0").slice(0, 9));
  return nanos.toString(36);
}

function markOf({ config }: StreamInfo): RegExpExecArray | null {
  return MARK.exec(config.description ?? "");
}

/**
 * Assigns a new epoch to a stream, unless another server has done so already.
 *
 * @param epoch the epoch that ends
 * @returns the state of the stream, with the new epoch
 */
export async function assignNewEpoch(
  manager: JetStreamManager,
  name: string,
  epoch: string,
): Promise<StreamInfo> {
  const info = await manager.streams.info(name);
  const created = createdOf(info);
  if (!epoch.startsWith(created) || epochOf(info) > epoch) return info;
  const now = Date.now();
  const mark = Math.max(now - now % MARK_PRECISION_MS, parseInt(epoch.slice(created.length), 36) + 1 || 0);
  const { description = "" } = info.config;
  await manager.streams.update(name, {
    description: `${description.replace(MARK, "")} [events epoch ${created}${mark.toString(36)}]`.trimStart(),
  });
  return await manager.streams.info(name);
}

/** Returns the position of the oldest event in the stream; one after the last if it is empty. */
export function firstOf({ state }: StreamInfo): number {
  return Math.max(state.first_seq, 1);
}

/** Returns the maximum number of bytes of a message, its headers included. */
export function maxMessageBytesOf({ config }: StreamInfo): number {
  return config.max_msg_size > 0 ? config.max_msg_size : Infinity;
}
