/**
 * A model of NATS: a server with one stream of JetStream. `model_connection.ts` has what clients see of it.
 * `test/nats/stream_model.test.ts` compares it with a real server.
 *
 * @module
 */
import { JetStreamApiError, type PubAck, type StreamConfig, type StreamInfo } from "@nats-io/jetstream";
import type { MsgHdrs } from "@nats-io/nats-core";
import { ModelConnection } from "./model_connection.ts";

/** The time and the chance of a model. */
export interface Clock {
  /** Milliseconds since 1970. */
  wall(): number;
  /** Milliseconds of a clock that is never set. */
  now(): number;
  /** Calls a function later; of two at the same time the older one first. */
  after(ms: number, run: () => void): unknown;
  /** How long something takes to arrive, in milliseconds. */
  latency(): number;
}

/** A message that the stream keeps. */
export interface StoredMessage {
  readonly seq: number;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: MsgHdrs | undefined;
  /** When it was stored, in milliseconds since 1970. */
  readonly time: number;
}

/** The stream as it is. */
interface Stored {
  config: Partial<StreamConfig> & { readonly name: string };
  readonly created: string;
  messages: StoredMessage[];
  first: number;
  last: number;
  /** The messages with an id that are still recognized. */
  readonly ids: Map<string, { readonly seq: number; readonly time: number }>;
}

/** What the owner of a model is called with. */
export interface StreamListener {
  onStored?(message: StoredMessage): void;
  /** Called when the stream was created, changed or truncated. */
  onStream?(info: StreamInfo, what: "created" | "updated" | "truncated"): void;
}

const encoder = new TextEncoder();
const STREAM_NOT_FOUND = { code: 404, err_code: 10059, description: "stream not found" };
const OTHER_CONFIG = { code: 400, err_code: 10058, description: "stream name already in use" };
export const NANOS = 1e6;
/** What the creation of a stream has below a millisecond. */
const NANOS_OF_CREATION = "456789";

/** A server with one stream. */
export class StreamServer {
  readonly clock: Clock;
  readonly connections: Set<ModelConnection> = new Set();
  /** Every connection that there has been. */
  readonly #opened: ModelConnection[] = [];
  readonly #listener: StreamListener;
  #stored: Stored | undefined;
  /** What waits until the server is thawed. */
  #frozen: (() => void)[] | undefined;

  constructor(clock: Clock, listener: StreamListener = {}) {
    this.clock = clock;
    this.#listener = listener;
  }

  connect(): ModelConnection {
    const connection = new ModelConnection(this);
    this.connections.add(connection);
    this.#opened.push(connection);
    return connection;
  }

  /** The number of consumers that follow the stream, also for connections that are closed. */
  get consumers(): number {
    return this.#opened.reduce((sum, { followers }) => sum + followers.size, 0);
  }

