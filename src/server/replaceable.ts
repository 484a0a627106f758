/**
 * A catalogue that can be replaced while channels use it.
 *
 * @module
 */
import type { Catalogue, Schemas } from "../events/catalogue.ts";

/** A catalogue, and what replaces it. */
export interface Replaceable {
  /** What channels hold. */
  readonly catalogue: Catalogue<Schemas>;
  /** Replaces it from the next event on. Types that it has no more can be read, but not published. */
  replace(next: Catalogue<Schemas>): void;
}

/** Makes a catalogue that can be replaced. */
export function replaceable(first: Catalogue<Schemas>): Replaceable {
  let current = first;
  const all = new Set(first.types);
  let formerTypes: readonly string[] = [];
  return {
    catalogue: {
      get schemas() {
        return current.schemas;
      },
      get types() {
        return current.types;
      },
      get subject() {
        return current.subject;
      },
      get isOpen() {
        return current.isOpen === true;
      },
      get formerTypes() {
        return formerTypes;
      },
    },
    replace: (next) => {
      current = next;
      for (const type of next.types) all.add(type);
      formerTypes = [...all].filter((type) => !next.types.includes(type));
    },
  };
}
