/**
 * How many events arrive in a second.
 *
 * @module
 */

/** Number of seconds over which the rate is averaged. */
const RATE_SECONDS = 5;

/** Counts events, and returns their recent rate. Times are those of a clock that is never set, in milliseconds. */
export class Rate {
  readonly #started: number;
  /** The counts of the last seconds. */
  readonly #counts = new Map<number, number>();

  constructor(now: number) {
    this.#started = now;
  }

  count(now: number): void {
    const second = Math.floor(now / 1000);
    this.#counts.set(second, (this.#counts.get(second) ?? 0) + 1);
  }

  perSecond(now: number): number {
    const since = now / 1000 - RATE_SECONDS;
    let sum = 0;
    for (const [second, count] of this.#counts) {
      // Of the oldest second counts the part that is not over for as long: otherwise the sum is of four seconds and a part.
      const part = Math.min(1, second + 1 - since);
      if (part <= 0) this.#counts.delete(second);
      else sum += count * part;
    }
    return sum / Math.min(RATE_SECONDS, Math.max(1, (now - this.#started) / 1000));
  }
}
