/**
 * The inputs that are kept: one file for each target, with one input a line as a JSON string, in which each character is a byte.
 *
 * @module
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Target } from "./targets.ts";

const fileOf = (name: string) => fileURLToPath(new URL(`corpus/${name}.jsonl`, import.meta.url));

/** Returns the bytes of a text in which each character is one. */
export function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/** Returns the inputs of a target: those that it begins with, and those that were kept. */
export function readCorpus(name: string, { seeds }: Target): string[] {
  const file = fileOf(name);
  const kept = existsSync(file) ? readFileSync(file, "utf8").split("\n").filter((line) => line !== "") : [];
  return [...seeds, ...kept.map((line) => JSON.parse(line) as string)];
}

/** Writes the inputs of a target, without those that it begins with. */
export function writeCorpus(name: string, { seeds }: Target, inputs: readonly string[]): void {
  const kept = inputs.filter((input) => !seeds.includes(input)).sort();
  const ascii = (input: string) =>
    JSON.stringify(input).replaceAll(/[\x7f-\xff]/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`);
  writeFileSync(fileOf(name), kept.map((input) => `${ascii(input)}\n`).join(""));
}
