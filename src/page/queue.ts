/**
 * A queue with constant cost at both ends; an array's `shift` moves all elements behind it.
 *
 * @module
 */

/** A queue, oldest first. */
export interface Queue<T> {
  readonly length: number;
  /** Returns the element at this place, from 0; `undefined` beyond the end. */
  at(index: number): T | undefined;
  push(item: T): void;
  /** Removes and returns the oldest element. */
  shift(): T | undefined;
}

/** Number of empty places at the front before the memory is released. */
const SLACK = 1024;

/** Makes an empty queue. */
export function createQueue<T>(): Queue<T> {
  let items: (T | undefined)[] = [];
  let first = 0;
  return {
    get length() {
      return items.length - first;
    },
    at: (index) => items[first + index],
    push: (item) => void items.push(item),
    shift: () => {
      if (first === items.length) return undefined;
      const item = items[first];
      items[first++] = undefined;
      if (first > SLACK && first * 2 > items.length) {
        items = items.slice(first);
        first = 0;
      }
      return item;
    },
  };
}
