/**
 * The place of a fault in a text of JSON: not every runtime reports it, and `JSON.parse` takes a key that occurs twice.
 *
 * @module
 */

/** What is wrong in a text, and where. */
export interface JsonFault {
  /** The line, from 1. */
  readonly line: number;
  /** The column in it, from 1. */
  readonly column: number;
  readonly message: string;
}

const SPACE = /[ \t\r\n]*/y;
// deno-lint-ignore no-control-regex -- RFC 8259, section 7.
const STRING = /"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/y;
const SCALAR = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])/y;

/** Finds the first fault of a text: where it is no JSON, or repeats a key; `undefined` if there is none. */
export function findJsonFault(text: string): JsonFault | undefined {
  const scanner = new Scanner(text);
  try {
    scanner.value(0);
    if (scanner.peek() !== "") scanner.fail("the text should end here");
  } catch (error) {
    if (error instanceof Fault) return placeOf(text, error);
    throw error;
  }
  return undefined;
}

class Fault extends Error {
  readonly at: number;

  constructor(at: number, message: string) {
    super(message);
    this.at = at;
  }
}

function placeOf(text: string, { at, message }: Fault): JsonFault {
  const lines = text.slice(0, at).split("\n");
  return { line: lines.length, column: lines.at(-1)!.length + 1, message };
}

/** Maximum number of levels of objects and arrays. */
const MAX_DEPTH = 500;

class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  fail(message: string, at: number = this.#at): never {
    throw new Fault(at, message);
  }

  /** Returns the next character that is no white space; empty at the end. */
  peek(): string {
    this.#take(SPACE);
    return this.#text[this.#at] ?? "";
  }

  value(depth: number): void {
    if (depth > MAX_DEPTH) this.fail(`there are more than ${MAX_DEPTH} levels`);
    const next = this.peek();
    if (next === "{") return this.#members(depth);
    if (next === "[") return this.#list("]", () => this.value(depth + 1));
    const wanted = next === '"' ? STRING : SCALAR;
    if (this.#take(wanted) !== undefined) return;
    this.fail(
      next === ""
        ? "the text ends too early"
        : next === '"'
        ? "this string is not valid"
        : "expected a value",
    );
  }

  #members(depth: number): void {
    const keys = new Set<string>();
    this.#list("}", () => {
      if (this.peek() !== '"') this.fail('expected a key in "quotes"');
      const start = this.#at;
      const key = this.#take(STRING);
      if (key === undefined) this.fail("this key is not valid");
      const name = JSON.parse(key) as string;
      if (keys.has(name)) this.fail(`the key ${JSON.stringify(name.slice(0, 128))} is there twice`, start);
      keys.add(name);
      if (this.peek() !== ":") this.fail('expected ":" after the key');
      this.#at++;
      this.value(depth + 1);
    });
  }

  /** Reads what stands between commas, from the opening character to the closing one. */
  #list(end: string, item: () => void): void {
    this.#at++;
    if (this.peek() === end) return void this.#at++;
    for (;;) {
      item();
      const next = this.peek();
      if (next !== "," && next !== end) {
        this.fail(next === "" ? "the text ends too early" : `expected "," or "${end}"`);
      }
      this.#at++;
      if (next === end) return;
    }
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }
}
