/**
 * The plan of a simulation: everything that happens on purpose, drawn from the seed before it begins.
 *
 * A step carries all its own choices, so that a plan without some of its steps is still a plan: that is how it is shrunk.
 *
 * @module
 */
import type { Right, Wish } from "./account.ts";
import type { World } from "./world.ts";

export const TYPES = ["tick", "trade_new", "trade_gone", "rare"] as const;
const SUBJECTS = ["order/1", "order/2", "user/1"] as const;

/** An event to publish. */
export interface Wanted {
  readonly type: string;
  readonly subject: string | undefined;
  /** The number of characters that make it larger. */
  readonly padding: number;
}

export type ReaderKind = "connect" | "connect sse" | "ndjson" | "sse";

/** The dialects that endpoints speak. */
export const DIALECTS = ["7.1", "7.4", "7.5", "7.12", "8"] as const;
export type DialectName = typeof DIALECTS[number];

export interface ReaderPlan {
  readonly kind: ReaderKind;
  readonly dialect: DialectName;
  readonly wish: Wish;
  readonly user: string;
  readonly since: "latest" | "earliest";
  /** Begins with what was published in so many milliseconds before it joins, in place of `since`; 0 for not. */
  readonly sinceMs: number;
  /** The zone in which its times are written; `back` for a duration back from now. */
  readonly zone: typeof OFFSETS[number];
  /** The number of events to begin with, in place of `since`; 0 for none. */
  readonly last: number;
  /** After this many events its streams end by themselves; 0 for never. */
  readonly limit: number;
  /** Its first streams end by themselves after this many milliseconds; 0 for never. */
  readonly untilMs: number;
  /** Whether its streams wait for what is published. */
  readonly follow: boolean;
  readonly bookmarks: boolean;
}

/** How a connection is cut: who sees it, and as what. */
export type Way = "reset" | "end" | "nobody" | "client only" | "server only";

export type Step = { readonly at: number } & Deed;

export type Deed =
  | { readonly do: "publish"; readonly events: readonly Wanted[] }
  | {
    readonly do: "post";
    readonly events: readonly Wanted[];
    readonly isLines: boolean;
    /** When the request is sent, and sent again, in milliseconds after the step. */
    readonly tries: readonly number[];
    /** Whether it has an idempotency key: without one it is sent once. */
    readonly hasKey: boolean;
  }
  | { readonly do: "join"; readonly reader: number; readonly plan: ReaderPlan }
  | { readonly do: "pause"; readonly reader: number; readonly ms: number }
  | { readonly do: "leave"; readonly reader: number; readonly ms: number }
  | { readonly do: "cut"; readonly reader: number; readonly way: Way; readonly bytes: number }
  | { readonly do: "stall"; readonly reader: number; readonly ms: number }
  | {
    readonly do: "restart";
    /** Which of the servers. */
    readonly server: number;
    /** How it ends: `endpoint` keeps the channel; `close` drains; the others end the process. */
    readonly how: Ending;
    /** Milliseconds for which streams are let out. */
    readonly drainMs: number;
    readonly downMs: number;
  }
  | ({ readonly do: "trouble" } & Trouble)
  | {
    readonly do: "permit";
    readonly user: string;
    readonly right: Right;
    /** After how many milliseconds of the wall clock it ends; `undefined` for never. */
    readonly endsMs: number | undefined;
  }
  | {
    /** Another key counts for a user from now on, and clients have it after some time. */
    readonly do: "new key";
    readonly user: string;
    readonly lagMs: number;
  }
  | {
    /** Publishes events one by one, faster than they can be delivered one by one. */
    readonly do: "burst";
    readonly count: number;
    readonly everyMs: number;
  }
  | { readonly do: "erase"; readonly subject: string }
  | { readonly do: "set clock"; readonly ms: number }
  | { readonly do: "set zone"; readonly zone: string };

/** The zones of times in requests. */
const OFFSETS = ["Z", "Z", "+05:30", "-11:00", "+14:00", "-00:00", "back"] as const;
/** The zones of processes. */
const ZONES = ["UTC", "Asia/Kolkata", "America/New_York", "Pacific/Kiritimati"] as const;

/** How a server ends. */
export type Ending = "endpoint" | "close" | "crash" | "power cut";

/** What goes wrong where events are kept, and for how long. */
export interface Trouble {
  readonly what: typeof TROUBLES[keyof typeof TROUBLES][number];
  readonly ms: number;
}

/** What can go wrong, by where events are kept. */
const TROUBLES = {
  memory: [],
  file: ["full disk", "slow disk", "failing disk"],
  nats: ["cut connection", "frozen stream", "replaced stream", "lost tail", "silent consumer"],
} as const;

