/**
 * Waiting until this process has received a position.
 *
 * @module
 */

/** The pending waits for positions. */
export interface PositionWaiters {
  /** How many wait. */
  readonly size: number;
  /** Whether the position arrives within this number of milliseconds. */
  wait(position: number, ms: number): Promise<boolean>;
  /** All up to this position have arrived. */
  arrived(position: number): void;
  /** Nothing that is waited for will arrive. */
  end(): void;
}

interface Waiting {
  readonly position: number;
  resolve(hasArrived: boolean): void;
}

/** Makes a list of those who wait, empty. */
export function createPositionWaiters(): PositionWaiters {
  /** The lowest position first: what is published is acknowledged in order, so that most belong at the end. */
  const waiting: Waiting[] = [];

  function leave(count: number, hasArrived: boolean): void {
    for (const { resolve } of waiting.splice(0, count)) resolve(hasArrived);
  }

  return {
    get size() {
      return waiting.length;
    },
    wait: (position, ms) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => {
          waiting.splice(waiting.indexOf(me), 1);
          resolve(false);
        }, ms);
        const me: Waiting = {
          position,
          resolve: (hasArrived) => {
            clearTimeout(timer);
            resolve(hasArrived);
          },
        };
        waiting.splice(waiting.findLastIndex((other) => other.position <= position) + 1, 0, me);
      }),
    arrived: (position) => {
      const next = waiting.findIndex((one) => one.position > position);
      leave(next === -1 ? waiting.length : next, true);
    },
    end: () => leave(waiting.length, false),
  };
}
