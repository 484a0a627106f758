/**
 * What successive connections have received: from frames to the events that are handed out, and the cursor after them.
 *
 * @module
 */
import type { Catalogue, Schemas } from "../events/catalogue.ts";
import { withoutNull } from "../events/validate.ts";
import { readFrame, textOf } from "./dialect.ts";
import { createEventFilter } from "./event_filter.ts";
import type { Dictionary, Frame } from "./frame.ts";
import type { ConnectOptions } from "./options.ts";

/** What is no cursor: a duration back, a time, `earliest` and `latest`. It does not name the last event received. */
const PLACE = /^-|-.*-|est$/;

/** Number of heartbeats without a byte after which an open connection counts as dead: at least two were missed. */
const HEARTBEATS_MISSED = 2.5;

/** The events received and not handed out yet. */
export class Received {
  /** The cursor after the last event that was handed out. */
  lastId: string | undefined;
  /** The cursor that the current connection was asked to resume after. */
  resumedAfter: string | undefined = undefined;
  /** Whether the current connection has delivered its first event. */
  isOpen = false;
  /** Milliseconds of silence after which the server's heartbeat counts as missing; infinity if it announced none. */
  heartbeatTimeoutMs: number = Infinity;
  /** Parses the text of an event; `undefined` for `JSON.parse`. */
  parse: ((text: string) => unknown) | undefined = undefined;
  readonly #catalogue: Catalogue | undefined;
  readonly #accepts: ReturnType<typeof createEventFilter>;
  readonly #onOpen: (start: Dictionary | undefined, resumed: boolean) => void;
  #frames: readonly Frame[] = [];
  #next = 0;
  /** The frame of the last event that was handed out. */
  #last: Frame | undefined;
  #isClosed = false;

  /**
   * Makes an empty one.
   *
   * @param onOpen called with the first event of each connection, if that is `events_start`, and whether it resumed
   */
  constructor(
    options: ConnectOptions<Schemas, boolean>,
    onOpen: (start: Dictionary | undefined, resumed: boolean) => void,
  ) {
    const { since, catalogue } = options;
    this.#catalogue = catalogue;
    this.lastId = typeof since === "string" && !PLACE.test(since) ? since : undefined;
    this.#accepts = createEventFilter(options);
    this.#onOpen = onOpen;
  }

  /** The JSON text of the last event that was handed out. */
  get lastText(): string | undefined {
    return this.#last === undefined ? undefined : textOf(this.#last, this.#catalogue);
  }

  /** Sets the frames to take from; all earlier ones were taken. */
  push(frames: readonly Frame[]): void {
    this.#frames = frames;
    this.#next = 0;
  }

  /** Drops what was not handed out. If a callback calls it while an event is taken, that event is dropped too. */
  close(): void {
    this.#isClosed = true;
    this.#frames = [];
  }

  /**
   * Takes the next event to hand out; `undefined` if none is left.
   *
   * @throws {EventsError} `InvalidLine`, `LineTooLong`, `InvalidEvent`; and what a callback of the application throws
   */
  take(): Dictionary | undefined {
    while (this.#next < this.#frames.length) {
      const frame = this.#frames[this.#next++]!;
      const received = readFrame(frame, this.#catalogue, this.parse);
      if (received === undefined) continue;
      const { id } = received;
      if (received.event === undefined) {
        this.lastId = id;
        continue;
      }
      const event = this.#catalogue === undefined
        ? received.event
        : withoutNull(this.#catalogue, received.event);
      const isAccepted = (this.isOpen || this.#open(event, id)) &&
        this.#accepts(event, this.#checked(frame), hasBareBlock(frame, event));
      if (this.#isClosed) return undefined;
      this.lastId = id ?? this.lastId;
      if (isAccepted) {
        this.#last = frame;
        return event;
      }
    }
    return undefined;
  }

  /** Returns the event as the catalogue describes it, if it may differ from the one that is handed out. */
  #checked(frame: Frame): Dictionary | undefined {
    if (this.parse === undefined || this.#catalogue === undefined) return undefined;
    return readFrame(frame, this.#catalogue)?.event;
  }

  /** Takes the first event of a connection. Returns whether the connection goes on. */
  #open(event: Dictionary, id: string | undefined): boolean {
    this.isOpen = true;
    const { resumedAfter } = this;
    const start = event.type === "events_start" ? event : undefined;
    // The `events_start` of a server that resumes has the cursor it was asked for.
    const resumed = resumedAfter !== undefined &&
      (start === undefined ? id !== undefined : id === resumedAfter);
    if (start !== undefined) {
      this.lastId = id ?? this.lastId;
      const { heartbeat } = (start.event ?? {}) as { heartbeat?: unknown };
      const announced = typeof heartbeat === "number" && heartbeat > 0 ? heartbeat : Infinity;
      this.heartbeatTimeoutMs = announced * HEARTBEATS_MISSED * 1000;
    }
    this.#onOpen(start, resumed);
    return !this.#isClosed;
  }
}

/** Whether an event is in the dialect of Tribler 8 with a cursor, as a server of this package writes it: without its subject. */
function hasBareBlock(frame: Frame, { id, time }: Dictionary): boolean {
  return typeof frame !== "string" && id !== undefined && time === undefined;
}
