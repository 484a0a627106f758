/**
 * The entries of events that are published: their dictionary is written here, once for all readers and formats.
 *
 * @module
 */
import type { EncodedEvent } from "../events/encode.ts";
import { formatCursor } from "../events/cursor.ts";
import { dictionaryHead } from "../events/event.ts";
import { utf8Length } from "../events/json.ts";
import { isoTime } from "../events/time.ts";
import type { Entry } from "./channel.ts";

/** What an entry takes in memory beside its JSON, in bytes, about: most of what a small event takes. */
export const ENTRY_BYTES = 256;

/** Makes the entry of an event that is published now: its epoch, its position, and its time in milliseconds since 1970. */
export type EntryWriter = (event: EncodedEvent, epoch: string, position: number, time: number) => Entry;

/** Makes a function that makes entries of events of these types. */
export function createEntryWriter(types: readonly string[]): EntryWriter {
  const heads = new Map(types.map((type) => [type, dictionaryHead(type, undefined)]));
  let moment = momentOf(NaN);
  return (event, epoch, position, time) => {
    if (time !== moment.time) moment = momentOf(time);
    const { type, subject } = event;
    const known = subject === undefined ? heads.get(type) : undefined;
    return new PublishedEntry(event, known ?? dictionaryHead(type, subject), epoch, position, moment);
  };
}

/** What the events of one millisecond share. */
interface Moment {
  readonly time: number;
  /** How their dictionaries end. */
  readonly tail: string;
}

function momentOf(time: number): Moment {
  return { time, tail: Number.isNaN(time) ? "" : `","time":"${isoTime(time)}"}` };
}

const EVENT_KEY = ',"event":';
const ID_KEY = ',"id":"';

/**
 * The entry of an event that was published. Its texts are joined from their parts when they are read, and most parts are shared
 * by many events: the less an event has of its own, the less there is to collect, which is most of what publishing costs.
 */
class PublishedEntry implements Entry {
  readonly position: number;
  readonly type: string;
  readonly subject: string | undefined;
  readonly bytes: number;
  readonly #head: string;
  readonly #payload: string | undefined;
  readonly #epoch: string;
  readonly #moment: Moment;

  constructor(event: EncodedEvent, head: string, epoch: string, position: number, moment: Moment) {
    this.position = position;
    this.type = event.type;
    this.subject = event.subject;
    this.bytes = (event.subject === undefined ? head.length : utf8Length(head)) +
      (event.payload === undefined ? 0 : EVENT_KEY.length + event.bytes) +
      ID_KEY.length + epoch.length + 1 + digits(position) + moment.tail.length;
    this.#head = head;
    this.#payload = event.payload;
    this.#epoch = epoch;
    this.#moment = moment;
  }

  get time(): number {
    return this.#moment.time;
  }

  get id(): string {
    return formatCursor(this.#epoch, this.position);
  }

  get json(): string {
    const event = this.#payload === undefined ? "" : EVENT_KEY + this.#payload;
    return this.#head + event + ID_KEY + this.id + this.#moment.tail;
  }
}

/** Returns the number of decimal digits of a whole number. */
function digits(number: number): number {
  let count = 1;
  for (let power = 10; number >= power; power *= 10) count++;
  return count;
}
