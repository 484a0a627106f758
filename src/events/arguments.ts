/**
 * Checks of what an application passes to a public function: a mistake is a `TypeError` at once, which names it, the nearest
 * right name, and what is expected. An option with a slip in its name would otherwise leave its default in force, and that
 * of `authorize` is to serve everybody.
 *
 * @module
 */

/** What a value has to be: in words, and as a test. */
export interface Expected {
  readonly text: string;
  accepts(value: unknown): boolean;
}

/** True or false. */
export const BOOLEAN: Expected = { text: "true or false", accepts: (value) => typeof value === "boolean" };
/** An array. */
export const ARRAY: Expected = { text: "an array", accepts: Array.isArray };
/** A number; its range is checked elsewhere. */
export const NUMBER: Expected = { text: "a number", accepts: (value) => typeof value === "number" };
/** A number, or `null` to switch something off. */
export const NUMBER_OR_NULL: Expected = {
  text: "a number, or null",
  accepts: (value) => value === null || typeof value === "number",
};
/** A string. */
export const STRING: Expected = { text: "a string", accepts: (value) => typeof value === "string" };
/** An array of strings. */
export const STRINGS: Expected = {
  text: "an array of strings",
  accepts: (value) => Array.isArray(value) && value.every((one) => typeof one === "string"),
};
/** A function. */
export const FUNCTION: Expected = { text: "a function", accepts: (value) => typeof value === "function" };
/** A plain object: what a class, a `Map` or a promise has is not seen by its keys, and would be ignored. */
export const OBJECT: Expected = {
  text: "a plain object",
  accepts: (value) => {
    if (typeof value !== "object" || value === null) return false;
    const prototype = Object.getPrototypeOf(value);
    // Of any realm.
    return prototype === null ||
      (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "isPrototypeOf"));
  },
};
/** A catalogue of {@linkcode defineEvents}. */
export const CATALOGUE: Expected = {
  text: "a catalogue made by defineEvents",
  accepts: (value) => {
    const { schemas, types, subject } = (value ?? {}) as Readonly<Record<string, unknown>>;
    return [value, schemas, subject].every(OBJECT.accepts) && Array.isArray(types);
  },
};

/**
 * Checks one argument, or one option.
 *
 * @param name what it is called in the message: `createChannel: the catalogue`
 * @throws {TypeError} if it is something else
 */
export function checkArgument(name: string, value: unknown, { text, accepts }: Expected): void {
  if (!accepts(value)) throw new TypeError(`${name} must be ${text}, not ${describe(value)}`);
}

/**
 * Checks the options of a function: their names, and what each of them is. One that is `undefined` counts as absent.
 *
 * @param place the function, or the option that has options: `eventsEndpoint`, `connect: reconnect`
 * @param expected what each option has to be
 * @throws {TypeError} for options that are no object, a name that is none, and a value of another kind
 */
export function checkOptions(
  place: string,
  options: unknown,
  expected: Readonly<Record<string, Expected>>,
): void {
  checkArgument(`${place}: the options`, options, OBJECT);
  for (const key of Reflect.ownKeys(options as object)) {
    const name = typeof key === "symbol" ? key.description ?? "" : key;
    const value = (options as Readonly<Record<PropertyKey, unknown>>)[key];
    if (!Object.hasOwn(expected, key)) {
      throw new TypeError(unknownOption(place, name, Object.keys(expected)));
    }
    if (value !== undefined) checkArgument(`${place}: ${name}`, value, expected[name]!);
  }
}

function unknownOption(place: string, name: string, names: readonly string[]): string {
  const nearest = names.length === 0 ? undefined : nearestOf(name, names);
  const hint = nearest !== undefined
    ? `did you mean ${nearest}?`
    : names.length === 0
    ? "it has none"
    : `${names.length === 1 ? "the only one is" : "there are"} ${[...names].sort().join(", ")}`;
  return `${place}: there is no option ${JSON.stringify(name.slice(0, 80))}: ${hint}`;
}

/** Returns the name that another one was probably meant to be, by what is written wrong or left out at its end. */
export function nearestOf(name: string, names: readonly string[]): string | undefined {
  const given = name.toLowerCase();
  const most = Math.max(2, name.length / 3);
  const distances = names.map((one) => {
    const isBegun = given.length > 2 && one.toLowerCase().startsWith(given);
    if (isBegun) return { one, distance: most };
    const isFar = Math.abs(one.length - given.length) > most;
    return { one, distance: isFar ? Infinity : distanceBetween(given, one.toLowerCase()) };
  });
  const nearest = distances.reduce(
    (best, next) => next.distance < best.distance ? next : best,
    { one: "", distance: Infinity },
  );
  return nearest.distance <= most ? nearest.one : undefined;
}

/** Returns the question that ends a message about an unknown name; empty if no name is near. */
export function hintFor(name: string, names: readonly string[]): string {
  const nearest = nearestOf(name, names);
  return nearest === undefined ? "" : `: did you mean ${nearest}?`;
}

/** The number of characters to insert, to remove or to replace to make one name of the other (Levenshtein). */
function distanceBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const above = row;
    row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, above[j]! + 1, row[j - 1]! + 1));
    }
  }
  return row[b.length]!;
}

/** A value as an error message shows it. */
export function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (typeof value === "function") return "a function";
  if (Array.isArray(value)) {
    const other = value.find((one) => typeof one !== "string");
    return other === undefined
      ? "an array"
      : `an array with ${Array.isArray(other) ? "an array" : describe(other)}`;
  }
  if (OBJECT.accepts(value)) return "an object";
  if (typeof value === "object" && value !== null) {
    const { name } = (value.constructor ?? {}) as { readonly name?: string };
    return name ? `an instance of ${name}` : "an object of a class";
  }
  return String(value);
}
