/**
 * The publisher: stores messages in the stream, with a bounded number in flight, and awaits their acknowledgements.
 *
 * @module
 */
import { JetStreamApiError, type JetStreamClient, type PubAck } from "@nats-io/jetstream";
import type { MsgHdrs } from "@nats-io/nats-core";
import { EventsError } from "../events/errors.ts";

/** A message to store. */
export interface Outgoing {
  readonly subject: string;
  readonly data: string;
  readonly headers?: MsgHdrs | undefined;
  /** The stream stores messages with the same id only once. */
  readonly id?: string | undefined;
}

/** Stores messages in the stream. */
export interface Publisher {
  /** Describes why the last publication failed; `undefined` if it did not. */
  readonly problem: string | undefined;
  /**
   * Stores messages in their order, after those of all earlier calls.
   *
   * @returns for each its position in the stream, and whether it was stored before
   * @throws {EventsError} `ChannelUnavailable` if none was stored; `PublishUnconfirmed` if some may be
   */
  publish(messages: readonly Outgoing[]): Promise<PubAck[]>;
  /** Notes that the stream answered another request, so that it is up. */
  answered(): void;
  /** Notes that the connection broke: no acknowledgement will arrive. */
  disconnected(): void;
}

/** How long to wait for an acknowledgement. */
const ACK_TIMEOUT_MS = 5000;
/**
 * Maximum number of messages, and of their characters, in flight at a time over all publications: their acknowledgements arrive
 * well within the time-out. Further messages wait.
 */
const MAX_MESSAGES = 5000;
const MAX_LENGTH = 4 * 1024 * 1024;

const BROKEN = "the connection to NATS broke";

/** The names of errors that arise before a message is sent, or because no stream accepts it. */
const NOT_SENT = ["JetStreamNotEnabled", "DrainingConnectionError", "ClosedConnectionError"];

/**
 * Makes a publisher to a stream. While the stream does not answer, one publication at a time probes it, and the others are
 * rejected at once.
 */
export function createPublisher(client: JetStreamClient, stream: string): Publisher {
  return new StreamPublisher(client, stream);
}

class StreamPublisher implements Publisher {
  readonly #client: JetStreamClient;
  readonly #stream: string;
  /** Ends the wait for the acknowledgements of each round in flight. */
  readonly #rounds = new Set<() => void>();
  /** What the rounds in flight hold. */
  readonly #inFlight = { messages: 0, length: 0 };
  /** Called when a round has ended. */
  #onRoom = () => {};
  /** Whether the stream did not answer the last message. */
  #silent = false;
  /** Why the stream rejected the last message. */
  #rejection: string | undefined;
  /** The number of times that the connection broke. */
  #breaks = 0;
  /** Settles when all earlier publications have been sent, if some of them are still to be sent. */
  #sending: Promise<void> | undefined;

  constructor(client: JetStreamClient, stream: string) {
    this.#client = client;
    this.#stream = stream;
  }

  get problem(): string | undefined {
    return this.#silent
      ? "the stream does not answer"
      : this.#rejection && `the stream rejected the last publication: ${this.#rejection}`;
  }

  answered(): void {
    this.#silent = false;
  }

