/**
 * Publishing to the stream: many at once, each acknowledged, and none kept back in secret.
 *
 * @module
 */
import { JetStreamApiError, type JetStreamClient, type PubAck } from "@nats-io/jetstream";
import { EventsError } from "../events/errors.ts";

/** One message to be stored. */
export interface Outgoing {
  readonly subject: string;
  readonly data: string;
  /** The stream stores messages with the same id only once. */
  readonly id?: string;
}

/** Stores messages in the stream. */
export interface Publisher {
  /** What keeps it from publishing, in words, as far as the last publication shows. */
  readonly problem: string | undefined;
  /**
   * Stores messages in their order, after those of all earlier calls.
   *
   * @returns for each its position in the stream, and whether it was there already
   * @throws {EventsError} `ChannelUnavailable` if none was stored; `PublishUnconfirmed` if some may be
   */
  publish(messages: readonly Outgoing[]): Promise<PubAck[]>;
  /** Notes that the stream has answered another request: it is up again. */
  answered(): void;
  /** Notes that the connection broke: no answer will arrive. */
  disconnected(): void;
}

/** An acknowledgement that takes longer than this will not arrive. */
const ACK_TIMEOUT_MS = 5000;
/**
 * Maximum number of messages, and of their characters, that wait for acknowledgements at a time over all publications: these
 * arrive well within the time-out. Further messages wait for their turn.
 */
const MOST_MESSAGES = 5000;
const MOST_LENGTH = 4 * 1024 * 1024;

/** The names of errors that come before a message is sent, or because there is no stream to accept it. */
const NOT_SENT = ["JetStreamNotEnabled", "DrainingConnectionError", "ClosedConnectionError"];

/**
 * Makes a publisher to a stream. While the stream is silent, one message at a time probes it, and the others are rejected at
 * once.
 */
export function createPublisher(client: JetStreamClient, stream: string): Publisher {
  return new StreamPublisher(client, stream);
}

