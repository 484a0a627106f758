/**
 * The event filter: decides which of the received events are yielded.
 *
 * @module
 */
import type { Schemas } from "../events/catalogue.ts";
import { checkPayload } from "../events/validate.ts";
import { EventsError } from "../events/errors.ts";
import { subjectMatcher } from "../events/subject.ts";
import type { Dictionary } from "./frame.ts";
import type { ConnectOptions } from "./options.ts";

/** Maximum number of unknown types that a warning is printed for. */
const MAX_WARNINGS = 100;

/**
 * Makes the function that decides for each event whether it is yielded. It reports those of an unknown type to `onUnknown`,
 * and those with an invalid payload to `onInvalid`.
 *
 * @returns a function that throws `InvalidEvent` if `onInvalid` is `"throw"`; its second argument is the event to validate, if
 *   that differs; its third one whether the server has chosen the subjects, and leaves them out
 */
export function createEventFilter<S extends Schemas>(
  options: ConnectOptions<S, boolean>,
): (event: Dictionary, checked?: Dictionary, isFiltered?: boolean) => boolean {
  const { catalogue, types = [], subjects = [], onInvalid = "throw", onUnknown = warner() } = options;
  const isWanted = matcher(types);
  const isWantedSubject = subjects.length === 0 ? () => true : subjectMatcher(subjects);
  return (event, checked = event, isFiltered = false) => {
    const { type } = event;
    if (type === "events_lost") return true;
    if (type === "events_start" || type === "events_bookmark" || !isWanted(type)) return false;
    if (!isFiltered && !isWantedSubject(event.subject)) return false;
    if (catalogue === undefined) return true;
    const schema = Object.hasOwn(catalogue.schemas, type) ? catalogue.schemas[type] : undefined;
    if (schema === undefined) {
      onUnknown(event);
      return false;
    }
    const issues = checkPayload(schema, type, checked.event, 0);
    if (issues.length === 0) return true;
    if (onInvalid === "throw") {
      const { path, message } = issues[0]!;
      const text = `the server sent an event that does not fit the catalogue: "${type}": ${path}: ${message}`;
      throw new EventsError("InvalidEvent", text, { issues, event });
    }
    onInvalid(event, issues);
    return false;
  };
}

/** Makes a function that matches the requested types. The server filters too, but a real Tribler sends every type. */
function matcher(patterns: readonly string[]): (type: string) => boolean {
  if (patterns.length === 0) return () => true;
  const names = new Set(patterns);
  const prefixes = patterns.filter((pattern) => pattern.endsWith("*")).map((pattern) => pattern.slice(0, -1));
  return (type) => names.has(type) || prefixes.some((prefix) => type.startsWith(prefix));
}

/** Makes a function that warns once of each unknown type. Its last warning says that it is the last. */
function warner(): (event: Dictionary) => void {
  const known = new Set<string>();
  return ({ type }) => {
    if (known.has(type) || known.size === MAX_WARNINGS) return;
    known.add(type);
    const rest = known.size === MAX_WARNINGS ? "; other unknown types are dropped without a warning" : "";
    console.warn(
      `events of the type ${
        JSON.stringify(type.slice(0, 128))
      } are not in the catalogue, so they are not yielded${rest}`,
    );
  };
}