export interface Plan {
  readonly seed: number;
  /** Where events are kept. */
  readonly channel: keyof typeof TROUBLES;
  /** The number of events that a file or a stream keeps. */
  readonly keeps: number;
  readonly durability: "process" | "power";
  /** The most milliseconds that a write takes to reach the disk. */
  readonly diskMs: number;
  /** The most milliseconds between a server and NATS. */
  readonly natsMs: number;
  /** The number of servers. */
  readonly servers: number;
  /** How far the wall clock moves away, as a share of the time. */
  readonly drift: number;
  readonly history: number;
  readonly ageSeconds: number | undefined;
  readonly heartbeat: number;
  readonly hasUsers: boolean;
  /**
   * How servers learn what a user may see: an application that is asked again, or answers for good (`isFinal`), keys with names,
   * or JSON Web Tokens.
   */
  readonly access: "asked" | "final" | "keys" | "tokens";
  /** For how many milliseconds a token is valid. */
  readonly tokenMs: number;
  /** The time zone of the process. */
  readonly zone: string;
  /** The most idempotency keys that a server remembers, and for how long. */
  readonly maxKeys: number;
  readonly keySeconds: number;
  /** The number of batches that are published right before a drain, faster than they can be delivered one by one. */
  readonly lastBurst: number;
  /** The most milliseconds for which a busy server holds events back. */
  readonly maxDelay: number;
  /** Milliseconds that `authorize` takes. */
  readonly authorizeMs: number;
  readonly workMs: number;
  readonly latencyMs: number;
  /** The most bytes in a piece that arrives; 0 for whole chunks. */
  readonly pieceBytes: number;
  readonly steps: readonly Step[];
}

/** Memory is the cheapest one to simulate, and has most of the code. */
const CHANNELS = ["memory", "memory", "file", "nats"] as const;