class StreamPublisher implements Publisher {
  readonly #client: JetStreamClient;
  readonly #stream: string;
  readonly #waiting = new Set<() => void>();
  /** What waits for acknowledgements. */
  readonly #underWay = { messages: 0, length: 0 };
  /** Called when it has become less. */
  #onRoom = () => {};
  /** Whether the stream has left the last message without an answer. */
  #silent = false;
  /** Why the stream did not accept the last one. */
  #refusal: string | undefined;
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
      : this.#refusal && `the stream has refused what was published last: ${this.#refusal}`;
  }

  answered(): void {
    this.#silent = false;
  }

  disconnected(): void {
    this.#silent = false;
    this.#breaks++;
    for (const giveUp of this.#waiting) giveUp();
  }

  async publish(messages: readonly Outgoing[]): Promise<PubAck[]> {
    const rounds = roundsOf(messages);
    const results: PromiseSettledResult<PubAck>[] = [];
    const ofConnection = this.#breaks;
    const before = this.#sending;
    let passOn = () => {};
    // What can be sent before this function returns goes out together, in one write of the client.
    const isAtOnce = before === undefined && rounds.length <= 1 &&
      rounds.every((round) => this.#hasRoom(round));
    const mine = isAtOnce ? undefined : new Promise<void>((resolve) => passOn = resolve);
    this.#sending = mine;
    try {
      if (before !== undefined) await before;
      for (const [index, round] of rounds.entries()) {
        while (this.#breaks === ofConnection && !this.#hasRoom(round)) {
          await new Promise<void>((resolve) => this.#onRoom = resolve);
        }
        const reason = this.#breaks !== ofConnection
          ? "the connection to NATS broke"
          : this.#silent && this.#waiting.size > 0
          ? "the stream does not answer"
          : undefined;
        if (reason !== undefined) {
          throw index === 0 ? unavailable(reason) : unconfirmed(reason, messages.length);
        }
        const answers = this.#send(round);
        if (index === rounds.length - 1) passOn();
        const settled = await answers;
        if (settled === undefined) throw unconfirmed("the connection to NATS broke", messages.length);
        for (const result of settled) results.push(result);
        if (settled.some(({ status }) => status === "rejected")) break;
      }
    } finally {
      passOn();
      if (this.#sending === mine) this.#sending = undefined;
    }
    return this.#storedOf(results, messages.length);
  }

  #hasRoom({ messages, length }: Round): boolean {
    return this.#underWay.messages === 0 ||
      this.#underWay.messages + messages.length <= MOST_MESSAGES &&
        this.#underWay.length + length <= MOST_LENGTH;
  }

  /** Sends messages at once; how each was answered, or `undefined` where the connection broke before. */
  #send({ messages, length }: Round): Promise<PromiseSettledResult<PubAck>[] | undefined> {
    this.#underWay.messages += messages.length;
    this.#underWay.length += length;
    const answers = messages.map(({ subject, data, id }) =>
      this.#client.publish(subject, data, { timeout: ACK_TIMEOUT_MS, ...(id !== undefined && { msgID: id }) })
    );
    return new Promise((resolve) => {
      const end = (results?: PromiseSettledResult<PubAck>[]) => {
        if (!this.#waiting.delete(end)) return;
        this.#underWay.messages -= messages.length;
        this.#underWay.length -= length;
        resolve(results);
        this.#onRoom(); // The next one knows by then whether the stream is silent.
      };
      this.#waiting.add(end);
      Promise.allSettled(answers).then(end);
    });
  }

  /** @param count how many were to be stored, of which those after an error were not even sent */
  #storedOf(results: readonly PromiseSettledResult<PubAck>[], count: number): PubAck[] {
    const stored = results.flatMap((result) => result.status === "fulfilled" ? [result.value] : []);
    const errors = results.flatMap((result) => result.status === "rejected" ? [result.reason] : []);
    if (results.length > 0) {
      this.#silent = stored.length === 0 && errors.some((error) => !isRefusal(error));
      const refused = errors.find((error) => error instanceof JetStreamApiError);
      this.#refusal = stored.length === 0 && refused !== undefined ? reasonOf(refused) : undefined;
    }
    // If the stream no longer has these subjects, another one may: its numbers do not belong to this channel.
    const other = stored.find((ack) => ack.stream !== this.#stream);
    if (other !== undefined) {
      throw unconfirmed(`the stream ${other.stream} has answered for ${this.#stream}`, count);
    }
    if (errors.length === 0) return stored;
    const unsure = errors.find((error) => !isRefusal(error));
    if (stored.length === 0 && unsure === undefined) throw unavailable(reasonOf(errors[0]), errors[0]);
    throw unconfirmed(reasonOf(unsure ?? errors[0]), count, unsure ?? errors[0]);
  }
}

/** Messages that are sent at once. */
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
      round !== undefined && round.messages.length < MOST_MESSAGES && round.length + length <= MOST_LENGTH
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
 * Whether a message was certainly not stored: the stream said so, there is no stream, the connection accepts no more, or the
 * server rejected it.
 */
function isRefusal(error: unknown): boolean {
  return error instanceof JetStreamApiError || NOT_SENT.includes((error as Error).name) || isForbidden(error);
}

/** Whether the user of the connection may not publish there. If only the answer is forbidden, the message may be stored. */
export function isForbidden(error: unknown): boolean {
  const { cause } = error as Error;
  const violation = cause as { readonly name?: unknown; readonly operation?: unknown } | undefined;
  return violation?.name === "PermissionViolationError" && violation.operation === "publish";
}

function reasonOf(error: unknown): string {
  const { name, message } = error as Error;
  if (name === "JetStreamNotEnabled") return "there is no stream, or it has no leader";
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
    ? "whether the event was published is not known"
    : `some of ${count} events may be published`;
  const message = `${what}: ${reason}: send the same again with the same Idempotency-Key`;
  return new EventsError("PublishUnconfirmed", message, { cause });
}
