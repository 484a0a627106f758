/**
 * The issues of a payload in the language of a form, whichever library found them.
 *
 * @module
 */

const KINDS: ReadonlyMap<string, string> = new Map([
  ["string", "text"],
  ["number", "a number"],
  ["integer", "a whole number"],
  ["boolean", "yes or no"],
  ["array", "a list"],
  ["object", "a group of fields"],
  ["null", "empty"],
]);

const INVALID = /^Invalid ([\w ]+): (?:Expected (.+?))?(?:(?: but )?[Rr]eceived (.+))?$/s;
const SIGNS: Readonly<Record<string, string>> = {
  ">=": "at least ",
  "<=": "at most ",
  ">": "more than ",
  "<": "less than ",
};

/** Describes an issue as it stands beside the name of its field: "needed", "must be a number". */
export function issueText(message: string): string {
  const [, kind, expected, received] = INVALID.exec(message) ?? [];
  if (kind === undefined) return otherText(message);
  if (received === "undefined") return "needed";
  if (kind === "key") return "not known here";
  const what = expected === undefined ? (KINDS.get(kind) ?? `a valid ${kind}`) : expectedText(expected);
  if (received === undefined) return `must be ${what}`;
  return received === "null" ? "needed" : `must be ${what}, not ${received}`;
}

/** The issues of `@cfworker/json-schema`, as the server words them. */
function otherText(message: string): string {
  if (message === "is required") return "needed";
  if (message === "String does not match pattern") return "does not have the right form";
  const [, choices] = /^does not match any of \[(.+)\]$/s.exec(message) ?? [];
  if (choices !== undefined) return `must be one of ${choices.replaceAll(",", ", ")}`;
  const [, wanted, found] = /^must be (\w+), not (\w+)$/.exec(message) ?? [];
  if (wanted !== undefined) return `must be ${kindText(wanted)}, not ${kindText(found!)}`;
  return message;
}

function expectedText(expected: string): string {
  const sign = /^[<>]=?/.exec(expected)?.[0];
  if (sign !== undefined) return SIGNS[sign] + expected.slice(sign.length);
  const one = expected.replaceAll(/^\(|\)$/g, "").split(" | ").map(kindText);
  return one.length === 1 ? one[0]! : `${one.slice(0, -1).join(", ")} or ${one.at(-1)}`;
}

function kindText(kind: string): string {
  return KINDS.get(kind.toLowerCase()) ?? kind;
}
