/**
 * The stream: found as it is, or made with limits.
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
import { EventsError } from "../events/errors.ts";

/** How much a stream keeps that is not there yet. */
export interface StreamLimits {
  /** Maximum age in seconds; default seven days. */
  readonly maxAge?: number;
  /** Maximum number of bytes; default 1 GiB. */
  readonly maxBytes?: number;
  /** Number of servers of the cluster that store it; default 1. */
  readonly replicas?: number;
}

/** Which stream, and what it is to be. */
export interface StreamPlace {
  readonly name: string;
  /** What its subjects begin with; the type's token follows after a `.`. */
  readonly prefix: string;
  readonly limits: Required<StreamLimits>;
}

/** The code of an error of the JetStream API (nats-server, `server/errors.json`). */
const STREAM_NOT_FOUND = 10059;

/** Nanoseconds in a second: what the JetStream API counts in. */
const NANOS = 1e9;
/** Number of seconds for which the stream recognizes an `Idempotency-Key`: as long as a server itself does. */
const DUPLICATE_WINDOW = 120;

/**
 * The stream of that name, which is made where there is none.
 *
 * @throws {EventsError} `StreamMismatch` where there is one that cannot hold a channel; what the server refuses
 */
export async function openStream(manager: JetStreamManager, place: StreamPlace): Promise<StreamInfo> {
  const found = await findStream(manager, place.name) ?? await makeStream(manager, place);
  const faults = faultsOf(found.config, place);
  if (faults.length === 0) return found;
  throw new EventsError(
    "StreamMismatch",
    `the stream ${place.name} cannot hold a channel: ${faults.join("; ")}. Change it, or name another`,
  );
}

async function findStream(manager: JetStreamManager, name: string): Promise<StreamInfo | undefined> {
  try {
    let info = await manager.streams.info(name);
    // In the moment in which it is made nats-server gives it the year 1.
    for (let tries = 0; info.created.startsWith("0001-") && tries < 100; tries++) {
      info = await manager.streams.info(name);
    }
    return info;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Whether the server says that there is no such stream. */
export function isMissing(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.apiError().err_code === STREAM_NOT_FOUND;
}

async function makeStream(
  manager: JetStreamManager,
  { name, prefix, limits }: StreamPlace,
): Promise<StreamInfo> {
  try {
    await manager.streams.add({
      name,
      subjects: [`${prefix}.*`],
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.Old,
      max_age: limits.maxAge * NANOS,
      max_bytes: limits.maxBytes,
      num_replicas: limits.replicas,
      duplicate_window: Math.min(DUPLICATE_WINDOW, limits.maxAge) * NANOS,
      deny_delete: true, // Deletions in the middle could not be reported.
    });
  } catch (error) {
    // Another server was faster, with other limits perhaps.
    if (await findStream(manager, name) === undefined) throw error;
  }
  // Of two that make it at once one is answered before it has a time; what holds is what the stream says.
  const made = await findStream(manager, name);
  if (made === undefined) throw new Error("it was made, and is gone");
  return made;
}

/** What of a stream there is does not go with a channel. */
function faultsOf(config: StreamConfig, { prefix }: StreamPlace): string[] {
  const wanted = `${prefix}.*`;
  const faults: [isFault: boolean, fault: string][] = [
    [
      config.subjects?.join() !== wanted,
      `its subjects are ${config.subjects?.join(", ")}, and must be ${wanted}`,
    ],
    [config.retention !== RetentionPolicy.Limits, `its retention is ${config.retention}, and must be limits`],
    [config.max_msgs_per_subject > 0, "max_msgs_per_subject takes events out of its midst, and must be -1"],
    [config.mirror !== undefined, "it is a mirror, which takes no events"],
    [
      config.sources !== undefined && config.sources.length > 0,
      "it has sources, whose events are not of a channel",
    ],
    // Of nats-server 2.10 and newer.
    [
      config.subject_transform !== undefined,
      "it changes subjects (subject_transform), which say what type an event has",
    ],
    [config.sealed === true, "it is sealed, and takes no events"],
    [config.no_ack === true, "it acknowledges nothing (no_ack)"],
  ];
  return faults.filter(([isFault]) => isFault).map(([, fault]) => fault);
}

/** What a stream's description ends with where it has lost events which it had acknowledged: the epoch that it has since. */
const MARK = / ?\[events anew ([0-9a-z]{12})([0-9a-z]{8})\]$/;
/** So exactly that says when, in milliseconds: servers that see it at the same time are to write the same. */
const MARK_GRAIN = 10_000;

/**
 * The epoch of a channel in the stream, which all servers agree on, also one that is started later: when it was made, in
 * nanoseconds, and since when it is another one than that, in milliseconds. A newer one of the same stream is greater.
 */
export function epochOf(info: StreamInfo): string {
  return madeOf(info) + (markOf(info)?.[2] ?? "");
}

/** When the stream was made: what its epochs begin with. */
export function madeOf(info: StreamInfo): string {
  // Once it was changed nats-server (2.9) says something else of it after its next start.
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
 * Gives a stream another epoch, unless another server has done so since.
 *
 * @param epoch the one that it has had
 */
export async function assignNewEpoch(
  manager: JetStreamManager,
  name: string,
  epoch: string,
): Promise<StreamInfo> {
  const info = await manager.streams.info(name);
  const made = madeOf(info);
  if (!epoch.startsWith(made) || epochOf(info) > epoch) return info;
  const now = Date.now();
  const mark = Math.max(now - now % MARK_GRAIN, parseInt(epoch.slice(made.length), 36) + 1 || 0);
  const { description = "" } = info.config;
  await manager.streams.update(name, {
    description: `${description.replace(MARK, "")} [events anew ${made}${mark.toString(36)}]`.trimStart(),
  });
  return await manager.streams.info(name);
}

/** The position of the oldest event that the stream keeps; one after its last where it keeps none. */
export function firstOf({ state }: StreamInfo): number {
  return Math.max(state.first_seq, 1);
}

/** The most bytes that the stream takes as one message, its header among them. */
export function largestOf({ config }: StreamInfo): number {
  return config.max_msg_size > 0 ? config.max_msg_size : Infinity;
}
