/**
 * The world of a simulation: its time, its chance, and the globals that the code under test reads them from.
 *
 * Import it before the code under test: `src/stream/next_turn.ts` takes `setImmediate` when it is loaded.
 *
 * @module
 */
import { createHash, createHmac } from "node:crypto";
import process from "node:process";
import { type Random, randomOf } from "../support/hostile_proxy.ts";

const realSetImmediate = globalThis.setImmediate;
let current: World | undefined;

// It is replaced for good, because the code under test keeps the function; it is the real one while no world is there.
globalThis.setImmediate = ((callback: (...args: unknown[]) => void, ...args: unknown[]) => {
  if (current === undefined) return realSetImmediate(callback, ...args);
  current.immediates.push(() => callback(...args));
  return 0;
}) as unknown as typeof setImmediate;

interface Timer {
  readonly id: number;
  due: number;
  readonly everyMs: number | undefined;
  readonly run: () => void;
  /** Whether the code under test has set it. */
  readonly isTested: boolean;
}

/** The beginning of the name of a folder of a simulation. */
export const FOLDER = "simulation-";
/** After this many milliseconds a sleep notices that its end was moved. */
export const MOST_SLEEP_MS = 2000;

/** When every simulation begins, in milliseconds since 1970. */
const BEGINNING_MS = Date.UTC(2026, 0, 1);

/** The time and the chance of one simulation. */
export class World {
  /** The functions that the code under test put off to the next turn. */
  readonly immediates: (() => void)[] = [];
  /** What happened: when, to whom, and what. */
  readonly #happened: (readonly [now: number, who: string, what: string | (() => string)])[] = [];
  /** The first violation. */
  failure: string | undefined;
  /** Whether what is under way comes to its end, whatever it violates. */
  isEnding = false;
  /** The most milliseconds that a look at the clock takes: the code under test has work to do. */
  workMs = 0;
  /** How far the wall clock was set, in milliseconds. */
  clockStepMs = 0;
  /** Whether the wall clock was ever set. */
  wasSet = false;
  /** How far the wall clock moves away, as a share of the time. */
  drift = 0;
  /** The number of turns of the event loop. */
  turns = 0;
  readonly seed: number;
  readonly random: Random;
  readonly #work: Random;
  readonly #timers = new Map<number, Timer>();
  #now = 0;
  #ids = 0;

  constructor(seed: number) {
    this.seed = seed;
    this.random = this.randomOf("code");
    this.#work = this.randomOf("work");
  }

  /** Milliseconds since the beginning. */
  get now(): number {
    return this.#now;
  }

  /** The wall clock. */
  get wall(): number {
    return BEGINNING_MS + Math.floor(this.#now * (1 + this.drift)) + this.clockStepMs;
  }

  /** The number of timers that the code under test has set. */
  get timersLeft(): number {
    return [...this.#timers.values()].filter(({ isTested }) => isTested).length;
  }

  /** Sets the wall clock. */
  setClock(ms: number): void {
    this.clockStepMs += ms;
    this.wasSet = true;
  }

  /** Sets the time zone of the process. */
  set zone(name: string) {
    process.env["TZ"] = name;
  }

  /** Makes a stream of chance that depends on the seed and a name alone. */
  randomOf(name: string): Random {
    let hash = (this.seed + 0x9e3779b9) | 0;
    for (let i = 0; i < name.length; i++) {
      hash = Math.imul(hash ^ name.charCodeAt(i), 0x5bd1e995) ^ (hash >>> 15);
    }
    const random = randomOf(hash);
    for (let i = 0; i < 4; i++) random(); // The first numbers of seeds that are alike are alike.
    return random;
  }

  /** Notes what happens. A text that takes a while is made when it is read. */
  log(who: string, what: string | (() => string)): void {
    this.#happened.push([this.#now, who, what]);
  }

  /** The number of notes. */
  get notes(): number {
    return this.#happened.length;
  }

  /** Drops the notes after so many. */
  forgetAfter(notes: number): void {
    this.#happened.length = notes;
  }

  /** What happened, for people. */
  get trace(): string[] {
    return this.#happened.map(([now, who, what]) => {
      const text = withoutFolder(typeof what === "string" ? what : what());
      return `${(now / 1000).toFixed(4).padStart(10)}  ${who.padEnd(10)} ${text}`;
    });
  }

  /** Records a violation: the first one ends the simulation. */
  fail(who: string, what: string): void {
    this.log(who, `VIOLATION: ${what}`);
    this.failure ??= `${who}: ${withoutFolder(what)}`;
  }

  /** Calls a function of the simulator later. */
  after(ms: number, run: () => void): number {
    return this.#start(ms, undefined, run, false);
  }

  cancel(id: number | undefined): void {
    if (id !== undefined) this.#timers.delete(id);
  }

  /** Resolves after this many milliseconds of the simulator. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.after(ms, resolve));
  }

  /** Records a violation if a promise is not settled after this many milliseconds. */
  limit<T>(promise: Promise<T>, ms: number, who: string, what: string): Promise<T> {
    const timer = this.after(ms, () => this.fail(who, `${what} takes longer than ${ms} ms`));
    const settled = () => this.cancel(timer);
    promise.then(settled, settled);
    return promise;
  }

