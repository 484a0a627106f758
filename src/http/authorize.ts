/**
 * Authorization: what the application lets a request do. It is asked again while a stream is open.
 *
 * @module
 */
import type { Context } from "hono";
import {
  ARRAY,
  BOOLEAN,
  describe,
  type Expected,
  FUNCTION,
  NUMBER,
  OBJECT,
  STRING,
} from "../events/arguments.ts";
import type { PublishedEvent, Schemas } from "../events/catalogue.ts";
import { EventsError } from "../events/errors.ts";
import { isSubject } from "../events/subject.ts";

/** What a request may do. */
export interface Permission<S extends Schemas = Schemas> {
  /**
   * Decides which events the request may see, replayed ones too; default all. If it throws, the response is aborted.
   *
   * @param event the event; shared with other requests, so it must not be changed
   */
  readonly filter?: (event: PublishedEvent<S>) => boolean;
  /**
   * The subjects of the events that the request may see, and publish; `*` at the end of one matches a prefix. Events without a
   * subject are not among them. Default all events.
   */
  readonly subjects?: readonly string[];
  /** The types of the events that the request may see, and publish; `*` at the end of one matches a prefix. Default all. */
  readonly types?: readonly string[];
  /** When the permission ends: a date, or milliseconds (not seconds) since 1970; default never. */
  readonly expiresAt?: Date | number;
  /** The name of whom it is for, such as that of a key: for `onStreamEnd` and the statistics. It must hold no secret. */
  readonly name?: string;
  /** Whether `authorize` is not asked again for the stream, which ends at {@linkcode expiresAt} at the latest; default no. */
  readonly isFinal?: boolean;
}

/** Decides what a request may do; `true` is everything, `false` nothing. */
export type Authorize<S extends Schemas = Schemas> = (
  context: Context,
) => Permission<S> | boolean | Promise<Permission<S> | boolean>;

/** An answer of the application. */
export interface Grant<S extends Schemas> {
  readonly permission: Permission<S>;
  /** When the question was asked, in `performance.now()`: the answer may be as old as that. */
  readonly askedAt: number;
}

/** Asks the application what requests may do. */
export interface Authorizer<S extends Schemas> {
  /**
   * Asks what a request may do.
   *
   * @throws {EventsError} `Unauthorized` if it may do nothing; and what the application throws
   */
  authorize(c: Context): Promise<Grant<S>>;
  /**
   * Asks again if the permission has ended meanwhile, or was asked for so long ago that an open stream would ask again.
   *
   * @throws {EventsError} `Unauthorized` if the request may do nothing any more; and what the application throws
   */
  refresh(c: Context, grant: Grant<S>): Promise<Grant<S>>;
  /**
   * Asks again while a stream is open, in the context of the caller, which is that of its request. The last answer is never
   * to a question older than one interval, unless the first took longer than half of one: if a later answer is late, the
   * permission ends.
   *
   * @param grant the last answer
   * @param onChange called with each new answer, and with `undefined` once the permission has ended
   * @returns a function that stops it
   */
  keepAuthorized(
    c: Context,
    grant: Grant<S>,
    onChange: (permission: Permission<S> | undefined) => void,
  ): () => void;
}

/** An open stream. */
interface AuthorizedStream<S extends Schemas> {
  readonly c: Context;
  readonly onChange: (permission: Permission<S> | undefined) => void;
  permission: Permission<S>;
  /**
   * When to ask next, in `performance.now()`, or when the pending question must be answered. Each takes 0.4 of an interval
   * and a sweep 0.1 at most, so the last answer is never to a question older than one interval.
   */
  dueAt: number;
  isAsking: boolean;
}

/** Number of sweeps in an interval: they spread the questions about many streams over time. */
const SWEEPS_PER_INTERVAL = 10;
/** Share of an interval after which a stream is asked about again, and within which the answer must arrive. */
const ANSWER_SHARE = 0.4;

const PATTERNS: Expected = {
  text: "patterns",
  accepts: (value) => ARRAY.accepts(value) && (value as unknown[]).every(isSubject),
};
const PERMISSION: Readonly<Record<keyof Permission, Expected>> = {
  filter: FUNCTION,
  subjects: PATTERNS,
  types: PATTERNS,
  expiresAt: { text: "a date", accepts: (value) => value instanceof Date || NUMBER.accepts(value) },
  name: STRING,
  isFinal: BOOLEAN,
};

const ANSWERS = `true, false, or { ${Object.keys(PERMISSION).join(", ")} } and nothing else`;

/**
 * Whether an answer of the application is a permission. Everything else rejects the request: an object with a slip in the
 * name of its filter, or a response with the status 401, must not allow everything.
 */
function isPermission<S extends Schemas>(answer: unknown): answer is Permission<S> {
  if (!OBJECT.accepts(answer)) return false;
  return Reflect.ownKeys(answer as object).every((name) => {
    const value = (answer as Readonly<Record<PropertyKey, unknown>>)[name];
    if (!Object.hasOwn(PERMISSION, name)) return false;
    return value === undefined || PERMISSION[name as keyof Permission].accepts(value);
  });
}

/** Waits for an answer of the application. Rejects if it is none that allows the request. */
async function permissionOf<S extends Schemas>(
  answering: unknown,
  onError: (error: unknown) => void,
): Promise<Permission<S>> {
  const answer = await answering;
  if (answer === true) return {};
  if (isPermission<S>(answer)) {
    if (!isExpired(answer)) return answer;
    if (isInSeconds(answer)) onError(new TypeError(`authorize: ${secondsText(answer.expiresAt)}`));
  } else if (answer !== false && answer !== undefined && answer !== null) {
    onError(new TypeError(`authorize: the answer must be ${ANSWERS}, not ${describe(answer)}`));
  }
  throw new EventsError("Unauthorized", "the request is not authorized, or no longer");
}

