/**
 * Indents a JSON text without parsing it, which would change long numbers.
 *
 * @module
 */

/** A string, a bracket, a separator, or another value. */
const TOKEN = /"(?:[^"\\]|\\.)*"?|[{}[\],:]|[^\s"{}[\],:]+/g;

/** Returns the lines of the text. It may be cut off. */
export function indentJson(json: string): string[] {
  const lines: string[] = [];
  let line = "";
  let depth = 0;
  const end = () => {
    if (line.trim() !== "") lines.push(line);
    line = "  ".repeat(depth);
  };
  const tokens = json.match(TOKEN) ?? [];
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
  return lines;
}
