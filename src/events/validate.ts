/**
 * Validation: every issue of an event against its catalogue.
 *
 * @module
 */
import { type Catalogue, isTypeName, TYPE_NAME_TEXT } from "./catalogue.ts";
import { EventsError, type Issue } from "./errors.ts";
import { isControlType } from "./event.ts";
import { describe, hintFor } from "./arguments.ts";
import { isSubject, SUBJECT_TEXT } from "./subject.ts";
import { type StandardIssue, type StandardSchema, validate } from "./standard_schema.ts";

/** Only the first events of a batch get the nearest type: each one costs a comparison with all types. */
const MAX_HINTS = 5;
/** The most characters in the paths of one event's issues: a path may be as long as the payload, and each issue has one. */
const MAX_PATH_LENGTH = 1_000_000;

/**
 * Checks an event against the catalogue: its type, and its payload in JSON.
 *
 * @param index the place of the event in its batch, for the issues
 * @returns every issue
 */
export function checkEvent(catalogue: Catalogue, type: unknown, payload: unknown, index: number): Issue[] {
  if (typeof type === "string" && !isControlType(type) && Object.hasOwn(catalogue.schemas, type)) {
    return checkPayload(catalogue.schemas[type]!, type, payload, index);
  }
  const message = typeIssue(type, catalogue, index);
  return message === undefined ? [] : [{ index, path: "type", message }];
}

/** Returns why events of a type that the catalogue does not name cannot be published; `undefined` if they can. */
function typeIssue(
  type: unknown,
  { types, isOpen = false }: Catalogue,
  index: number,
): string | undefined {
  if (typeof type !== "string") return "must be a string: the name of an event type";
  if (isControlType(type)) return `"${type}" is a control event, which cannot be published`;
  if (isOpen && isTypeName(type)) return undefined;
  const name = JSON.stringify(type.slice(0, 128));
  if (isOpen) return `${name} cannot name an event: use ${TYPE_NAME_TEXT}`;
  const hint = index < MAX_HINTS && isTypeName(type) ? hintFor(type, types) : "";
  return `${name} is not a type of this catalogue${hint}`;
}

/**
 * Returns a dictionary as it was received, without its `event` if that is `null` and its type has no payload: Tribler 7.3 to
 * 7.11 writes it so.
 */
export function withoutNull<D extends { readonly type?: unknown; readonly event?: unknown }>(
  catalogue: Catalogue,
  dictionary: D,
): D {
  if (dictionary.event !== null || typeof dictionary.type !== "string") return dictionary;
  const { type, event: _event, ...rest } = dictionary;
  const isEmpty = Object.hasOwn(catalogue.schemas, type) && catalogue.schemas[type] === null;
  return isEmpty ? { type, ...rest } as D : dictionary;
}

/**
 * Checks a payload in JSON against the schema of its type.
 *
 * @param schema `null` if the type has no payload
 * @param index the place of the event in its batch, for the issues
 * @returns every issue
 */
export function checkPayload(
  schema: StandardSchema | null,
  type: string,
  payload: unknown,
  index: number,
): Issue[] {
  if (schema === null) {
    return payload === undefined ? [] : [{ index, path: "event", message: `"${type}" has no payload` }];
  }
  if (payload === undefined) return [{ index, path: "event", message: `"${type}" needs a payload` }];
  const found: Issue[] = [];
  let length = 0;
  const issues = validate(schema, payload);
  if (issues === undefined) {
    throw new EventsError(
      "InvalidCatalogue",
      `the schema of "${type}" answers by a promise: use a synchronous one`,
    );
  }
  for (const one of issues) {
    const path = ["event", ...pathOf(one)].join(".");
    found.push({ index, path, message: one.message });
    if ((length += path.length) > MAX_PATH_LENGTH) break;
  }
  return found;
}

function pathOf({ path = [] }: StandardIssue): string[] {
  return path.map((item) => String(typeof item === "object" ? item.key : item));
}

/** Checks the subject that an event was given, whatever its payload is. */
export function checkGivenSubject(given: unknown, index: number): Issue[] {
  if (given === undefined || isSubject(given)) return [];
  return [{ index, path: "subject", message: notSubject(given) }];
}

function notSubject(given: unknown): string {
  return `must be ${SUBJECT_TEXT}, not ${describe(given)}`;
}

/** The subject of an event, or why it cannot have the one that it has. */
export type CheckedSubject =
  | { readonly subject: string | undefined }
  | { readonly message: string; readonly cause?: unknown };

/**
 * Returns the subject of an event: the one that the catalogue derives, or else the one that was given.
 *
 * @param payload valid against the schema of the type
 */
export function checkSubject(
  catalogue: Catalogue,
  type: string,
  given: unknown,
  payload: unknown,
): CheckedSubject {
  if (given !== undefined && !isSubject(given)) {
    return { message: notSubject(given) };
  }
  if (!Object.hasOwn(catalogue.subject, type)) return { subject: given };
  let derived: unknown;
  try {
    derived = catalogue.subject[type]!(payload);
  } catch (cause) {
    return { message: `cannot be derived: the function of the catalogue threw: ${messageOf(cause)}`, cause };
  }
  if (derived === undefined) return { subject: given };
  if (!isSubject(derived)) {
    const returned = describe(derived);
    return {
      message: `cannot be derived: the function of the catalogue returned ${returned}, not ${SUBJECT_TEXT}`,
    };
  }
  if (given === undefined || given === derived) return { subject: derived };
  return { message: `is ${describe(derived)} in this catalogue: leave it out, or send the same` };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : describe(error);
}

/**
 * Makes the error for events that were rejected.
 *
 * @param issues every issue found; at least one
 * @param events the events, as they were given
 */
export function invalidEventError(
  issues: readonly Issue[],
  events: readonly unknown[],
  cause?: unknown,
): EventsError {
  const { index, path, message } = issues[0]!;
  const type = (events[index] as { type?: unknown } | null | undefined)?.type;
  const name = typeof type === "string"
    ? `${JSON.stringify(type.slice(0, 128))} was not published`
    : "nothing was published";
  const place = [events.length > 1 ? `event ${index}` : "", path].filter(Boolean).join(", ");
  const more = issues.length > 1 ? ` (the first of ${issues.length} issues)` : "";
  const text = `${name}: ${place === "" ? "" : `${place}: `}${message}${more}`;
  return new EventsError("InvalidEvent", text, { issues, cause });
}
