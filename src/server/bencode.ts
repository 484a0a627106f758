/**
 * Bencode (BEP 3): a strict scan of a whole text, and values read from where they stand.
 *
 * No value is made before it is asked for: a torrent of 300 000 files is some millions of values. The libraries for
 * bencode make all of them, take what is no number for one, and do not say where a value stands, so none is used.
 *
 * @module
 */

/** What a limit is for: a text beyond it may be well-formed, and is not read. */
export interface BencodeLimits {
  /** Maximum number of values, ends of lists and dictionaries included. */
  readonly maxValues: number;
  /** Maximum number of lists and dictionaries within each other. */
  readonly maxDepth: number;
}

/** The bytes are not bencode: the message says why, and where. */
export class BencodeError extends Error {}
/** The text is beyond a limit. */
export class BencodeLimitError extends Error {}

/** A value: its place in the order of the text, which only {@linkcode Bencode} can make use of. */
export type Value = number & { readonly bencode: unique symbol };

const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const DICTIONARY = 0x64;
const END = 0x65;
const INTEGER = 0x69;
const LIST = 0x6c;

/** A bencoded text: its first value is whole, and whatever follows that is ignored, as libtorrent does. */
export class Bencode {
  readonly #bytes: Uint8Array;
  /** For each value where it begins, and which value comes after it and all that is in it. */
  #starts = new Uint32Array(1024);
  #nexts = new Uint32Array(1024);
  #count = 0;
  /** The lists and dictionaries that are open. */
  readonly #open: number[] = [];
  /** Whether the next value in each of them is a key. */
  readonly #isKey: boolean[] = [];