export function makePlan(world: World): Plan {
  const random = world.randomOf("plan");
  const int = (from: number, to: number) => from + Math.floor(random() * (to - from + 1));
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!;
  const chance = (share: number) => random() < share;
  const hasUsers = chance(0.5);
  const users = hasUsers ? ["ann", "bob"] : ["all"];
  const readers = int(1, 4);
  const channel = pick<Plan["channel"]>(CHANNELS);
  const servers = channel === "nats" ? int(1, 3) : 1;
  const padding = chance(0.15) ? 30_000 : 20;

  const wish = (): Wish => ({
    types: chance(0.5) ? undefined : pick([["trade_*"], ["tick"], ["rare"], ["tick", "rare"]]),
    subjects: chance(0.75) ? undefined : pick([["order/*"], ["order/1"], ["user/1", "order/2"]]),
  });
  const events = (most: number): Wanted[] =>
    Array.from({ length: int(1, most) }, () => ({
      type: chance(0.04) ? "rare" : pick(TYPES.slice(0, 3)),
      subject: chance(0.4) ? undefined : pick(SUBJECTS),
      padding: chance(0.1) ? int(0, padding) : 0,
    }));
  const right = (): Right => chance(0.25) ? undefined : chance(0.3) ? ALL : wish();
  const kindOf = () => {
    const kind = pick<ReaderKind>(["connect", "connect", "connect sse", "ndjson", "sse"]);
    const isPlain = kind === "ndjson" || kind === "sse";
    return {
      kind,
      dialect: chance(0.8) ? "7.1" : pick(isPlain ? DIALECTS : (["7.4", "8"] as const)),
      last: chance(0.8) ? 0 : int(1, 12),
      limit: isPlain && chance(0.15) ? int(1, 5) : 0,
      untilMs: isPlain && chance(0.1) ? int(1, 8000) : 0,
      sinceMs: chance(0.1) ? pick([1, 100, 3000, 60_000]) : 0,
      zone: pick(OFFSETS),
      follow: !isPlain || chance(0.85),
    } as const;
  };
  const access = pick<Plan["access"]>(["asked", "asked", "final", "keys", "tokens"]);
  const joined = (): ReaderPlan => ({
    ...kindOf(),
    wish: wish(),
    user: pick(users),
    since: pick(["latest", "earliest"]),
    bookmarks: chance(0.5),
  });
  const reader = () => int(0, readers - 1);
  const deeds: readonly (readonly [weight: number, () => Deed])[] = [
    [30, () => ({ do: "publish", events: events(chance(0.15) ? 60 : 4) })],
    [8, () => {
      const hasKey = chance(0.8);
      const tries = !hasKey
        ? [0]
        : chance(0.3)
        ? [0, 0]
        : Array.from({ length: int(1, 3) }, () => chance(0.7) ? int(0, 300) : int(500, 6000));
      return { do: "post", events: events(4), isLines: chance(0.4), tries, hasKey };
    }],
    [7, () => ({ do: "pause", reader: reader(), ms: pick([20, 500, 12_000, 90_000]) })],
    [5, () => ({ do: "leave", reader: reader(), ms: pick([0, 30, 3000]) })],
    [16, () => ({
      do: "cut",
      reader: reader(),
      way: pick<Way>(["reset", "reset", "end", "nobody", "client only", "server only"]),
      bytes: chance(0.4) ? 0 : int(0, 400),
    })],
    [6, () => ({ do: "stall", reader: reader(), ms: pick([50, 2000, 14_000, 100_000]) })],
    [channel === "memory" ? 4 : 7, () => ({
      do: "restart",
      server: int(0, servers - 1),
      how: pick<Ending>([
        "endpoint",
        "endpoint",
        "close",
        "crash",
        channel === "file" ? "power cut" : "crash",
      ]),
      drainMs: pick([10, 1000]),
      downMs: pick([0, 50, 2500]),
    })],
    [channel === "memory" ? 0 : 6, () => ({
      do: "trouble",
      what: pick<Trouble["what"]>(TROUBLES[channel as "file"]),
      ms: pick([20, 500, 3000, 12_000]),
    })],
    [hasUsers ? 7 : 0, () => ({
      do: "permit",
      user: pick(users),
      right: right(),
      endsMs: chance(0.3) ? pick([100, 3000, 20_000]) : undefined,
    })],
    [hasUsers && access === "keys" ? 5 : 0, () => ({
      do: "new key",
      user: pick(users),
      lagMs: pick([0, 300, 3000]),
    })],
    [2, () => ({ do: "burst", count: int(5, 40), everyMs: pick([0.1, 0.3, 1]) })],
    [channel === "nats" ? 0 : 5, () => ({ do: "erase", subject: pick(SUBJECTS) })],
    [1, () => ({ do: "set zone", zone: pick(ZONES) })],
    [2, () => ({ do: "set clock", ms: pick([-3_600_000, -2000, 2000, 3_600_000]) })],
  ];
  const total = deeds.reduce((sum, [weight]) => sum + weight, 0);
  const deed = (): Deed => {
    let left = random() * total;
    return deeds.find(([weight]) => (left -= weight) < 0)![1]();
  };
  const steps: Step[] = [];
  let at = 0;
  for (let i = 0; i < readers; i++) {
    steps.push({ at: at += int(0, 40), do: "join", reader: i, plan: joined() });
  }
  if (chance(0.5)) steps.unshift({ at: 0, do: "publish", events: events(30) });
  for (let i = int(5, 45); i > 0; i--) {
    at += chance(0.75) ? int(0, 40) : chance(0.7) ? int(100, 3000) : int(3000, 30_000);
    steps.push({ at, ...deed() });
  }
  return {
    seed: world.seed,
    channel,
    keeps: pick([10, 40, 1000]),
    durability: pick(["process", "power"]),
    diskMs: pick([0, 2, 20]),
    natsMs: pick([0, 1, 20]),
    servers,
    drift: chance(0.2) ? pick([-0.01, 0.01]) : 0,
    history: pick([3, 10, 40, 1000]),
    ageSeconds: channel === "memory" && chance(0.15) ? pick([2, 20]) : undefined,
    heartbeat: pick([5, 5, 2]),
    hasUsers,
    access,
    tokenMs: pick([1500, 8000, 60_000]),
    zone: pick(ZONES),
    ...(chance(0.1) ? { maxKeys: 2, keySeconds: 20 } : { maxKeys: 100_000, keySeconds: 120 }),
    lastBurst: pick([0, 0, 10]),
    maxDelay: pick([5, 5, 0, 50]),
    authorizeMs: pick([0, 0, 30, 600]),
    workMs: chance(0.3) ? pick([0.5, 2]) : 0,
    latencyMs: pick([0, 1, 20, 200]),
    pieceBytes: pick([0, 0, 7, 60, 1000]),
    steps,
  };
}

/** The right to see everything. */
export const ALL: Wish = { types: undefined, subjects: undefined };

/** The text of a step, for people. */
export function describeStep({ at, ...deed }: Step): string {
  const { do: what, ...rest } = deed;
  const text = JSON.stringify(rest, (_, value) => value === undefined ? null : value);
  return `${(at / 1000).toFixed(3).padStart(9)}  ${what}  ${
    text.length > 160 ? `${text.slice(0, 157)}…` : text
  }`;
}
