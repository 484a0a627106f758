/**
 * Following the stream: the one consumer of this process, which comes back whatever happens to it.
 *
 * @module
 */
import type { ConsumerMessages, JetStreamClient, JsMsg } from "@nats-io/jetstream";
import type { Requests } from "./requests.ts";
import { deleteConsumer, makeConsumer } from "./consumer.ts";

/** The consumer of this process. */
export interface ConsumerLoop {
  /** What keeps it from following, in words. */
  readonly problem: string | undefined;
  /** Begins anew where {@linkcode ConsumerLoopOptions.next} says. */
  restart(): void;
  /** Ends it. */
  stop(): void;
}

/** What to follow, and what to do with it. */
export interface ConsumerLoopOptions {
  readonly stream: string;
  /** Asks the server, for as long as the connection lasts. */
  readonly ask: Requests["ask"];
  /** Sees that there is a stream, and which; asked before each beginning, and again once there is a consumer. */
  prepare(): Promise<void>;
  /** The sequence number it begins with. */
  next(): number;
  /** How many messages a consumer asks for ahead. */
  ahead(): number;
  /** Takes the next message, in the order of the stream. */
  onMessage(message: JsMsg): void;
}

/** How long a request for messages lasts, and how often the server shows meanwhile that it is up. */
const EXPIRES_MS = 10_000;
const HEARTBEAT_MS = 2000;
/** The wait after a first failure, which doubles with each one, and the longest. */
const MIN_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5000;

/** Follows the stream until it is stopped. */
export function startConsumerLoop(client: JetStreamClient, options: ConsumerLoopOptions): ConsumerLoop {
  return new StreamConsumerLoop(client, options);
}

class StreamConsumerLoop implements ConsumerLoop {
  readonly #client: JetStreamClient;
  readonly #options: ConsumerLoopOptions;
  #problem: string | undefined = "it has not begun";
  /** Whether the last consumer fell silent: the next one has to deliver something before it is trusted. */
  #isSilent = false;
  #stopped = false;
  #messages: ConsumerMessages | undefined;
  /** Whether a consumer that is being made begins where it no longer should. */
  #isOutdated = false;
  #wake = () => {};
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(client: JetStreamClient, options: ConsumerLoopOptions) {
    this.#client = client;
    this.#options = options;
    void this.#run();
  }

  get problem(): string | undefined {
    return this.#problem;
  }

  restart(): void {
    this.#isOutdated = true;
    this.#messages?.stop();
    this.#wake();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#messages?.stop();
    this.#wake();
  }

  /** Notes that something arrived from the stream. */
  #hear(): void {
    this.#problem = undefined;
    this.#isSilent = false;
  }

  /** Runs one consumer, from its beginning to its end. */
  async #consume(): Promise<void> {
    await this.#options.prepare();
    if (this.#stopped) return;
    this.#isOutdated = false;
    const consumer = await makeConsumer(
      this.#client,
      this.#options.ask,
      this.#options.stream,
      this.#options.next(),
    );
    try {
      await this.#options.prepare(); // It may be a consumer of a stream that was made anew meanwhile.
      if (this.#stopped || this.#isOutdated) return;
      this.#messages = await consumer.consume({
        max_messages: this.#options.ahead(),
        expires: EXPIRES_MS,
        idle_heartbeat: HEARTBEAT_MS,
        abort_on_missing_resource: true,
        callback: (message) => {
          this.#hear();
          this.#options.onMessage(message);
        },
      });
      if (this.#stopped || this.#isOutdated) this.#messages.stop();
      if (!this.#isSilent) this.#problem = undefined;
      const ended = this.#messages.closed();
      await Promise.race([ended, this.#watch(this.#messages)]);
      const error = await ended;
      if (!this.#stopped) {
        this.#problem = error instanceof Error ? error.message : this.#problem ?? "the consumer ended";
      }
    } finally {
      this.#messages = undefined;
      deleteConsumer(consumer);
    }
  }

  /**
   * Watches the consumer until it ends. One that falls silent or skips something is stopped: the client would repair it, but
   * that can take minutes after the node of a cluster that had it is lost.
   */
  async #watch(messages: ConsumerMessages): Promise<void> {
    for await (const { type } of messages.status()) {
      if (type === "heartbeat") this.#hear();
      else if (type === "no_responders") this.#problem = "the stream delivers nothing (no responders)";
      else if (type === "heartbeats_missed" || type === "reset") {
        this.#problem = `the stream delivers nothing (${type.replace("_", " ")})`;
        this.#isSilent = type === "heartbeats_missed";
        messages.stop();
      }
    }
  }

  async #run(): Promise<void> {
    for (let pause = MIN_PAUSE_MS; !this.#stopped; pause = Math.min(2 * pause, MAX_PAUSE_MS)) {
      try {
        await this.#consume();
        pause = MIN_PAUSE_MS;
      } catch (error) {
        this.#problem = (error as Error).message;
      }
      if (this.#stopped) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        this.#timer = setTimeout(resolve, pause);
      });
      clearTimeout(this.#timer);
    }
  }
}