/**
 * Makes an authorizer. One timer serves all its streams, and runs only while there are any.
 *
 * Each stream has an async function of its own, which waits for the timer: it keeps the context of its request
 * (`AsyncLocalStorage`) across `await` on every runtime, without an API of any. A loop over all streams would ask about
 * each in the context of the first.
 *
 * @param authorize the application's decision; anything but `true` or a permission rejects the request
 * @param intervalMs number of milliseconds within which each stream is asked about and answered
 * @param onError called with what `authorize` throws for an open stream, unless that rejects the request; and with a
 *   `TypeError` if it answers something else than `true`, a permission, `false`, `undefined` or `null`
 * @param onAuthorized called with the name of the permission for each request that has one
 */
export function createAuthorizer<S extends Schemas>(
  authorize: Authorize<S>,
  intervalMs: number,
  onError: (error: unknown) => void,
  onAuthorized: (name: string) => void = () => {},
): Authorizer<S> {
  const open = new Set<AuthorizedStream<S>>();
  const ticks = createTicks(intervalMs / SWEEPS_PER_INTERVAL);

  const ask = async (c: Context): Promise<Permission<S>> => await permissionOf(authorize(c), onError);

  /** When the answer to a question is due, and when the next one is to be asked after it. */
  function dueAfter(askedAt: number): number {
    return askedAt + ANSWER_SHARE * intervalMs;
  }

  async function askAgain(stream: AuthorizedStream<S>): Promise<void> {
    stream.isAsking = true;
    stream.dueAt = dueAfter(performance.now());
    try {
      stream.permission = await ask(stream.c);
      stream.isAsking = false;
      if (open.has(stream)) stream.onChange(stream.permission);
    } catch (error) {
      if (!(error instanceof EventsError || isHttpException(error))) onError(error);
      revoke(stream);
    }
  }

  function revoke(stream: AuthorizedStream<S>): void {
    if (!open.has(stream)) return;
    stop(stream);
    stream.onChange(undefined);
  }

  async function sweep(stream: AuthorizedStream<S>): Promise<void> {
    while (open.has(stream)) {
      await ticks.next();
      if (!open.has(stream)) return;
      const isDue = stream.dueAt <= performance.now() && stream.permission.isFinal !== true;
      if (isExpired(stream.permission) || (isDue && stream.isAsking)) revoke(stream);
      else if (isDue) void askAgain(stream);
    }
  }

  function stop(stream: AuthorizedStream<S>): void {
    open.delete(stream);
    if (open.size === 0) ticks.stop();
  }

  async function grant(c: Context): Promise<Grant<S>> {
    const askedAt = performance.now();
    return { permission: await ask(c), askedAt };
  }

  return {
    authorize: async (c) => {
      const granted = await grant(c);
      const { name } = granted.permission;
      if (name !== undefined) onAuthorized(name);
      return granted;
    },
    refresh: async (c, granted) => {
      const { permission, askedAt } = granted;
      const isDue = permission.isFinal !== true && dueAfter(askedAt) <= performance.now();
      return isDue || isExpired(permission) ? await grant(c) : granted;
    },
    keepAuthorized: (c, { permission, askedAt }, onChange) => {
      const dueAt = dueAfter(askedAt);
      const stream: AuthorizedStream<S> = { c, onChange, permission, dueAt, isAsking: false };
      open.add(stream);
      void sweep(stream);
      return () => stop(stream);
    },
  };
}

/** A clock for which many functions wait. */
interface Ticks {
  /** Resolves at the next tick, or when the clock is stopped; starts the clock. */
  next(): Promise<void>;
  /** Stops the clock. */
  stop(): void;
}

function createTicks(ms: number): Ticks {
  let timer: ReturnType<typeof setInterval> | undefined;
  let tick: Promise<void> | undefined;
  let resolve = () => {};

  function strike(): void {
    tick = undefined;
    resolve();
  }

  return {
    next: () => {
      timer ??= setInterval(strike, ms); // Not a timeout for each tick, or the lateness of each would add up.
      return tick ??= new Promise((settle) => resolve = settle);
    },
    stop: () => {
      clearInterval(timer);
      timer = undefined;
      strike();
    },
  };
}

/** The time in 1973 before which a number of milliseconds can only be one of seconds: as such it is beyond the year 5000. */
const FIRST_MS = 1e11;

/** Whether a permission ends at a number that can only be seconds, as the `exp` of a token is. */
function isInSeconds(permission: Permission): permission is Permission & { readonly expiresAt: number } {
  const { expiresAt } = permission;
  return typeof expiresAt === "number" && expiresAt * 1000 > Date.now() && expiresAt < FIRST_MS;
}

function secondsText(seconds: number): string {
  return `expiresAt is ${seconds}, which can only be seconds: it takes milliseconds since 1970, or a Date`;
}

/** Whether the permission has ended; one with an invalid `expiresAt` has. */
function isExpired({ expiresAt }: Permission): boolean {
  return expiresAt !== undefined && !(Number(expiresAt) > Date.now());
}

/** Whether it is an `HTTPException`, found as Hono does it: the application may have another copy of the class. */
function isHttpException(error: unknown): boolean {
  return error instanceof Error && "getResponse" in error;
}