  /**
   * Scans a text.
   *
   * @throws {BencodeError} if it is not bencode
   * @throws {BencodeLimitError} if it is beyond a limit
   */
  constructor(bytes: Uint8Array, { maxValues, maxDepth }: BencodeLimits) {
    this.#bytes = bytes;
    let at = 0;
    do {
      if (at >= bytes.length) throw cutOff(bytes.length);
      if (this.#open.length >= maxDepth) {
        throw new BencodeLimitError(`it nests more than ${maxDepth} levels deep`);
      }
      if (this.#count === maxValues) throw new BencodeLimitError(`it holds more than ${maxValues} values`);
      at = this.#scanValue(at);
    } while (this.#open.length > 0);
    this.#push(at); // Where the last value ends.
  }

  /** The first value. */
  get root(): Value {
    return 0 as Value;
  }

  /** Whether a value is a dictionary. */
  isDictionary(value: Value | undefined): value is Value {
    return this.#kindOf(value) === DICTIONARY;
  }

  /** Whether a value is a list. */
  isList(value: Value | undefined): value is Value {
    return this.#kindOf(value) === LIST;
  }

  /** Returns an integer; `undefined` if the value is none, or a double cannot hold it. */
  integer(value: Value | undefined): number | undefined {
    if (this.#kindOf(value) !== INTEGER) return undefined;
    const text = String.fromCharCode(...this.section(value!).subarray(1, -1).subarray(0, 32));
    const number = Number(text);
    return Number.isSafeInteger(number) ? number : undefined;
  }

  /** Returns the bytes of a string, which are not copied; `undefined` if the value is none. */
  string(value: Value | undefined): Uint8Array | undefined {
    const kind = this.#kindOf(value);
    if (kind === undefined || kind < ZERO || kind > NINE) return undefined;
    const section = this.section(value!);
    return section.subarray(section.indexOf(COLON) + 1);
  }

  /** Returns the values of a list; none if the value is no list. */
  *items(list: Value | undefined): Generator<Value> {
    if (!this.isList(list)) return;
    const end = this.#nexts[list]! - 1;
    for (let item = list + 1; item < end; item = this.#nexts[item]!) yield item as Value;
  }

  /** Returns the number of values in a list. */
  count(list: Value): number {
    let count = 0;
    for (const _ of this.items(list)) count++;
    return count;
  }

  /** Returns the keys and values of a dictionary, in the order of the text; none if the value is no dictionary. */
  *entries(dictionary: Value | undefined): Generator<readonly [key: Uint8Array, value: Value]> {
    if (!this.isDictionary(dictionary)) return;
    const end = this.#nexts[dictionary]! - 1;
    for (let key = dictionary + 1; key < end; key = this.#nexts[key + 1]!) {
      yield [this.string(key as Value)!, key + 1 as Value];
    }
  }

  /** Returns the first value under a key; `undefined` if there is none, or the value is no dictionary. */
  get(dictionary: Value | undefined, key: string): Value | undefined {
    if (!this.isDictionary(dictionary)) return undefined;
    const end = this.#nexts[dictionary]! - 1;
    for (let at = dictionary + 1; at < end; at = this.#nexts[at + 1]!) {
      if (this.#isText(at, key)) return at + 1 as Value;
    }
    return undefined;
  }

  /** Whether a string is this text, of ASCII. */
  #isText(value: number, text: string): boolean {
    const start = this.#starts[value + 1]! - text.length;
    if (this.#bytes[start - 1] !== COLON || start - this.#starts[value]! > 20) return false;
    for (let i = 0; i < text.length; i++) if (this.#bytes[start + i] !== text.charCodeAt(i)) return false;
    return this.string(value as Value)!.length === text.length;
  }

  /** Returns the bytes of a value as they stand in the text, which are not copied. */
  section(value: Value): Uint8Array {
    return this.#bytes.subarray(this.#starts[value]!, this.#starts[this.#nexts[value]!]!);
  }

  /**
   * Returns what is not canonical in a value: a number with a zero before it, or a key that does not come after the one
   * before; `undefined` if nothing is.
   */
  findUncanonical(value: Value): string | undefined {
    for (let at = value as number; at < this.#nexts[value]!; at++) {
      const start = this.#starts[at]!;
      const [first, second, third] = this.#bytes.subarray(start, start + 3);
      if (first === INTEGER && second === ZERO && third !== END) return `an integer has a zero before it`;
      if (first === ZERO && second !== COLON) return `the length of a string has a zero before it`;
      if (first === DICTIONARY && !this.#isSorted(at as Value)) {
        return `the keys of a dictionary are not in order`;
      }
    }
    return undefined;
  }

  #isSorted(dictionary: Value): boolean {
    let before: Uint8Array | undefined;
    for (const [key] of this.entries(dictionary)) {
      if (before !== undefined && compare(before, key) >= 0) return false;
      before = key;
    }
    return true;
  }

  #kindOf(value: Value | undefined): number | undefined {
    return value === undefined ? undefined : this.#bytes[this.#starts[value]!];
  }

  /** Scans what begins at an index, of a list or dictionary only the beginning. Returns where to go on. */
  #scanValue(at: number): number {
    const kind = this.#bytes[at]!;
    const isString = kind >= ZERO && kind <= NINE;
    const isKey = this.#isKey.at(-1) ?? false;
    if (isKey && !isString && kind !== END) throw new BencodeError(`a key was expected at byte ${at}`);
    if (kind === END) return this.#scanEnd(at, isKey);
    const value = this.#push(at);
    let next = at + 1;
    if (isString) next = this.#scanString(at);
    else if (kind === INTEGER) next = this.#scanInteger(at);
    else if (kind !== LIST && kind !== DICTIONARY) {
      throw new BencodeError(`a value was expected at byte ${at}`);
    }
    this.#nexts[value] = value + 1;
    if (this.#bytes[this.#starts[this.#open.at(-1) ?? 0]!] === DICTIONARY && this.#open.length > 0) {
      this.#isKey[this.#isKey.length - 1] = !isKey;
    }
    if (kind === LIST || kind === DICTIONARY) {
      this.#open.push(value);
      this.#isKey.push(kind === DICTIONARY);
    }
    return next;
  }

  /** Closes the list or dictionary that was opened last. */
  #scanEnd(at: number, isKey: boolean): number {
    const opened = this.#open.pop();
    if (opened === undefined) throw new BencodeError(`a value was expected at byte ${at}`);
    if (this.#bytes[this.#starts[opened]!] === DICTIONARY && !isKey) {
      throw new BencodeError(`a key has no value at byte ${at}`);
    }
    this.#isKey.pop();
    const end = this.#push(at);
    this.#nexts[end] = this.#nexts[opened] = this.#count;
    return at + 1;
  }

  #scanString(start: number): number {
    const colon = this.#scanDigits(start, COLON, "the length of a string");
    let length = 0;
    for (let at = start; at < colon && length <= this.#bytes.length; at++) {
      length = length * 10 + this.#bytes[at]! - ZERO;
    }
    const end = colon + 1 + length;
    if (end > this.#bytes.length) throw new BencodeError(`the string at byte ${start} is cut off`);
    return end;
  }

  #scanInteger(start: number): number {
    const first = start + (this.#bytes[start + 1] === MINUS ? 2 : 1);
    return this.#scanDigits(first, END, "an integer") + 1;
  }

  /** Returns where the digits end, of which there is at least one. Zeros before a number are accepted: they occur. */
  #scanDigits(first: number, delimiter: number, what: string): number {
    let at = first;
    for (let digit = this.#bytes[at]; digit !== delimiter || at === first; digit = this.#bytes[++at]) {
      if (digit === undefined) throw cutOff(at);
      if (digit < ZERO || digit > NINE) throw new BencodeError(`${what} was expected at byte ${first}`);
    }
    return at;
  }

  /** Adds a value that begins at an index, and returns it. */
  #push(start: number): number {
    if (this.#count === this.#starts.length) {
      [this.#starts, this.#nexts] = [doubled(this.#starts), doubled(this.#nexts)];
    }
    this.#starts[this.#count] = start;
    return this.#count++;
  }
}

function doubled(array: Uint32Array): Uint32Array<ArrayBuffer> {
  const copy = new Uint32Array(2 * array.length);
  copy.set(array);
  return copy;
}

function cutOff(at: number): BencodeError {
  return new BencodeError(`it is cut off at byte ${at}`);
}

/** The order of two byte strings: below, at or above 0. */
function compare(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}
