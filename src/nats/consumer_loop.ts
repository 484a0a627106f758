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

/** A request for messages lasts so long, in milliseconds; meanwhile the server shows that it is there so often. */
const EXPIRES_MS = 10_000;
const HEARTBEAT_MS = 2000;
/** After a failure it waits for so many milliseconds at first, and twice as long each time up to the most. */
const MIN_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5000;

/** Follows the stream until it is stopped. */
export function startConsumerLoop(client: JetStreamClient, options: ConsumerLoopOptions): ConsumerLoop {
  let problem: string | undefined = "it has not begun";
  /** Whether the last consumer fell silent: the next one has to tell something before it is believed. */
  let isSilent = false;
  let stopped = false;
  let messages: ConsumerMessages | undefined;
  /** Whether a consumer that is being made begins where it no longer should. */
  let isOutdated = false;
  let wake = () => {};
  let timer: ReturnType<typeof setTimeout> | undefined;

  /** Something came from the stream. */
  function hear(): void {
    problem = undefined;
    isSilent = false;
  }

  /** From the beginning of a consumer to its end. */
  async function consume(): Promise<void> {
    await options.prepare();
    if (stopped) return;
    isOutdated = false;
    const consumer = await makeConsumer(client, options.ask, options.stream, options.next());
    try {
      await options.prepare(); // It may have come to be in a stream that was made anew since.
      if (stopped || isOutdated) return;
      messages = await consumer.consume({
        max_messages: options.ahead(),
        expires: EXPIRES_MS,
        idle_heartbeat: HEARTBEAT_MS,
        abort_on_missing_resource: true,
        callback: (message) => {
          hear();
          options.onMessage(message);
        },
      });
      if (stopped || isOutdated) messages.stop();
      if (!isSilent) problem = undefined;
      const ended = messages.closed();
      await Promise.race([ended, watch(messages)]);
      const error = await ended;
      if (!stopped) problem = error instanceof Error ? error.message : problem ?? "the consumer ended";
    } finally {
      messages = undefined;
      deleteConsumer(consumer);
    }
  }

  /**
   * Looks at how the consumer fares, until it is over. One that falls silent or leaves something out is given up: the
   * client would mend it, but where the node of a cluster is gone that had it, it can take minutes over that.
   */
  async function watch(messages: ConsumerMessages): Promise<void> {
    for await (const { type } of messages.status()) {
      if (type === "heartbeat") hear();
      else if (type === "no_responders") problem = "the stream tells nothing (no responders)";
      else if (type === "heartbeats_missed" || type === "reset") {
        problem = `the stream tells nothing (${type.replace("_", " ")})`;
        isSilent = type === "heartbeats_missed";
        messages.stop();
      }
    }
  }

  async function run(): Promise<void> {
    for (let pause = MIN_PAUSE_MS; !stopped; pause = Math.min(2 * pause, MAX_PAUSE_MS)) {
      try {
        await consume();
        pause = MIN_PAUSE_MS;
      } catch (error) {
        problem = (error as Error).message;
      }
      if (stopped) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
        timer = setTimeout(resolve, pause);
      });
      clearTimeout(timer);
    }
  }

  run();
  return {
    get problem() {
      return problem;
    },
    restart: () => {
      isOutdated = true;
      messages?.stop();
      wake();
    },
    stop: () => {
      stopped = true;
      clearTimeout(timer);
      messages?.stop();
      wake();
    },
  };
}