  /** Runs something that has arrived, once the server is not frozen. */
  accept(run: () => void): void {
    if (this.#frozen === undefined) run();
    else this.#frozen.push(run);
  }

  get hasStream(): boolean {
    return this.#stored !== undefined;
  }

  get isFrozen(): boolean {
    return this.#frozen !== undefined;
  }

  freeze(): void {
    this.#frozen ??= [];
  }

  thaw(): void {
    const waiting = this.#frozen ?? [];
    this.#frozen = undefined;
    for (const run of waiting) run();
    this.#deliver();
  }

  /** Deletes the stream, and every consumer with it. */
  deleteStream(): void {
    this.#stored = undefined;
    for (const { followers } of this.connections) {
      for (const follower of [...followers]) follower.messages.stop(new Error("consumer deleted"));
    }
  }

  /** Loses the newest messages, as a server does that is restored from an older state. */
  truncate(count: number): void {
    const stored = this.#stored;
    if (stored === undefined) return;
    if (this.#frozen !== undefined) this.#frozen = []; // It has ended meanwhile, with what it had received.
    stored.last = Math.max(0, stored.first - 1, stored.last - count);
    stored.messages = stored.messages.filter(({ seq }) => seq <= stored.last);
    for (const [id, { seq }] of stored.ids) if (seq > stored.last) stored.ids.delete(id);
    this.#listener.onStream?.(this.info(), "truncated");
  }

  /** @throws {JetStreamApiError} if there is no stream */
  #get(): Stored {
    if (this.#stored === undefined) throw new JetStreamApiError(STREAM_NOT_FOUND);
    this.#expire(this.#stored);
    return this.#stored;
  }

  #expire(stored: Stored): void {
    const { max_age = 0, max_msgs = -1 } = stored.config;
    const oldest = max_age > 0 ? this.clock.wall() - max_age / NANOS : -Infinity;
    const least = max_msgs > 0 ? stored.last - max_msgs : -Infinity;
    const { messages } = stored;
    const kept = messages.findIndex(({ seq, time }) => seq > least && time >= oldest);
    if (kept === 0 || stored.last === 0) return; // A stream that never had a message has no first one.
    stored.messages = kept === -1 ? [] : messages.slice(kept);
    stored.first = stored.messages[0]?.seq ?? stored.last + 1;
  }

  info(): StreamInfo {
    const { config, created, messages, first, last } = this.#get();
    const bytes = messages.reduce((sum, { data }) => sum + data.length + 50, 0);
    const state = { messages: messages.length, bytes, first_seq: first, last_seq: last };
    return { config: { ...config }, created, state } as unknown as StreamInfo;
  }

  add(config: Partial<StreamConfig> & { readonly name: string }): StreamInfo {
    const full = { max_msgs_per_subject: -1, max_msg_size: -1, ...config };
    if (this.#stored !== undefined && JSON.stringify(this.#stored.config) !== JSON.stringify(full)) {
      throw new JetStreamApiError(OTHER_CONFIG);
    }
    if (this.#stored === undefined) {
      const created = new Date(this.clock.wall()).toISOString().replace("Z", `${NANOS_OF_CREATION}Z`);
      this.#stored = { config: full, created, messages: [], first: 0, last: 0, ids: new Map() };
      this.#listener.onStream?.(this.info(), "created");
    }
    return this.info();
  }

  update(change: Partial<StreamConfig>): StreamInfo {
    const stored = this.#get();
    stored.config = { ...stored.config, ...change };
    this.#listener.onStream?.(this.info(), "updated");
    return this.info();
  }

  getMessage(seq: number): StoredMessage | null {
    return this.#get().messages.find((message) => message.seq === seq) ?? null;
  }

  /** Returns what the stream keeps from a position on. */
  from(seq: number): StoredMessage[] {
    const { messages } = this.#get();
    const skipped = Math.max(0, seq - (messages[0]?.seq ?? 0));
    return messages.slice(skipped);
  }

  store(subject: string, text: string, headers: MsgHdrs | undefined, id: string | undefined): PubAck {
    const stored = this.#get();
    const time = this.clock.wall();
    const { name: stream, duplicate_window = 0 } = stored.config;
    for (const [old, { time: then }] of stored.ids) {
      if (time - then < duplicate_window / NANOS) break;
      stored.ids.delete(old);
    }
    const known = id === undefined ? undefined : stored.ids.get(id);
    if (known !== undefined) return { stream, domain: "", seq: known.seq, duplicate: true };
    const message = { seq: ++stored.last, subject, data: encoder.encode(text), headers, time };
    stored.messages.push(message);
    stored.first ||= 1;
    if (id !== undefined) stored.ids.set(id, { seq: message.seq, time });
    this.#expire(stored);
    this.#listener.onStored?.(message);
    this.#deliver();
    return { stream, domain: "", seq: message.seq, duplicate: false };
  }

  #deliver(): void {
    for (const { followers } of this.connections) for (const follower of followers) follower.deliver();
  }
}
