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
  resolve(hasArrived: boolean): void;
}

/** Makes an empty list of waits. */
export function createPositionWaiters(): PositionWaiters {
  /** The lowest position first. Publications are acknowledged in order, so most waits are added at the end. */
  const waiting: Waiting[] = [];

  function resolveFirst(count: number, hasArrived: boolean): void {
    for (const { resolve } of waiting.splice(0, count)) resolve(hasArrived);
  }

  return {
    get size() {
      return waiting.length;
    },
    wait: (position, ms) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => {
          waiting.splice(waiting.indexOf(waiter), 1);
          resolve(false);
        }, ms);
        const waiter: Waiting = {
          position,
          resolve: (hasArrived) => {
            clearTimeout(timer);
            resolve(hasArrived);
          },
        };
        waiting.splice(waiting.findLastIndex((other) => other.position <= position) + 1, 0, waiter);
      }),
    arrived: (position) => {
      const next = waiting.findIndex((one) => one.position > position);
      resolveFirst(next === -1 ? waiting.length : next, true);
    },
    end: () => resolveFirst(waiting.length, false),
  };
}