  disconnected(): void {
    this.#silent = false;
    this.#breaks++;
    for (const end of this.#rounds) end();
  }

  publish(messages: readonly Outgoing[]): Promise<PubAck[]> {
    const rounds = roundsOf(messages);
    const isAtOnce = this.#sending === undefined && rounds.length === 1 && this.#hasRoom(rounds[0]!);
    return isAtOnce ? this.#publishAtOnce(rounds[0]!) : this.#publishInTurn(rounds, messages.length);
  }

  /**
   * Publishes before it returns: what is published in one turn shares one write of the client. This is no async function,
   * which takes a kilobyte of memory for each of many small publications.
   */
  #publishAtOnce(round: Round): Promise<PubAck[]> {
    const reason = this.#reasonNotToSend(this.#breaks);
    if (reason !== undefined) return Promise.reject(unavailable(reason));
    const count = round.messages.length;
    return this.#send(round).then((settled) => {
      if (settled === undefined) throw unconfirmed(BROKEN, count);
      return this.#storedOf(settled, count);
    });
  }

  /** Publishes after all earlier calls, when there is room. */
  async #publishInTurn(rounds: readonly Round[], count: number): Promise<PubAck[]> {
    const results: PromiseSettledResult<PubAck>[] = [];
    const ofConnection = this.#breaks;
    const before = this.#sending;
    let passOn = () => {};
    const mine = new Promise<void>((resolve) => passOn = resolve);
    this.#sending = mine;
    try {
      if (before !== undefined) await before;
      for (const [index, round] of rounds.entries()) {
        while (this.#breaks === ofConnection && !this.#hasRoom(round)) {
          await new Promise<void>((resolve) => this.#onRoom = resolve);
        }
        const reason = this.#reasonNotToSend(ofConnection);
        if (reason !== undefined) throw index === 0 ? unavailable(reason) : unconfirmed(reason, count);
        const answers = this.#send(round);
        if (index === rounds.length - 1) passOn();
        const settled = await answers;
        if (settled === undefined) throw unconfirmed(BROKEN, count);
        for (const result of settled) results.push(result);
        if (settled.some(({ status }) => status === "rejected")) break;
      }
    } finally {
      passOn();
      if (this.#sending === mine) this.#sending = undefined;
    }
    return this.#storedOf(results, count);
  }

  /** @param ofConnection the number of times that the connection had broken when it was published */
  #reasonNotToSend(ofConnection: number): string | undefined {
    if (this.#breaks !== ofConnection) return BROKEN;
    return this.#silent && this.#rounds.size > 0 ? "the stream does not answer" : undefined;
  }

  #hasRoom({ messages, length }: Round): boolean {
    return this.#inFlight.messages === 0 ||
      this.#inFlight.messages + messages.length <= MAX_MESSAGES &&
        this.#inFlight.length + length <= MAX_LENGTH;
  }

  /** Sends messages at once, and returns the result of each; `undefined` if the connection broke first. */
  #send({ messages, length }: Round): Promise<PromiseSettledResult<PubAck>[] | undefined> {
    this.#inFlight.messages += messages.length;
    this.#inFlight.length += length;
    const answers = messages.map(({ subject, data, headers, id }) =>
      this.#client.publish(subject, data, {
        timeout: ACK_TIMEOUT_MS,
        ...(headers !== undefined && { headers }),
        ...(id !== undefined && { msgID: id }),
      })
    );
    return new Promise((resolve) => {
      const end = (results?: PromiseSettledResult<PubAck>[]) => {
        if (!this.#rounds.delete(end)) return;
        this.#inFlight.messages -= messages.length;
        this.#inFlight.length -= length;
        resolve(results);
        this.#onRoom(); // After resolve(), so that the next publication knows whether the stream is silent.
      };
      this.#rounds.add(end);
      Promise.allSettled(answers).then(end);
    });
  }

  /** @param count number of messages to store; those after an error were not sent */
  #storedOf(results: readonly PromiseSettledResult<PubAck>[], count: number): PubAck[] {
    const stored = results.flatMap((result) => result.status === "fulfilled" ? [result.value] : []);
    const errors = results.flatMap((result) => result.status === "rejected" ? [result.reason] : []);
    if (results.length > 0) {
      this.#silent = stored.length === 0 && errors.some((error) => !isRejection(error));
      const rejected = errors.find((error) => error instanceof JetStreamApiError);
      this.#rejection = stored.length === 0 && rejected !== undefined ? reasonOf(rejected) : undefined;
    }
    // Another stream may have taken over the subjects; its numbers do not belong to this channel.
    const other = stored.find((ack) => ack.stream !== this.#stream);
    if (other !== undefined) {
      throw unconfirmed(`the stream ${other.stream} acknowledged instead of ${this.#stream}`, count);
    }
    if (errors.length === 0) return stored;
    const uncertain = errors.find((error) => !isRejection(error));
    if (stored.length === 0 && uncertain === undefined) throw unavailable(reasonOf(errors[0]), errors[0]);
    throw unconfirmed(reasonOf(uncertain ?? errors[0]), count, uncertain ?? errors[0]);
  }
}

/** Messages that are sent together. */
interface Round {
  readonly messages: Outgoing[];
  /** Their number of characters. */
  length: number;
}

function roundsOf(messages: readonly Outgoing[]): Round[] {
  const rounds: Round[] = [];
  for (const message of messages) {
    const round = rounds.at(-1);
    const { length } = message.data;
    if (
      round !== undefined && round.messages.length < MAX_MESSAGES && round.length + length <= MAX_LENGTH
    ) {
      round.messages.push(message);
      round.length += length;
    } else {
      rounds.push({ messages: [message], length });
    }
  }
  return rounds;
}

/**
 * Whether a message was certainly not stored: the stream or the server rejected it, there is no stream, or the connection
 * accepts no more messages.
 */
function isRejection(error: unknown): boolean {
  return error instanceof JetStreamApiError || NOT_SENT.includes((error as Error).name) || isForbidden(error);
}

/** Whether the user may not publish the message. If only the response is forbidden, the message may be stored. */
export function isForbidden(error: unknown): boolean {
  const { cause } = error as Error;
  const violation = cause as { readonly name?: unknown; readonly operation?: unknown } | undefined;
  return violation?.name === "PermissionViolationError" && violation.operation === "publish";
}

function reasonOf(error: unknown): string {
  const { name, message } = error as Error;
  if (name === "JetStreamNotEnabled") return "the stream does not exist or has no leader";
  return name === "TimeoutError" ? "the stream did not answer" : message;
}

/** Makes the error for events that were not stored. */
export function unavailable(reason: string, cause?: unknown): EventsError {
  return new EventsError("ChannelUnavailable", `nothing was published: ${reason}: try again later`, {
    cause,
  });
}

/** Makes the error for events that may have been stored. */
export function unconfirmed(reason: string, count: number, cause?: unknown): EventsError {
  const what = count === 1
    ? "the event may have been published"
    : `some of ${count} events may have been published`;
  const message = `${what}: ${reason}: send the same again with the same Idempotency-Key`;
  return new EventsError("PublishUnconfirmed", message, { cause });
}
