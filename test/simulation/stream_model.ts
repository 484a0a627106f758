/**
 * A model of NATS: a server with one stream of JetStream, and the part of the clients' interface that the channel uses.
 * `test/nats/stream_model.test.ts` compares it with a real server.
 *
 * @module
 */
import { JetStreamApiError, type PubAck, type StreamConfig, type StreamInfo } from "@nats-io/jetstream";
import type { MsgHdrs } from "@nats-io/nats-core";
import { Items } from "./awaited_items.ts";

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
const NANOS = 1e6;
/** What the creation of a stream has below a millisecond. */
const NANOS_OF_CREATION = "456789";

/** A server with one stream. */
export class StreamServer {
  readonly clock: Clock;
  readonly connections: Set<ModelConnection> = new Set();
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
    return connection;
  }

  /** Runs something that has arrived, once the server is not frozen. */
  accept(run: () => void): void {
    if (this.#frozen === undefined) run();
    else this.#frozen.push(run);
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

/** The messages of a consumer, and what happens to it. */
export class ModelMessages extends Items<ModelMessage> {
  readonly events: Items<{ readonly type: string }> = new Items();

  status(): Items<{ readonly type: string }> {
    return this.events;
  }
}

/** A message as a consumer receives it. */
export interface ModelMessage extends StoredMessage {
  readonly info: {
    readonly streamSequence: number;
    readonly timestampNanos: number;
    readonly pending: number;
  };
}

/** A consumer that follows the stream. */
interface Follower {
  readonly messages: ModelMessages;
  /** Sends what is new. */
  deliver(): void;
}

/** A connection to the server. */
export class ModelConnection {
  readonly server: StreamServer;
  readonly followers: Set<Follower> = new Set();
  readonly info: { readonly max_payload: number } = { max_payload: 1024 * 1024 };
  readonly #status = new Items<{ readonly type: string }>();
  /** Grows whenever the connection breaks: what was under way is lost. */
  #life = 0;
  isUp = true;
  #isClosed = false;
  #sent = 0;
  #received = 0;

  constructor(server: StreamServer) {
    this.server = server;
  }

  /** A message without an answer: the channel sends none. */
  publish(): void {}

  isClosed(): boolean {
    return this.#isClosed;
  }

  status(): Items<{ readonly type: string }> {
    return this.#status;
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.cut();
    this.server.connections.delete(this);
    return Promise.resolve();
  }

  /** Breaks the connection. */
  cut(): void {
    if (!this.isUp) return;
    this.isUp = false;
    this.#life++;
    this.#status.push({ type: this.#isClosed ? "close" : "disconnect" });
  }

  /** Connects again. */
  restore(): void {
    if (this.isUp || this.#isClosed) return;
    this.isUp = true;
    this.#status.push({ type: "reconnect" });
  }

  /** Sends a request. It is rejected after some time if no response arrives. */
  request<T>(run: () => T, timeoutMs = 5000): Promise<T> {
    const { clock } = this.server;
    return new Promise<T>((resolve, reject) => {
      if (this.#isClosed) return reject(named("ClosedConnectionError", "closed connection"));
      clock.after(timeoutMs, () => reject(named("TimeoutError", "timeout")));
      this.#travel("sent", () =>
        this.server.accept(() => {
          let respond: () => void;
          try {
            const value = run();
            respond = () => resolve(value);
          } catch (error) {
            respond = () => reject(error);
          }
          this.#travel("received", respond);
        }));
    });
  }

  /** Calls a function when something has arrived, in the order in which it was sent; not if the connection broke meanwhile. */
  #travel(way: "sent" | "received", arrive: () => void): void {
    if (!this.isUp) return;
    const life = this.#life;
    const { clock } = this.server;
    const now = clock.now();
    const due = Math.max(now + clock.latency(), way === "sent" ? this.#sent : this.#received);
    if (way === "sent") this.#sent = due;
    else this.#received = due;
    clock.after(due - now, () => life === this.#life && arrive());
  }

  /** Delivers what the stream keeps from a position on, and what follows. */
  follow(first: number, most: number, heartbeatMs: number | undefined): ModelMessages {
    const messages = new ModelMessages();
    let [next, left] = [first, most];
    let arrivedAt = this.server.clock.now();
    const follower: Follower = {
      messages,
      deliver: () => {
        if (!this.isUp || this.server.isFrozen || left === 0) return;
        const found = this.server.from(next).slice(0, left);
        const pending = this.server.from(next).length;
        for (const [index, message] of found.entries()) {
          next = message.seq + 1;
          left--;
          const info = {
            streamSequence: message.seq,
            timestampNanos: message.time * NANOS,
            pending: pending - index - 1,
          };
          this.#travel("received", () => {
            arrivedAt = this.server.clock.now();
            messages.push({ ...message, info });
          });
        }
      },
    };
    messages.onStop = () => {
      this.followers.delete(follower);
      messages.events.stop();
    };
    this.followers.add(follower);
    follower.deliver();
    if (heartbeatMs !== undefined) {
      const beat = () => {
        if (messages.isStopped) return;
        const now = this.server.clock.now();
        if (this.isUp && !this.server.isFrozen) {
          arrivedAt = now;
          messages.events.push({ type: "heartbeat" });
        } else if (now - arrivedAt > 2 * heartbeatMs) {
          messages.events.push({ type: "heartbeats_missed" });
        }
        this.server.clock.after(heartbeatMs, beat);
      };
      this.server.clock.after(heartbeatMs, beat);
    }
    return messages;
  }
}

function named(name: string, message: string): Error {
  return Object.assign(new Error(message), { name });
}
