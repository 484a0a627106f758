/**
 * The truth of a simulation, and the accounts that readers keep of it.
 *
 * @module
 */
import { subjectMatcher } from "../../src/events/subject.ts";
import type { World } from "./world.ts";

/** What a reader asks for. */
export interface Wish {
  readonly types: readonly string[] | undefined;
  readonly subjects: readonly string[] | undefined;
}

/** What a user may see; `undefined` for nothing at all. */
export type Right = Wish | undefined;

/** An event that was published. */
export interface Published {
  readonly n: number;
  readonly type: string;
  readonly subject: string | undefined;
  /** When it was published, in milliseconds since 1970: up to 20 ms after its own time. */
  readonly time: number;
  /** When it was erased. */
  erasedAt?: number;
  /** Whether it may be gone: it is being erased, or was when the power was lost. */
  isErasing?: boolean;
}

/** One numbering. */
export interface Epoch {
  readonly name: string;
  readonly events: Published[];
  /** The most events it keeps. */
  readonly keeps: number;
  /** Whether it forgets for other reasons too. */
  ages: boolean;
  /** Whether it has lost its newest events: until a server notices that, it may name a position of those after them in it. */
  hasLostTail?: boolean;
}

/** An event, or a move of the position, as a reader received it. */
export interface Item {
  readonly type?: string;
  readonly subject?: string | undefined;
  readonly event?:
    | { readonly n?: number; readonly reason?: string; readonly count?: number | null }
    | undefined;
  readonly id: string | undefined;
  /** RFC 3339. */
  readonly time?: string;
  /** Whether its dialect leaves out the subject. */
  readonly isBare?: boolean;
}

/** What may take that long between a change of a permission and its effect, in milliseconds, beside one heartbeat. */
const SLACK_MS = 150;

/** A right, and since when. */
interface Granted {
  readonly since: number;
  readonly right: Right;
  /** When it ends, in milliseconds since 1970. */
  readonly expiresAt: number | undefined;
}

/** Everything that was published, and who was allowed to see it when. */
export class Truth {
  readonly epochs: Map<string, Epoch> = new Map();
  readonly #rights = new Map<string, Granted[]>();
  readonly #expiries = new Map<string, number | undefined>();
  readonly heartbeatMs: number;
  /** How late something may be, in milliseconds, beside what it says. */
  readonly slackMs: number;
  readonly world: World;

  constructor(world: World, heartbeatMs: number) {
    this.world = world;
    this.heartbeatMs = heartbeatMs;
    // What takes time makes every timer late.
    this.slackMs = SLACK_MS * Math.max(1, 2 * world.workMs);
  }

  /**
   * Sets what a user may see from now on.
   *
   * @param expiresAt when that ends, in milliseconds since 1970
   */
  allow(user: string, right: Right, expiresAt?: number): void {
    this.#expiries.set(user, expiresAt);
    const rights = this.#rights.get(user) ?? [];
    this.#rights.set(user, rights);
    rights.push({ since: rights.length === 0 ? -Infinity : this.world.now, right, expiresAt });
  }

  /** When the right of a user ends, in milliseconds since 1970. */
  expiryOf(user: string): number | undefined {
    return this.#expiries.get(user);
  }

  /** Ends the rights whose time has come. */
  expire(): void {
    for (const [user, expiresAt] of this.#expiries) {
      if (expiresAt !== undefined && expiresAt <= this.world.wall) this.allow(user, undefined);
    }
  }

  /** What a user may see now. */
  rightOf(user: string): Right {
    this.expire();
    return this.#rights.get(user)!.at(-1)!.right;
  }

  /** What a user was allowed to see at any moment in this time. */
  rightsIn(user: string, from: number, to: number): Right[] {
    this.expire();
    const rights = this.#rights.get(user)!;
    const nextOf = (i: number) => rights[i + 1]?.since ?? Infinity;
    // A server may know of the next one only when this one has ended.
    const isEnd = ({ expiresAt }: Granted, i: number) =>
      expiresAt !== undefined && expiresAt <= this.world.wall && nextOf(i) >= from - 2 * this.heartbeatMs;
    const inTime = rights.filter(({ since }, i) => since <= to && nextOf(i) >= from).map(({ right }) =>
      right
    );
    return rights.some(isEnd) ? [...inTime, undefined] : inTime;
  }
}

/** Whether an event is among those asked for. */
export function isWanted({ type, subject }: Published, { types, subjects }: Wish): boolean {
  const isType = types === undefined ||
    types.some((name) => name.endsWith("*") ? type.startsWith(name.slice(0, -1)) : type === name);
  return isType && (subjects === undefined || subjectMatcher(subjects)(subject));
}

