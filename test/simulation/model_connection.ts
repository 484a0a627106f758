/**
 * A connection to the model of NATS, with the part of the clients' interface that the channel uses.
 *
 * @module
 */
import { Items } from "./awaited_items.ts";
import { NANOS, type StoredMessage, type StreamServer } from "./stream_model.ts";

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
  /** Whether the node that ran it is lost: it delivers nothing more. */
  isSilent: boolean;
  /** Whether it says so now and then when it has nothing to deliver. */
  readonly hasHeartbeat: boolean;
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

  /** Loses the nodes that run its consumers: the server answers, and delivers nothing more. */
  silence(): void {
    for (const follower of this.followers) if (follower.hasHeartbeat) follower.isSilent = true;
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
      isSilent: false,
      hasHeartbeat: heartbeatMs !== undefined,
      deliver: () => {
        if (!this.isUp || this.server.isFrozen || follower.isSilent || left === 0) return;
        if (!this.server.hasStream) return messages.stop(new Error("stream not found"));
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
        if (this.isUp && !this.server.isFrozen && !follower.isSilent) {
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
