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
  /** The stream takes what has the same name but once. */
  readonly id?: string;
}

/** Stores messages in the stream. */
export interface Publisher {
  /** What keeps it from publishing, as far as is known by what was published last; in words. */
  readonly problem: string | undefined;
  /**
   * Stores messages in their order, and after all for which it was asked before.
   *
   * @returns for each where it stands in the stream, and whether it stood there already
   * @throws {EventsError} `ChannelUnavailable` where none was stored; `PublishUnconfirmed` where some may be
   */
  publish(messages: readonly Outgoing[]): Promise<PubAck[]>;
  /** The stream has answered something else: it is there again. */
  answered(): void;
  /** The connection is gone: whatever waits for an answer will have none. */
  disconnected(): void;
}

/** An acknowledgement that takes longer, in milliseconds, will not come. */
const PATIENCE = 5000;
/**
 * So many messages, or characters of them, wait for their acknowledgements at a time, whoever publishes them: those come
 * well within that. What is more has to wait for its turn.
 */
const MOST_MESSAGES = 5000;
const MOST_LENGTH = 4 * 1024 * 1024;

/** The names of errors that come before a message is sent, or instead of anybody to take it. */
const NOT_SENT = ["JetStreamNotEnabled", "DrainingConnectionError", "ClosedConnectionError"];

/**
 * Makes a publisher to a stream. While that is silent one message at a time tries it, and the others are refused at once.
 */
export function createPublisher(client: JetStreamClient, stream: string): Publisher {
  const waiting = new Set<() => void>();
  /** What waits for acknowledgements. */
  const underWay = { messages: 0, length: 0 };
  /** Called when it has become less. */
  let onRoom = () => {};
  /** Whether the stream has left the last message without an answer. */
  let silent = false;
  /** Why the stream did not take the last one. */
  let refusal: string | undefined;
  /** How often the connection broke. */
  let breaks = 0;
  /** Settles when all for which it was asked before has been sent, where there is something left of it. */
  let sending: Promise<void> | undefined;

  async function publish(messages: readonly Outgoing[]): Promise<PubAck[]> {
    const rounds = roundsOf(messages);
    const results: PromiseSettledResult<PubAck>[] = [];
    const ofConnection = breaks;
    const before = sending;
    let passOn = () => {};
    // What can be sent before this function returns goes out together, in one write of the client.
    const isAtOnce = before === undefined && rounds.length <= 1 && rounds.every(hasRoom);
    const mine = isAtOnce ? undefined : new Promise<void>((resolve) => passOn = resolve);
    sending = mine;
    try {
      if (before !== undefined) await before;
      for (const [index, round] of rounds.entries()) {
        while (breaks === ofConnection && !hasRoom(round)) {
          await new Promise<void>((resolve) => onRoom = resolve);
        }
        const reason = breaks !== ofConnection
          ? "the connection to NATS broke"
          : silent && waiting.size > 0
          ? "the stream does not answer"
          : undefined;
        if (reason !== undefined) {
          throw index === 0 ? unavailable(reason) : unconfirmed(reason, messages.length);
        }
        const answers = send(round);
        if (index === rounds.length - 1) passOn();
        const settled = await answers;
        if (settled === undefined) throw unconfirmed("the connection to NATS broke", messages.length);
        for (const result of settled) results.push(result);
        if (settled.some(({ status }) => status === "rejected")) break;
      }
    } finally {
      passOn();
      if (sending === mine) sending = undefined;
    }
    return storedOf(results, messages.length);
  }

  function hasRoom({ messages, length }: Round): boolean {
    return underWay.messages === 0 ||
      underWay.messages + messages.length <= MOST_MESSAGES && underWay.length + length <= MOST_LENGTH;
  }

  /** Sends messages at once; how each was answered, or `undefined` where the connection broke before. */
  function send({ messages, length }: Round): Promise<PromiseSettledResult<PubAck>[] | undefined> {
    underWay.messages += messages.length;
    underWay.length += length;
    const answers = messages.map(({ subject, data, id }) =>
      client.publish(subject, data, { timeout: PATIENCE, ...(id !== undefined && { msgID: id }) })
    );
    return new Promise((resolve) => {
      const end = (results?: PromiseSettledResult<PubAck>[]) => {
        if (!waiting.delete(end)) return;
        underWay.messages -= messages.length;
        underWay.length -= length;
        resolve(results);
        onRoom(); // Whoever is next knows by then whether the stream is silent.
      };
      waiting.add(end);
      Promise.allSettled(answers).then(end);
    });
  }

  /** @param count how many were to be stored, of which those after an error were not even sent */
  function storedOf(results: readonly PromiseSettledResult<PubAck>[], count: number): PubAck[] {
    const stored = results.flatMap((result) => result.status === "fulfilled" ? [result.value] : []);
    const errors = results.flatMap((result) => result.status === "rejected" ? [result.reason] : []);
    if (results.length > 0) {
      silent = stored.length === 0 && errors.some((error) => !isRefusal(error));
      const refused = errors.find((error) => error instanceof JetStreamApiError);
      refusal = stored.length === 0 && refused !== undefined ? reasonOf(refused) : undefined;
    }
    // Where the stream no longer has these subjects another one may have them: its numbers are not of this channel.
    const other = stored.find((ack) => ack.stream !== stream);
    if (other !== undefined) {
      throw unconfirmed(`the stream ${other.stream} has answered for ${stream}`, count);
    }
    if (errors.length === 0) return stored;
    const unsure = errors.find((error) => !isRefusal(error));
    if (stored.length === 0 && unsure === undefined) throw unavailable(reasonOf(errors[0]), errors[0]);
    throw unconfirmed(reasonOf(unsure ?? errors[0]), count, unsure ?? errors[0]);
  }

  return {
    get problem() {
      return silent
        ? "the stream does not answer"
        : refusal && `the stream has refused what was published last: ${refusal}`;
    },
    publish,
    answered: () => {
      silent = false;
    },
    disconnected: () => {
      silent = false;
      breaks++;
      for (const giveUp of waiting) giveUp();
    },
  };
}

/** Messages that are sent at once. */
interface Round {
  readonly messages: Outgoing[];
  /** How many characters they have. */
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
 * Whether it is sure that a message was not stored: the stream said so, there is none to take it, the connection takes
 * no more, or the server did not let it pass.
 */
function isRefusal(error: unknown): boolean {
  return error instanceof JetStreamApiError || NOT_SENT.includes((error as Error).name) || isForbidden(error);
}

/** Whether the user of the connection may not publish there. Where he may not hear the answer it may be stored. */
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

/** Nothing was stored. */
export function unavailable(reason: string, cause?: unknown): EventsError {
  return new EventsError("ChannelUnavailable", `nothing was published: ${reason}: try again later`, {
    cause,
  });
}

/** Nobody knows whether something was stored. */
export function unconfirmed(reason: string, count: number, cause?: unknown): EventsError {
  const what = count === 1
    ? "whether the event was published is not known"
    : `some of ${count} events may be published`;
  const message = `${what}: ${reason}: send the same again with the same Idempotency-Key`;
  return new EventsError("PublishUnconfirmed", message, { cause });
}
