/**
 * Permissions: what the application says a request may do, asked for again for as long as its stream is open.
 *
 * @module
 */
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { PublishedEvent, Schemas } from "../events/catalogue.ts";
import { EventsError } from "../events/errors.ts";

/** What a request may do. */
export interface Permission<S extends Schemas = Schemas> {
  /**
   * Which events it may see, replayed ones too; default all. Where it throws, the response is cut off.
   *
   * @param event the event; shared with other requests, so not to be changed
   */
  readonly filter?: (event: PublishedEvent<S>) => boolean;
  /** When the permission ends: a date, or milliseconds since 1970; default never. */
  readonly expiresAt?: Date | number;
}

/** Says what a request may do; `true` is everything, `false` nothing. */
export type Authorize<S extends Schemas = Schemas> = (
  context: Context,
) => Permission<S> | boolean | Promise<Permission<S> | boolean>;

/** Asks the application, at once and again. */
export interface Authorizer<S extends Schemas> {
  /**
   * Asks what a request may do.
   *
   * @throws {EventsError} `Unauthorized` where it may do nothing; and what the application throws
   */
  authorize(c: Context): Promise<Permission<S>>;
  /**
   * Asks again and again, until it is told to stop or the permission is gone. It is gone as well where no answer comes
   * in time: at any moment the last answer is one to a question of the last pace.
   *
   * @param permission the last answer
   * @param tell called with each new answer, and with `undefined` once the permission is gone
   * @returns stops it
   */
  keepAuthorized(
    c: Context,
    permission: Permission<S>,
    tell: (permission: Permission<S> | undefined) => void,
  ): () => void;
}

/** A request whose stream is open. */
interface Watched<S extends Schemas> {
  readonly c: Context;
  readonly tell: (permission: Permission<S> | undefined) => void;
  permission: Permission<S>;
  /**
   * When it is asked for again, in `performance.now()`; one that is being asked for must be answered by then. Either
   * takes less than half a pace, and a look a tenth, so the last answer is of a question no older than one pace.
   */
  due: number;
  asking: boolean;
}

/**
 * Makes a guard. One timer serves all its streams, and runs while there are any.
 *
 * It looks ten times in each pace, so that the streams of many are not all asked for in the same moment.
 *
 * @param authorize the application's answer; whatever is neither `true` nor a permission refuses
 * @param paceMs each stream is asked for, and answered, within so many milliseconds
 * @param onError told of what it throws for an open stream, unless that is a refusal
 */
export function createAuthorizer<S extends Schemas>(
  authorize: Authorize<S>,
  paceMs: number,
  onError: (error: unknown) => void,
): Authorizer<S> {
  const open = new Set<Watched<S>>();
  let timer: ReturnType<typeof setInterval> | undefined;

  async function ask(c: Context): Promise<Permission<S>> {
    const answer = await authorize(c) as unknown;
    const permission: Permission<S> = answer === true ? {} : answer as Permission<S>;
    if (typeof permission === "object" && permission !== null && !isOver(permission)) return permission;
    throw new EventsError("Unauthorized", "the request has no permission for this, or no longer");
  }

  async function askAgain(watched: Watched<S>): Promise<void> {
    watched.asking = true;
    watched.due = dueAgain();
    try {
      watched.permission = await ask(watched.c);
      watched.asking = false;
      if (open.has(watched)) watched.tell(watched.permission);
    } catch (error) {
      if (!(error instanceof EventsError || error instanceof HTTPException)) onError(error);
      refuse(watched);
    }
  }

  function refuse(watched: Watched<S>): void {
    if (!open.has(watched)) return;
    stop(watched);
    watched.tell(undefined);
  }

  function look(): void {
    const now = performance.now();
    for (const watched of open) {
      const isDue = watched.due <= now;
      if (isOver(watched.permission) || (isDue && watched.asking)) refuse(watched);
      else if (isDue) askAgain(watched);
    }
  }

  function dueAgain(): number {
    return performance.now() + 0.4 * paceMs;
  }

  function stop(watched: Watched<S>): void {
    open.delete(watched);
    if (open.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  }

  return {
    authorize: ask,
    keepAuthorized: (c, permission, tell) => {
      const watched: Watched<S> = { c, tell, permission, due: dueAgain(), asking: false };
      open.add(watched);
      timer ??= setInterval(look, paceMs / 10);
      return () => stop(watched);
    },
  };
}

/** Whether the permission has ended; one that ends at no time that can be told never began. */
function isOver({ expiresAt }: Permission): boolean {
  return expiresAt !== undefined && !(Number(expiresAt) > Date.now());
}
