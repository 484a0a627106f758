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
  /** When it was erased. */
  erasedAt?: number;
}

/** One numbering. */
export interface Epoch {
  readonly name: string;
  readonly events: Published[];
  /** The most events it keeps. */
  readonly keeps: number;
  /** Whether it forgets by age too. */
  readonly ages: boolean;
}

/** An event, or a move of the position, as a reader received it. */
export interface Item {
  readonly type?: string;
  readonly subject?: string | undefined;
  readonly event?:
    | { readonly n?: number; readonly reason?: string; readonly count?: number | null }
    | undefined;
  readonly id: string | undefined;
}

/** What may take that long between a change of a permission and its effect, in milliseconds, beside one heartbeat. */
export const SLACK_MS = 150;

/** Everything that was published, and who was allowed to see it when. */
export class Truth {
  readonly epochs: Map<string, Epoch> = new Map();
  readonly #rights = new Map<string, { readonly since: number; readonly right: Right }[]>();
  readonly heartbeatMs: number;
  readonly world: World;

  constructor(world: World, heartbeatMs: number) {
    this.world = world;
    this.heartbeatMs = heartbeatMs;
  }

  allow(user: string, right: Right): void {
    const rights = this.#rights.get(user) ?? [];
    this.#rights.set(user, rights);
    rights.push({ since: rights.length === 0 ? -Infinity : this.world.now, right });
  }

  /** What a user may see now. */
  rightOf(user: string): Right {
    return this.#rights.get(user)!.at(-1)!.right;
  }

  /** What a user was allowed to see at any moment in this time. */
  rightsIn(user: string, from: number, to: number): Right[] {
    const rights = this.#rights.get(user)!;
    return rights.filter(({ since }, i) => since <= to && (rights[i + 1]?.since ?? Infinity) >= from)
      .map(({ right }) => right);
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
  /** Whether a loss of unknown size is due: the position is of another epoch. */
  #isForeign = false;
  readonly #truth: Truth;
  readonly #who: string;
  readonly #wish: Wish;
  readonly #user: string;
  /** Since when what is hidden may have been hidden. */
  #since: number;

  constructor(truth: Truth, who: string, wish: Wish, user: string) {
    this.#truth = truth;
    this.#who = who;
    this.#wish = wish;
    this.#user = user;
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
    const at = this.#read(item.id);
    if (at === undefined) return;
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
    const truth = this.#truth.epochs.get(at.epoch)?.events[at.position - 1];
    if (truth === undefined) return this.#fail(`${item.id} was never published`);
    if (truth.n !== item.event?.n || truth.type !== item.type || truth.subject !== item.subject) {
      return this.#fail(`${item.id} is ${JSON.stringify(item)}, not ${JSON.stringify(truth)}`);
    }
    if (!this.#maySee(truth, sentFrom)) this.#fail(`${item.id} is hidden from it, and arrives`);
    this.at.position = at.position;
    this.delivered++;
  }

  /** Whether all that it misses is hidden from it. */
  get isComplete(): boolean {
    const epoch = [...this.#truth.epochs.values()].at(-1)!;
    if (this.at === undefined || this.#isForeign || this.at.epoch !== epoch.name) return false;
    return epoch.events.slice(this.at.position).every((event) => this.#mayMiss(event));
  }

  /** Whether it has received all that its epoch will ever have. */
  get isAtEnd(): boolean {
    const epoch = this.at && this.#truth.epochs.get(this.at.epoch);
    return epoch !== undefined &&
      epoch.events.slice(this.at!.position).every((event) => this.#mayMiss(event));
  }

  get place(): string {
    return this.#text();
  }

  #lose({ id, event }: Item, at: { epoch: string; position: number }): void {
    const { reason, count } = event ?? {};
    const epoch = this.#truth.epochs.get(at.epoch);
    if (epoch === undefined) return this.#fail(`events_lost names the epoch of ${id}, which never was`);
    const isOther = this.at?.epoch !== at.epoch || this.#isForeign;
    if (isOther !== (reason === "unknown_epoch") || isOther !== (count === null)) {
      this.#fail(`events_lost ${JSON.stringify(event)} at ${id} after ${this.#text()}`);
    }
    if (!isOther) {
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
    const events = this.#truth.epochs.get(epoch)?.events ?? [];
    if (position > events.length && this.#truth.epochs.has(epoch)) this.#fail(`${id} was never published`);
    for (let i = before; i < position; i++) {
      const event = events[i];
      if (event !== undefined && !this.#mayMiss(event)) {
        return this.#fail(`${epoch}-${i + 1} (${event.type}) is missing before ${id}, after ${this.#text()}`);
      }
    }
    this.at = { epoch, position };
  }

  #maySee(event: Published, sentFrom: number): boolean {
    const { world, heartbeatMs } = this.#truth;
    return isWanted(event, this.#wish) && !(event.erasedAt! < sentFrom) &&
      this.#truth.rightsIn(this.#user, sentFrom - heartbeatMs - SLACK_MS, world.now)
        .some((right) => right !== undefined && isWanted(event, right));
  }

  #mayMiss(event: Published): boolean {
    const { world, heartbeatMs } = this.#truth;
    return !isWanted(event, this.#wish) || event.erasedAt !== undefined ||
      this.#truth.rightsIn(this.#user, this.#since - heartbeatMs, world.now)
        .some((right) => right === undefined || !isWanted(event, right));
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