/** What one reader has received, and what it still has to receive. */
export class Account {
  /** The last position that the reader is past; `undefined` before the first event. */
  at: { epoch: string; position: number } | undefined;
  delivered = 0;
  lost = 0;
  /** Whether it begins at a time: how many events that are no longer kept were published since then is not known. */
  isByTime = false;
  /** Whether a loss of unknown size is due: the position is of another epoch. */
  #isForeign = false;
  readonly #truth: Truth;
  readonly #who: string;
  readonly #wish: Wish;
  readonly #rightsIn: (from: number, to: number) => Right[];
  /** Since when what is hidden may have been hidden. */
  #since: number;
  /** Whether it has neither cursors nor `events_lost`, as some dialects have it. */
  readonly #isBlind: boolean;

  constructor(
    truth: Truth,
    who: string,
    wish: Wish,
    rightsIn: (from: number, to: number) => Right[],
    isBlind: boolean = false,
  ) {
    this.#isBlind = isBlind;
    this.#truth = truth;
    this.#who = who;
    this.#wish = wish;
    this.#rightsIn = rightsIn;
    this.#since = truth.world.now;
  }

  #fail(what: string): void {
    this.#truth.world.fail(this.#who, what);
  }

  /**
   * Takes the start of a connection.
   *
   * @param current the epoch of the server
   */
  begin(id: string | undefined, current: string): void {
    if (this.#isBlind) return void (this.at = undefined);
    const start = this.#read(id);
    if (start === undefined) return;
    this.#isForeign = start.epoch !== current;
    if (this.at === undefined) this.at = start;
    else if (start.epoch !== this.at.epoch) {
      this.#fail(`the stream starts at ${id}, not after ${this.#text()}`);
    } else this.#moveTo(start.position, id!);
  }

  /**
   * Takes an event, or a move of the position.
   *
   * @param sentFrom the earliest moment at which it may have been sent
   */
  take(item: Item, sentFrom: number): void {
    const at = this.#isBlind ? this.#find(item) : this.#read(item.id);
    if (at === undefined) {
      if (this.#isBlind) this.delivered++; // It is not known which of several it is, but it has arrived.
      return;
    }
    if (this.#isBlind && this.at?.epoch !== at.epoch) this.at = { ...at, position: at.position - 1 };
    if (item.type === "events_lost") return this.#lose(item, at);
    if (this.at === undefined) return this.#fail(`${item.id} arrives before the start`);
    if (at.epoch !== this.at.epoch || this.#isForeign) {
      return this.#fail(`${item.id} arrives after ${this.#text()} without events_lost`);
    }
    if (item.type === undefined || item.type === "events_bookmark") {
      return this.#moveTo(at.position, item.id!);
    }
    if (at.position <= this.at.position) return this.#fail(`${item.id} arrives after ${this.#text()}`);
    this.#moveTo(at.position - 1, item.id!);
    const epoch = this.#truth.epochs.get(at.epoch);
    const truth = epoch?.events[at.position - 1];
    if (truth === undefined) {
      if (epoch?.hasLostTail !== true) return this.#fail(`${item.id} was never published`);
      this.at.position = at.position; // It came after those that were lost, and belongs to the next epoch.
      this.delivered++;
      return;
    }
    const isSame = truth.n === item.event?.n && truth.type === item.type &&
      (item.isBare === true || truth.subject === item.subject);
    if (!isSame) {
      return this.#fail(`${item.id} is ${JSON.stringify(item)}, not ${JSON.stringify(truth)}`);
    }
    if (!this.#maySee(truth, sentFrom)) this.#fail(`${item.id} is hidden from it, and arrives`);
    this.at.position = at.position;
    this.delivered++;
  }

  /** Whether all that it misses is hidden from it. */
  get isComplete(): boolean {
    if (this.#isBlind) return true;
    const epoch = [...this.#truth.epochs.values()].at(-1)!;
    if (this.at === undefined || this.#isForeign || this.at.epoch !== epoch.name) return false;
    return epoch.events.slice(this.at.position).every((event) => this.#mayMiss(event));
  }

  /** Whether it has received all up to a position; also if it is at one before those that are held. */
  isAt(last: number, heldFrom: number): boolean {
    if (this.#isBlind || this.at === undefined || this.at.position < heldFrom) return true;
    const epoch = this.at && this.#truth.epochs.get(this.at.epoch);
    return epoch !== undefined &&
      epoch.events.slice(this.at!.position, last).every((event) => this.#mayMiss(event));
  }

  get place(): string {
    return this.#text();
  }

  #lose({ id, event }: Item, at: { epoch: string; position: number }): void {
    const { reason, count } = event ?? {};
    const epoch = this.#truth.epochs.get(at.epoch);
    if (epoch === undefined) return this.#fail(`events_lost names the epoch of ${id}, which never was`);
    const isOther = this.at?.epoch !== at.epoch || this.#isForeign;
    const isUncounted = reason === "history_expired" && count === null && this.isByTime &&
      !isOther && this.delivered === 0;
    if (!isUncounted && (isOther !== (reason === "unknown_epoch") || isOther !== (count === null))) {
      this.#fail(`events_lost ${JSON.stringify(event)} at ${id} after ${this.#text()}`);
    }
    if (isUncounted && at.position < this.at!.position) {
      return this.#fail(`${id} arrives after ${this.#text()}`);
    }
    if (!isOther && !isUncounted) {
      const from = at.position - count!; // What its filter hides may have passed before.
      if (!(count! > 0) || from < this.at!.position) {
        return this.#fail(`events_lost counts ${count} from ${this.#text()} to ${id}`);
      }
      this.#moveTo(from, id!);
    }
    if (!epoch.ages && at.position > Math.max(0, epoch.events.length - epoch.keeps)) {
      this.#fail(`events_lost goes to ${id}, and ${epoch.keeps} of ${epoch.events.length} are kept`);
    }
    this.lost += count ?? 0;
    this.at = at;
    this.#isForeign = false;
  }

  /** Moves on: everything on the way must be hidden. */
  #moveTo(position: number, id: string): void {
    const { epoch, position: before } = this.at!;
    if (position < before) return this.#fail(`${id} arrives after ${this.#text()}`);
    const known = this.#truth.epochs.get(epoch);
    const events = known?.events ?? [];
    if (known !== undefined && position > events.length && known.hasLostTail !== true) {
      this.#fail(`${id} was never published`);
    }
    for (let i = this.#isBlind ? position : before; i < position; i++) {
      const event = events[i];
      if (event !== undefined && !this.#mayMiss(event)) {
        return this.#fail(`${epoch}-${i + 1} (${event.type}) is missing before ${id}, after ${this.#text()}`);
      }
    }
    this.at = { epoch, position };
  }

  #maySee(event: Published, sentFrom: number): boolean {
    const { world, heartbeatMs, slackMs } = this.#truth;
    return isWanted(event, this.#wish) && !(event.erasedAt! < sentFrom) &&
      this.#rightsIn(sentFrom - heartbeatMs - slackMs, world.now)
        .some((right) => right !== undefined && isWanted(event, right));
  }

  #mayMiss(event: Published): boolean {
    const { world, heartbeatMs } = this.#truth;
    return !isWanted(event, this.#wish) || event.erasedAt !== undefined || event.isErasing === true ||
      this.#rightsIn(this.#since - heartbeatMs, world.now)
        .some((right) => right === undefined || !isWanted(event, right));
  }

  /** Finds an event without a cursor by its number. */
  #find({ event }: Item): { epoch: string; position: number } | undefined {
    const epochs = [...this.#truth.epochs.values()];
    // Within a stream what follows is of the same epoch, or of a later one.
    const at = this.at;
    const here = at === undefined ? epochs.length : epochs.findIndex(({ name }) => name === at.epoch);
    for (const { name, events } of epochs.slice(here)) {
      const least = name === at!.epoch ? at!.position : 0;
      const index = events.findIndex(({ n }, index) => index >= least && n === event?.n);
      if (index !== -1) return { epoch: name, position: index + 1 };
    }
    // The first one may be of any epoch that has it: the oldest may be followed by all others.
    for (const { name, events } of at === undefined ? epochs : epochs.slice(0, here + 1).reverse()) {
      const index = events.findLastIndex(({ n }) => n === event?.n);
      if (index === -1) continue;
      if (events.findIndex(({ n }) => n === event?.n) === index) return { epoch: name, position: index + 1 };
      this.at = undefined; // A request that was repeated after its key was forgotten: it could be either.
      return undefined;
    }
    this.#fail(`${JSON.stringify(event)} was never published`);
    return undefined;
  }

  #read(id: string | undefined): { epoch: string; position: number } | undefined {
    const [, epoch, position] = /^([0-9a-z]+)-(\d+)$/.exec(id ?? "") ?? [];
    if (epoch !== undefined) return { epoch, position: Number(position) };
    this.#fail(`there is no cursor in ${JSON.stringify(id)}`);
    return undefined;
  }

  #text(): string {
    return this.at === undefined ? "nothing" : `${this.at.epoch}-${this.at.position}`;
  }
}
