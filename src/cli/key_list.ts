/**
 * What each key does, as a panel.
 *
 * @module
 */
import type { Key } from "./keyboard.ts";
import type { Panel } from "./panels.ts";
import { fit, type TerminalStyle } from "./row.ts";

const KEYS: readonly (readonly [keys: string, text: string])[] = [
  ["/", "filter: words, fields like name:sintel size:>1GB subject:order/42,"],
  ["", "time:>14:00; - before a term excludes, * stands for any text"],
  ["t", "choose the types that are shown"],
  ["", "both look at the newest 5,000 events and at all that follow: for older ones,"],
  ["", "start with --types, --subject and --since, which ask the server"],
  ["space", "pause, and go on with what came meanwhile"],
  ["↑ PgUp Home", "the events so far: they stay where they are while others arrive"],
  ["Enter", "the whole of an event; ← and → for those beside it"],
  ["Esc", "back"],
  ["q Ctrl-C", "quit"],
];

/** What each key does. */
export class KeyList implements Panel {
  readonly hint = "Esc back";

  lines(rows: number, style: TerminalStyle): string[] {
    return KEYS.slice(0, rows).map(([keys, text]) => fit([[keys.padEnd(13), "bold"], [text]], style));
  }

  key({ name }: Key): Panel | undefined {
    return ["escape", "return", "backspace"].includes(name) ? undefined : this;
  }
}
