/**
 * Blocks of SSE, and the dialects in which they hold an event. It is bundled together with `sse.ts`, so it imports nothing that
 * the rest of the client needs too.
 *
 * @module
 */
import type { Catalogue } from "../events/catalogue.ts";
import { membersOf, partsOf } from "../events/json_text.ts";
import type { Block, Dictionary } from "./frame.ts";

/** A dictionary of JSON. */
type Values = Readonly<Record<string, unknown>>;

/** A block that has arrived. */
export class SseBlock implements Block {
  readonly event: string | undefined;
  readonly id: string | undefined;
  readonly data: string;

  constructor(event: string | undefined, id: string | undefined, data: string) {
    this.event = event;
    this.id = id;
    this.data = data;
  }

  read(value: unknown, catalogue: Catalogue | undefined): Dictionary | undefined {
    const { event: type } = this;
    if (this.#isWhole(value)) return value as unknown as Dictionary;
    if (type !== undefined) return dictionary(type, this.#isWithout(value, catalogue) ? undefined : value);
    if (!isValues(value) || typeof value["topic"] !== "string") return undefined;
    const { topic, args, kwargs } = value;
    const given: readonly unknown[] = Array.isArray(args) ? args : [];
    const named = isValues(kwargs) ? kwargs : {};
    const names = namesOf(catalogue, topic, given.length, named);
    if (names !== undefined) {
      const entries = given.map((one, index) => [names[index], one]);
      return dictionary(topic, { ...Object.fromEntries(entries), ...named });
    }
    if (!isEmpty(named)) return dictionary(topic, named);
    return dictionary(topic, given.length > 1 ? given : given[0]);
  }

  text(catalogue: Catalogue | undefined): string {
    const { event: type, id } = this;
    const data = this.data.trim();
    const value: Values = JSON.parse(data);
    const isWhole = this.#isWhole(value);
    if (isWhole && "id" in value) return data;
    const text = isWhole
      ? data
      : type !== undefined
      ? dictionaryText(type, this.#isWithout(value, catalogue) ? undefined : data)
      : callText(data, value, catalogue);
    return id === undefined ? text : `${text.slice(0, -1)},"id":${JSON.stringify(id)}}`;
  }

  /** Whether the data is the whole dictionary of an event. */
  #isWhole(value: unknown): value is Values {
    const { event: type, id } = this;
    if (!isValues(value)) return false;
    return type === undefined
      ? typeof value["type"] === "string"
      : id !== undefined && value["type"] === type && value["id"] === id;
  }

  /** Whether data under a name stands for no payload. */
  #isWithout(value: unknown, catalogue: Catalogue | undefined): boolean {
    return isValues(value) && isEmpty(value) && !hasSchema(catalogue, this.event!);
  }
}

/** Returns the text of the event that a call is: `{"topic":…,"args":…,"kwargs":…}`. */
function callText(text: string, value: Values, catalogue: Catalogue | undefined): string {
  const topic = value["topic"] as string;
  const members = membersOf(text);
  const args = Array.isArray(value["args"]) ? partsOf(members.get("args")!) : [];
  const named = isValues(value["kwargs"]) ? value["kwargs"] : {};
  const names = namesOf(catalogue, topic, args.length, named);
  if (names !== undefined) {
    const entries = args.map((one, index) => `${JSON.stringify(names[index])}:${one}`);
    if (!isEmpty(named)) entries.push(...partsOf(members.get("kwargs")!));
    return dictionaryText(topic, `{${entries.join(",")}}`);
  }
  if (!isEmpty(named)) return dictionaryText(topic, members.get("kwargs"));
  return dictionaryText(topic, args.length > 1 ? `[${args.join(",")}]` : args[0]);
}

/**
 * Returns the names of arguments passed by position; `undefined` if the schema of the topic does not name them all, or if
 * one of them is passed by name too.
 */
function namesOf(
  catalogue: Catalogue | undefined,
  topic: string,
  count: number,
  named: Values,
): readonly string[] | undefined {
  if (!hasSchema(catalogue, topic)) return undefined;
  const { entries } = catalogue.schemas[topic] as { readonly entries?: object };
  const names = Object.keys(entries ?? {}).slice(0, count);
  const isNamed = entries !== undefined && names.length === count;
  return isNamed && !names.some((name) => Object.hasOwn(named, name)) ? names : undefined;
}

/** Whether a type of the catalogue has a payload. */
function hasSchema(catalogue: Catalogue | undefined, type: string): catalogue is Catalogue {
  return catalogue !== undefined && Object.hasOwn(catalogue.schemas, type) &&
    catalogue.schemas[type] !== null;
}

function isValues(value: unknown): value is Values {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isEmpty(value: Values): boolean {
  return Object.keys(value).length === 0;
}

function dictionary(type: string, event: unknown): Dictionary {
  return event === undefined ? { type } : { type, event };
}

function dictionaryText(type: string, event: string | undefined): string {
  return `{"type":${JSON.stringify(type)}${event === undefined ? "" : `,"event":${event}`}}`;
}
