/**
 * Which types are shown: all but some of them, or some alone.
 *
 * @module
 */

/** A choice, which also decides on types that are not known yet. */
export class TypeChoice {
  /** Whether the types that it names are the only ones that are shown, and not those that are hidden. */
  #isOnly = false;
  #named = new Set<string>();

  /** Whether it shows all types, also those that are not known yet. */
  get isAll(): boolean {
    return !this.#isOnly && this.#named.size === 0;
  }

  /** Says in few words what it shows; empty for all types. */
  get words(): string {
    if (this.isAll) return "";
    const types = `${this.#named.size} type${this.#named.size === 1 ? "" : "s"}`;
    return this.#isOnly ? `only ${types}` : `without ${types}`;
  }

  shows(type: string): boolean {
    return this.#named.has(type) === this.#isOnly;
  }

  /** Shows a type that it hides, or hides it. */
  toggle(type: string): void {
    if (!this.#named.delete(type)) this.#named.add(type);
  }

  /** Shows all types. */
  showAll(): void {
    this.#isOnly = false;
    this.#named.clear();
  }

  /** Shows these types alone. */
  showOnly(...types: readonly string[]): void {
    this.#isOnly = true;
    this.#named = new Set(types);
  }

  /** Returns a copy. */
  copy(): TypeChoice {
    const copy = new TypeChoice();
    [copy.#isOnly, copy.#named] = [this.#isOnly, new Set(this.#named)];
    return copy;
  }

  /** Whether another choice shows the same types. */
  equals(other: TypeChoice): boolean {
    return this.#isOnly === other.#isOnly && this.#named.size === other.#named.size &&
      [...this.#named].every((type) => other.#named.has(type));
  }
}
