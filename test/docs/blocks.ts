/**
 * The blocks of code on the pages of documentation, and in the examples of docstrings.
 *
 * A block of `sh` or `ts` is run. A block of `text` right after it is the output it shows. An HTML comment right before
 * a block says what is special about it:
 *
 * - `<!-- test: stays open -->`: it never ends by itself, like a server
 * - `<!-- test: restart -->`: the reader has ended what ran before
 * - `<!-- test: exits 1 -->`: it ends with that code
 * - `<!-- not run: REASON -->`, `<!-- not compared: REASON -->`: how it is checked instead
 *
 * @module
 */
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/** The root of the repository, with a slash at its end. */
export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));

/** One block of code. */
export interface Block {
  /** Where it begins: `docs/guide.md:17`. */
  readonly place: string;
  /** The language behind its fence. */
  readonly language: string;
  /** Its text, without the fences. */
  readonly text: string;
  /** What the comment before it says; empty where there is none. */
  readonly note: string;
  /** The output that is shown for it, line by line, without empty lines; `undefined` where none is shown. */
  output: readonly string[] | undefined;
}

/** The pages, by their path from the root. */
export async function findPages(): Promise<string[]> {
  const isPage = (name: string) => name.endsWith(".md");
  const inFolder = async (folder: string) =>
    (await readdir(ROOT + folder)).filter(isPage).map((name) => folder + name);
  return [...await inFolder(""), ...await inFolder("docs/"), ...await inFolder("examples/")].sort();
}

/** Reads the blocks of a page, in order. */
export async function readBlocks(page: string): Promise<Block[]> {
  const blocks: Block[] = [];
  let note = "";
  /** The block that a `text` would be the output of. */
  let before: Block | undefined;
  let open: { readonly fence: string; readonly place: string; readonly lines: string[] } | undefined;
  for (const [index, line] of (await readFile(ROOT + page, "utf8")).split("\n").entries()) {
    const fence = /^```(\w*)$/.exec(line)?.[1];
    if (open !== undefined) {
      if (fence !== "") {
        open.lines.push(line);
        continue;
      }
      const text = open.lines.join("\n") + "\n";
      if (open.fence === "text" && note === "" && before !== undefined) {
        before.output = withoutEmpty(open.lines);
      } else {
        before = { place: open.place, language: open.fence, text, note, output: undefined };
        blocks.push(before);
      }
      open = undefined;
      note = "";
    } else if (fence !== undefined) {
      open = { fence, place: `${page}:${index + 1}`, lines: [] };
    } else if (line.trim() !== "") {
      note = /^<!-- (.*) -->$/.exec(line)?.[1] ?? "";
      before = undefined;
    }
  }
  if (open !== undefined) throw new Error(`${open.place}: the block has no end`);
  return blocks;
}

/** The lines that are not empty: heartbeats and the ends of blocks of SSE are left out. */
export function withoutEmpty(lines: readonly string[]): string[] {
  return lines.map((line) => line.trimEnd()).filter((line) => line !== "");
}

/** Whether the comment before a block has the word among those of `test:`. */
export function isMarked({ note }: Block, word: string): boolean {
  return note.startsWith("test: ") && note.slice("test: ".length).split(", ").includes(word);
}

/** Reads the examples in the docstrings of the sources, those of the page left out: it has no users. */
export async function readExamples(): Promise<Block[]> {
  const files = (await readdir(`${ROOT}src`, { recursive: true }))
    .filter((file) => file.endsWith(".ts") && !file.startsWith("page/")).sort();
  const examples = await Promise.all(files.map(async (file) => {
    const source = await readFile(`${ROOT}src/${file}`, "utf8");
    return [...source.matchAll(/^( *) \* @example\n\1 \* ```ts\n([^]*?)^\1 \* ```/gm)].map((match): Block => {
      const [, indent = "", body = ""] = match;
      const line = source.slice(0, match.index).split("\n").length;
      const text = body.split("\n").map((line) => line.slice(indent.length + " * ".length)).join("\n");
      return { place: `src/${file}:${line}`, language: "ts", text, note: "", output: undefined };
    });
  }));
  return examples.flat();
}
