/**
 * The text of JSON, read without parsing it: the parts of an object or array, and the integers that parsing would change.
 *
 * @module
 */

/** An integer beyond what a double holds exactly. */
export interface UnsafeInteger {
  /** The keys and indexes on the way to it. */
  readonly path: readonly string[];
  /** The integer as it was sent. */
  readonly digits: string;
}

/**
 * Returns the integers in a JSON text that lose digits when they are parsed (RFC 8259, section 6). One beyond the range of a
 * double is not among them.
 *
 * @param text valid JSON
 * @param maxDepth number of levels of objects and arrays that are searched
 * @param maxLength number of characters in paths after which no more integers are reported
 */
export function findUnsafeIntegers(
  text: string,
  maxDepth: number = Infinity,
  maxLength: number = Infinity,
): UnsafeInteger[] {
  const found: UnsafeInteger[] = [];
  let length = 0;
  scan(text, {
    onInteger: (digits, path) => {
      if (path.length - 1 > maxDepth || length >= maxLength) return;
      const keys = path.slice(1).map(String);
      found.push({ path: keys, digits });
      length += keys.join(".").length;
    },
  });
  return found;
}

/**
 * Parses JSON as `JSON.parse` does, but for integers beyond what a double holds exactly, which become BigInt.
 *
 * The revivers of Node 20 do not receive the text of a number, so they cannot do this.
 *
 * @throws {SyntaxError} if the text is not JSON
 */
export function parseExactly(text: string): unknown {
  const root = { "": JSON.parse(text) as unknown };
  /** The open objects and arrays; `undefined` for one that a later value of the same key replaces. */
  const open: unknown[] = [root];
  scan(text, {
    onOpen: (key) => open.push(childOf(open.at(-1), key)),
    onClose: () => open.pop(),
    onInteger: (digits, path) => {
      const [parent, key] = [open.at(-1), path.at(-1)!];
      if (childOf(parent, key) !== Number(digits)) return;
      // It keeps the other attributes; an assignment to the key "__proto__" would do something else.
      Object.defineProperty(parent, key, { value: BigInt(digits) });
    },
  });
  return root[""];
}

function childOf(parent: unknown, key: string | number): unknown {
  if (typeof parent !== "object" || parent === null || !Object.hasOwn(parent, key)) return undefined;
  return (parent as Record<string | number, unknown>)[key];
}

/** Called during a scan of a text. */
interface Visitor {
  /** An object or array begins under this key or index. */
  onOpen?(key: string | number): void;
  /** An object or array ends. */
  onClose?(): void;
  /**
   * There is an integer beyond what a double holds exactly.
   *
   * @param path an empty key for the text itself, and the keys and indexes from there; valid during the call
   */
  onInteger(digits: string, path: readonly (string | number)[]): void;
}

/** Scans the text of valid JSON that may hold such an integer; any other text is skipped. */
function scan(text: string, { onOpen, onClose, onInteger }: Visitor): void {
  if (!/\d{16}/.test(text)) return;
  /** For each open object its current key, for each open array its current index. */
  const path: (string | number)[] = [""];
  for (let i = 0; i < text.length;) {
    const char = text[i]!;
    let end = i + 1;
    if (char === '"') {
      end = endOfString(text, i);
      if (text[skipSpace(text, end)] === ":") path[path.length - 1] = JSON.parse(text.slice(i, end));
    } else if (char === "{" || char === "[") {
      onOpen?.(path.at(-1)!);
      path.push(char === "{" ? "" : 0);
    } else if (char === "}" || char === "]") {
      path.pop();
      onClose?.();
    } else if (char === ",") {
      const index = path.at(-1);
      if (typeof index === "number") path[path.length - 1] = index + 1;
    } else if (char === "-" || (char >= "0" && char <= "9")) {
      while (end < text.length && "0123456789+-.eE".includes(text[end]!)) end++;
      const number = text.slice(i, end);
      if (/^-?\d{16,}$/.test(number) && isUnsafe(Number(number))) onInteger(number, path);
    }
    i = end;
  }
}

function isUnsafe(value: number): boolean {
  return Number.isFinite(value) && !Number.isSafeInteger(value);
}

/**
 * Returns the text of each value in a JSON object by its key, as it stands there. Of a key that occurs twice the last value
 * counts, as it does in `JSON.parse`.
 *
 * @param text a valid JSON object
 */
export function membersOf(text: string): Map<string, string> {
  return new Map(
    partsOf(text).map((part) => {
      const end = endOfString(part, 0);
      return [JSON.parse(part.slice(0, end)), part.slice(skipSpace(part, skipSpace(part, end) + 1))];
    }),
  );
}

/**
 * Returns what stands between the commas of a JSON object or array, as it stands there without white space around it.
 *
 * @param text a valid JSON object or array
 */
export function partsOf(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    const isEnd = char === "}" || char === "]";
    if (char === '"') i = endOfString(text, i) - 1;
    else if ((char === "{" || char === "[") && ++depth === 1) start = i + 1;
    else if (depth === 1 && (isEnd || char === ",")) {
      const part = text.slice(start, i).trim();
      if (part !== "") parts.push(part);
      start = i + 1;
    }
    if (isEnd) depth--;
  }
  return parts;
}

/** The index of the first character from an index on that is no white space. */
function skipSpace(text: string, index: number): number {
  while (" \t\r\n".includes(text[index] ?? "x")) index++;
  return index;
}

/** The index after the string that begins at an index. */
function endOfString(text: string, start: number): number {
  let i = start + 1;
  while (text[i] !== '"') i += text[i] === "\\" ? 2 : 1;
  return i + 1;
}
