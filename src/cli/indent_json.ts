/**
 * Indents a JSON text without parsing it, which would change long numbers.
 *
 * @module
 */
import { printable } from "../text/printable.ts";

/** A string, a bracket, a separator, or another value. */
const TOKEN = /"(?:[^"\\]|\\.)*"?|[{}[\],:]|[^\s"{}[\],:]+/g;

/** A string that stands in a line of its own, perhaps with its key. That of a text that is cut off may have no end. */
const STRING_LINE = /^( *)("(?:[^"\\]|\\.)*": )?("(?:[^"\\]|\\.)*)"?,?$/;

/** The beginning of an escape, at the end of a text that is cut off. */
const HALF_ESCAPE = /(?<!\\)((?:\\\\)*)\\(?:u[\da-f]{0,3})?$/i;

/** Returns the lines of the text, which may be cut off. A string with line ends, such as a traceback, is shown as its lines. */
export function indentJson(json: string): string[] {
  const lines: string[] = [];
  let line = "";
  let depth = 0;
  const end = () => {
    if (line.trim() !== "") lines.push(line);
    line = "  ".repeat(depth);
  };
  const tokens = json.replace(HALF_ESCAPE, "$1").match(TOKEN) ?? [];
  for (const [index, token] of tokens.entries()) {
    const next = tokens[index + 1] ?? "";
    if (/^[{[]$/.test(token)) {
      line += token;
      depth++;
      if (!/^[}\]]$/.test(next)) end();
    } else if (/^[}\]]$/.test(token)) {
      depth--;
      if (!/^[{[]$/.test(tokens[index - 1] ?? "")) end();
      line += token;
    } else if (token === ",") {
      line += token;
      end();
    } else line += token === ":" ? ": " : token;
  }
  end();
  return lines.flatMap(withTextLines);
}

/** Returns the line; if it is a string with line ends, the lines of that below its key. */
function withTextLines(line: string): string[] {
  const [, indent, key = "", string = ""] = line.includes("\\n") ? STRING_LINE.exec(line) ?? [] : [];
  const text = string === "" ? "" : JSON.parse(`${string}"`) as string;
  if (!text.includes("\n")) return [line];
  const lines = text.trimEnd().split(/\r?\n/).map((one) => printable(one.replaceAll("\t", "    ")));
  return [`${indent}${key}|`, ...lines.map((one) => `${indent}  ${one}`)];
}
