/**
 * Detours: a person follows a subject, or selects trouble among all events, and then wants to be back where the list was.
 *
 * @module
 */
import { spanOf, type View } from "./view.ts";

/** The filter that selects trouble. */
export const TROUBLE = "is:trouble";

/** The detours. Each function takes the view and returns what changes in it. */
export interface Detours {
  /** Selects trouble among all events, or ends that. */
  toTrouble(view: View): Partial<View>;
  /** Asks for all events of a subject. */
  toSubject(view: View, subject: string): Partial<View>;
  /** Follows a subject no longer; after the last one the list starts where it did before. */
  fromSubject(view: View, subject: string): Partial<View>;
}

/** What a detour changed, and what it was before. */
interface Detour {
  readonly changed: Partial<View>;
  readonly before: Partial<View>;
}

/** Makes the detours. What a person has changed since is not taken back. */
export function createDetours(): Detours {
  let trouble: Detour | undefined;
  let subject: Detour | undefined;

  return {
    toTrouble: (view) => {
      if (view.text === TROUBLE) return { text: "", ...wayBack(trouble, view) };
      const { text, types, since, span } = view;
      const asked = since ?? "earliest";
      const changed = { text: TROUBLE, types: [], since: asked, span: spanOf(asked) };
      trouble = { changed, before: { text, types, since, span } };
      return changed;
    },
    toSubject: (view, followed) => {
      const { since, span, subjects } = view;
      const asked = since ?? "earliest";
      const changed = { since: asked, span: spanOf(asked) };
      const before = subjects.length === 0 ? { since, span } : wayBack(subject, view);
      subject = before && { changed, before };
      return { ...changed, subjects: [followed], types: [], range: undefined, text: "" };
    },
    fromSubject: (view, followed) => {
      const subjects = view.subjects.filter((one) => one !== followed);
      return { subjects, ...(subjects.length === 0 && wayBack(subject, view)) };
    },
  };
}

/** Returns what was before a detour, if the view still has all that it changed. */
function wayBack(detour: Detour | undefined, view: View): Partial<View> | undefined {
  if (detour === undefined) return undefined;
  const names = Object.keys(detour.changed) as (keyof View)[];
  const isThere = names.every((name) => `${view[name]}` === `${detour.changed[name]}`);
  return isThere ? detour.before : undefined;
}
