/**
 * Lays out the help of a command.
 *
 * @module
 */

/** Maximum number of columns of a help. */
const COLUMNS = 100;
/** A flag, an argument or a key, and where its text begins. */
const ITEM = /^ {2}\S+(?: \S+)*? {2,}(?=\S)/;
/** The rest of the text of an item. */
const REST = /^ {8,}/;

/**
 * Breaks the lines of a help between words, and of an item below the beginning of its text. What the command is, and lines that
 * begin with two blanks and have no columns, such as examples, stay as they are.
 */
export function helpText(text: string): string {
  const lines: { prefix: string; text: string; isText: boolean }[] = [];
  for (const line of text.split("\n")) {
    const last = lines.at(-1);
    const prefix = ITEM.exec(line)?.[0] ?? "";
    const isPlain = /^(?! |events-endpoint )./.test(line);
    const isRest = last?.isText && (last.prefix === "" ? isPlain : REST.test(line));
    if (isRest) last.text += ` ${line.trim()}`;
    else lines.push({ prefix, text: line.slice(prefix.length), isText: prefix !== "" || isPlain });
  }
  return lines.flatMap(({ prefix, text, isText }) => isText ? broken(prefix, text) : [text]).join("\n");
}

function broken(prefix: string, text: string): string[] {
  const lines: string[] = [];
  let line = prefix;
  for (const word of text.split(" ")) {
    const isFirst = line.length === prefix.length;
    if (!isFirst && line.length + 1 + word.length > COLUMNS) {
      lines.push(line);
      line = " ".repeat(prefix.length) + word;
    } else line += isFirst ? word : ` ${word}`;
  }
  return [...lines, line];
}