  /** Resolves at a time, which may be moved meanwhile. */
  async sleepUntil(time: () => number): Promise<void> {
    while (time() > this.#now) await this.sleep(Math.min(time() - this.#now, MOST_SLEEP_MS));
  }

  #start(ms: number, everyMs: number | undefined, run: () => void, isTested: boolean): number {
    const id = ++this.#ids;
    this.#timers.set(id, { id, due: this.#now + ms, everyMs, run, isTested });
    return id;
  }

  /** Lets time pass: runs what is due in its order, each after everything before it has come to rest. */
  async elapse(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await this.#rest();
      if (this.failure !== undefined && !this.isEnding) return;
      const next = this.#next();
      if (next === undefined || next.due > end) break;
      this.#now = Math.max(this.#now, next.due);
      if (next.everyMs === undefined) this.#timers.delete(next.id);
      else next.due = this.#now + next.everyMs;
      next.run();
    }
    this.#now = Math.max(this.#now, end);
  }

  #next(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers.values()) {
      if (first === undefined || timer.due < first.due) first = timer; // Of two at a time the older one.
    }
    return first;
  }

  /**
   * Runs all microtasks, and what was put off to the next turn. One turn of the real event loop comes after all of them: the
   * streams of Node use nothing else.
   */
  async #rest(): Promise<void> {
    for (let turns = 0;; turns++) {
      this.turns++;
      await new Promise<void>((resolve) => void realSetImmediate(resolve));
      const run = this.immediates.shift();
      if (run === undefined) return;
      if (turns === 100_000) return this.fail("world", "the next turn never comes to rest");
      run();
    }
  }

  /** Replaces the globals for as long as the function runs. */
  async inhabit(live: () => Promise<void>): Promise<void> {
    if (current !== undefined) throw new Error("there is another world already");
    const leave = replaceGlobals(this, {
      work: () => this.workMs === 0 ? 0 : this.#now += this.#work() ** 4 * this.workMs,
      start: (ms, everyMs, run) => this.#start(ms, everyMs, run, true),
    });
    current = this;
    const { TZ } = process.env;
    const onRejection = (error: unknown) => this.fail("process", `an unhandled rejection: ${error}`);
    process.on("unhandledRejection", onRejection);
    try {
      await live();
    } finally {
      current = undefined;
      if (TZ === undefined) delete process.env["TZ"];
      else process.env["TZ"] = TZ;
      process.off("unhandledRejection", onRejection);
      leave();
    }
  }
}

/** Returns a text without the folder of this run. */
function withoutFolder(text: string): string {
  return text.includes(FOLDER) ? text.replaceAll(/\/[\w/]*\/simulation-\w+\//g, "") : text;
}

interface Clock {
  work(): void;
  start(ms: number, everyMs: number | undefined, run: () => void): number;
}

type Callback = (...args: unknown[]) => void;

/** A timer as Node returns it. */
class TimerHandle {
  readonly id: number;
  constructor(id: number) {
    this.id = id;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
}

function replaceGlobals(world: World, clock: Clock): () => void {
  const { setTimeout, clearTimeout, setInterval, clearInterval, Date } = globalThis;
  const delayOf = (ms: number | undefined) => Math.max(1, Number(ms) || 0);
  const clear = (timer: TimerHandle | undefined) => world.cancel(timer?.id);
  const wall = () => {
    clock.work();
    return world.wall;
  };
  Object.assign(globalThis, {
    setTimeout: (callback: Callback, ms?: number, ...args: unknown[]) =>
      new TimerHandle(clock.start(delayOf(ms), undefined, () => callback(...args))),
    setInterval: (callback: Callback, ms?: number, ...args: unknown[]) =>
      new TimerHandle(clock.start(delayOf(ms), delayOf(ms), () => callback(...args))),
    clearTimeout: clear,
    clearInterval: clear,
    Date: class extends Date {
      constructor(...args: unknown[]) {
        super(...(args.length === 0 ? [wall()] : args) as [number]);
      }
      static override now(): number {
        return wall();
      }
    },
  });
  const { random } = Math;
  Math.random = world.random;
  const own: readonly [object, string, unknown][] = [
    [performance, "now", () => {
      clock.work();
      return world.now;
    }],
    [crypto, "randomUUID", () => uuid(world.random)],
    // The real ones run on another thread, and so end at any time.
    [crypto.subtle, "importKey", (_: string, key: Uint8Array) => Promise.resolve(key)],
    [
      crypto.subtle,
      "verify",
      (_: unknown, key: Uint8Array, signature: Uint8Array, data: Uint8Array) =>
        Promise.resolve(createHmac("sha256", key).update(data).digest().equals(signature)),
    ],
    [crypto.subtle, "digest", (_: string, data: Uint8Array) => {
      const { buffer, byteOffset, byteLength } = createHash("sha256").update(data).digest();
      return Promise.resolve(buffer.slice(byteOffset, byteOffset + byteLength));
    }],
  ];
  for (const [object, name, value] of own) Object.defineProperty(object, name, { value, configurable: true });
  return () => {
    Object.assign(globalThis, { setTimeout, setInterval, clearTimeout, clearInterval, Date });
    Math.random = random;
    for (const [object, name] of own) Reflect.deleteProperty(object, name);
  };
}

function uuid(random: Random): string {
  const digits = Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16)).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
