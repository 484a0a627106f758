/**
 * Position waiters: pending waits until this process has received a position.
 *
 * @module
 */

/** The pending waits for positions. */
export interface PositionWaiters {
  /** The number of pending waits. */
  readonly size: number;
  /** Waits at most this number of milliseconds for the position; `false` if it has not arrived. */
  wait(position: number, ms: number): Promise<boolean>;
  /** Resolves the waits for positions up to this one. */
  arrived(position: number): void;
  /** Resolves all waits with `false`. */
  end(): void;
}

interface Waiting {
  readonly position: number;
  /** When it ends, in `performance.now()`. */
  readonly due: number;
  readonly resolve: (hasArrived: boolean) => void;
}

/** Makes an empty list of waits. */
export function createPositionWaiters(): PositionWaiters {
  /** The lowest position first. Publications are acknowledged in order, so most waits are added at the end. */
  const waiting: Waiting[] = [];
  /** One timer for all waits, because nearly every wait ends long before it is due. */
  let timer: ReturnType<typeof setTimeout> | undefined;
  let timerDue = Infinity;

  function resolveFirst(count: number, hasArrived: boolean): void {
    for (const { resolve } of waiting.splice(0, count)) resolve(hasArrived);
    if (waiting.length === 0) stopTimer();
  }

  function stopTimer(): void {
    clearTimeout(timer);
    timerDue = Infinity;
  }

  function schedule(due: number, now: number): void {
    if (due >= timerDue) return;
    clearTimeout(timer);
    timerDue = due;
    timer = setTimeout(expire, due - now);
  }

  function expire(): void {
    timerDue = Infinity;
    const now = performance.now();
    for (const waiter of [...waiting]) {
      if (waiter.due <= now) {
        waiting.splice(waiting.indexOf(waiter), 1);
        waiter.resolve(false);
      } else schedule(waiter.due, now);
    }
  }

  return {
    get size() {
      return waiting.length;
    },
    wait: (position, ms) =>
      new Promise((resolve) => {
        const now = performance.now();
        const index = waiting.findLastIndex((other) => other.position <= position) + 1;
        waiting.splice(index, 0, { position, due: now + ms, resolve });
        schedule(now + ms, now);
      }),
    arrived: (position) => {
      const next = waiting.findIndex((one) => one.position > position);
      resolveFirst(next === -1 ? waiting.length : next, true);
    },
    end: () => resolveFirst(waiting.length, false),
  };
}
