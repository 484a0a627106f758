/** Tables of `docs/benchmarks.md`: each bench writes its own, so that none is typed. */
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

const PAGE = fileURLToPath(new URL("../docs/benchmarks.md", import.meta.url));

/**
 * Prints what a bench has measured; with `--write` on its command line, also between the marks of its name in the page.
 *
 * @param name the name in the marks, such as `storm` in `<!-- storm: made by the bench -->`
 */
export function publishTables(name: string, markdown: string): void {
  console.log(markdown);
  if (!process.argv.includes("--write")) return;
  const [begin, end] = [`<!-- ${name}: made by the bench -->`, `<!-- end of ${name} -->`];
  const page = readFileSync(PAGE, "utf8");
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/benchmarks.md has no "${begin}" before "${end}"`);
  writeFileSync(PAGE, `${page.slice(0, from)}${begin}\n\n${markdown.trim()}\n\n${page.slice(to)}`);
}
