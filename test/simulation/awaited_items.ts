/**
 * Items that arrive one by one, as the clients of NATS have them.
 *
 * @module
 */

/** A sequence that is awaited item by item, until it is stopped. */
export class Items<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  #wake = () => {};
  isStopped = false;
  #ended: (error: Error | void) => void = () => {};
  readonly #closed: Promise<Error | void> = new Promise((resolve) => this.#ended = resolve);

  push(item: T): void {
    if (this.isStopped) return;
    this.#items.push(item);
    this.#wake();
  }

  /** Called when it stops. */
  onStop: () => void = () => {};
  #error: Error | undefined;

  stop(error?: Error): void {
    if (this.isStopped) return;
    this.isStopped = true;
    this.#error = error;
    this.onStop();
    this.#ended(error);
    this.#wake();
  }

  closed(): Promise<Error | void> {
    return this.#closed;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    try {
      for (;;) {
        while (this.#items.length > 0) yield this.#items.shift()!;
        if (this.#error !== undefined) throw this.#error;
        if (this.isStopped) return;
        await new Promise<void>((resolve) => this.#wake = resolve);
      }
    } finally {
      this.stop();
    }
  }
}
