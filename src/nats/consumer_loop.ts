/**
 * The consumer loop: follows the stream with one consumer, and replaces that after every failure.
 *
 * @module
 */
import type { ConsumerMessages, JetStreamClient, JsMsg } from "@nats-io/jetstream";
import type { Requests } from "./requests.ts";
import { createConsumer, deleteConsumer } from "./consumer.ts";

/** The consumer of this process that follows the stream. */
export interface ConsumerLoop {
  /** Describes why it cannot follow the stream; `undefined` if it can. */
  readonly problem: string | undefined;
  /** Replaces the consumer by one that starts at {@linkcode ConsumerLoopOptions.next}. */
  restart(): void;
  /** Stops following the stream. */
  stop(): void;
}

/** Options of {@linkcode startConsumerLoop}. */
export interface ConsumerLoopOptions {
  readonly stream: string;
  /** Sends a request, which is rejected when the connection breaks. */
  readonly request: Requests["request"];
  /** Opens the stream and applies its state; called before each consumer is created, and again after it. */
  prepare(): Promise<void>;
  /** Returns the sequence number at which a consumer starts. */
  next(): number;
  /** Returns the number of messages that a consumer requests ahead. */
  ahead(): number;
  /** Called with each message, in the order of the stream. */
  onMessage(message: JsMsg): void;
}

/** How long a request for messages lasts, and the interval of the server's heartbeats meanwhile. */
const EXPIRES_MS = 10_000;
const HEARTBEAT_MS = 2000;
/** The pause after the first failure, which doubles with each further one up to the maximum. */
const MIN_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5000;

/** Starts a loop that follows the stream until it is stopped. */
export function startConsumerLoop(client: JetStreamClient, options: ConsumerLoopOptions): ConsumerLoop {
  return new StreamConsumerLoop(client, options);
}

class StreamConsumerLoop implements ConsumerLoop {
  readonly #client: JetStreamClient;
  readonly #options: ConsumerLoopOptions;
  #problem: string | undefined = "the stream is not followed yet";
  /** Whether the last consumer fell silent: then the problem stays until the next one delivers something. */
  #isSilent = false;
  #stopped = false;
  #messages: ConsumerMessages | undefined;
  /** Whether a consumer that is being created starts at a position that no longer holds. */
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

  /** Notes that a message or a heartbeat arrived. */
  #noteArrival(): void {
    this.#problem = undefined;
    this.#isSilent = false;
  }

  /** Runs one consumer to its end. */
  async #consume(): Promise<void> {
    await this.#options.prepare();
    if (this.#stopped) return;
    this.#isOutdated = false;
    const consumer = await createConsumer(
      this.#client,
      this.#options.request,
      this.#options.stream,
      this.#options.next(),
    );
    try {
      await this.#options.prepare(); // The stream may have been replaced before the consumer was created.
      if (this.#stopped || this.#isOutdated) return;
      this.#messages = await consumer.consume({
        max_messages: this.#options.ahead(),
        expires: EXPIRES_MS,
        idle_heartbeat: HEARTBEAT_MS,
        abort_on_missing_resource: true,
        callback: (message) => {
          this.#noteArrival();
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
   * Watches the consumer until it ends, and stops one that falls silent or skips messages. The client would repair it, but that
   * can take minutes when the node of the cluster that ran it is lost.
   */
  async #watch(messages: ConsumerMessages): Promise<void> {
    for await (const { type } of messages.status()) {
      if (type === "heartbeat") this.#noteArrival();
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
