/**
 * `npm run fuzz -- --minutes N`: fuzzes the parsers of `targets.ts`, guided by the coverage that V8 counts.
 *
 * An input that reaches a block of `src`, or reaches it in another order of magnitude, is kept in the corpus, and mutated further.
 * Coverage is taken once for many inputs, and for each of them only if all together reached a new block.
 *
 * @module
 */
import { Session } from "node:inspector";
import process from "node:process";
import { parseArgs } from "node:util";
import { bytesOf, readCorpus, writeCorpus } from "./corpus.ts";
import { type Target, TARGETS } from "./targets.ts";

const HELP = `npm run fuzz [-- options]: fuzzes the parsers, and keeps the inputs that reach something new

  --minutes N     for so long, all targets together (1)
  --target NAME   only this one: ${Object.keys(TARGETS).join(", ")}
  --help          show this and exit`;

/** Number of inputs whose coverage is taken together. */
const BATCH = 1000;
/** Number of characters of the longest input. */
const MAX_LENGTH = 400;
/** Number of milliseconds of computing for one input, after which it counts as a fault. */
const MAX_MS = 500;

const session = new Session();
session.connect();
const post = (method: string, parameters: object = {}) => {
  let answer: { result?: unknown } = {};
  session.post(method, parameters, (error, result) => {
    if (error !== null) throw error;
    answer = { result };
  });
  return answer.result; // The session of a thread with itself answers at once.
};
post("Profiler.enable");
post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });

/** Part of the answer to `Profiler.takePreciseCoverage`. */
interface Coverage {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly {
      readonly ranges: readonly {
        readonly startOffset: number;
        readonly endOffset: number;
        readonly count: number;
      }[];
    }[];
  }[];
}

/** Returns what was reached since the last call: blocks of `src`, each with the order of magnitude of its count. */
function takeCoverage(): string[] {
  const { result } = post("Profiler.takePreciseCoverage") as Coverage;
  return result.filter(({ url }) => url.includes("/src/")).flatMap(({ url, functions }) =>
    functions.flatMap(({ ranges }) => ranges).filter(({ count }) => count > 0)
      .map(({ startOffset, endOffset, count }) =>
        `${url}:${startOffset}-${endOffset}:${Math.floor(Math.log2(count))}`
      )
  );
}

const pick = <T>(values: readonly T[]): T => values[Math.floor(Math.random() * values.length)]!;
const below = (limit: number) => Math.floor(Math.random() * limit);

/** Changes an input in one to four places. */
function mutate(input: string, corpus: readonly string[], words: readonly string[]): string {
  let text = input;
  for (let changes = 1 + below(4); changes > 0; changes--) {
    const at = below(text.length + 1);
    const end = at + below(Math.min(12, text.length - at + 1));
    const other = pick(corpus);
    const from = below(other.length + 1);
    text = pick([
      () => text.slice(0, at) + pick(words) + text.slice(at),
      () => text.slice(0, at) + pick(words) + text.slice(end),
      () => text.slice(0, at) + text.slice(end),
      () => text.slice(0, at) + String.fromCharCode(below(256)) + text.slice(at + below(2)),
      () => text.slice(0, end) + text.slice(at, end) + text.slice(end),
      () => text.slice(0, at) + other.slice(from, from + below(40)) + text.slice(at),
      () => text.slice(0, at) + other.slice(from),
    ])();
  }
  return text.slice(0, MAX_LENGTH);
}

/** Runs an input. Returns what is wrong with it. */
function faultOf(target: Target, input: string): string | undefined {
  const start = process.cpuUsage();
  try {
    target.run(bytesOf(input));
  } catch (error) {
    const { message, details } = error as Error & { details?: string };
    return `${message} ${details ?? ""}`.trim();
  }
  const ms = process.cpuUsage(start).user / 1000;
  return ms > MAX_MS ? `it took ${ms.toFixed(0)} ms` : undefined;
}

/** Makes a fault smaller for as long as it stays one. */
function shrink(target: Target, input: string): string {
  for (let size = input.length >> 1; size > 0;) {
    let at = 0;
    for (; at < input.length; at += size) {
      const less = input.slice(0, at) + input.slice(at + size);
      if (faultOf(target, less) === undefined) continue;
      input = less;
      break;
    }
    if (at >= input.length) size >>= 1;
  }
  return input;
}

/** Fuzzes one target for some time. Returns the number of its faults. */
function fuzz(name: string, target: Target, ms: number): number {
  const corpus = readCorpus(name, target);
  /** The blocks that were reached, with the orders of magnitude of their counts, and without. */
  const seen = new Set<string>();
  const places = new Set<string>();
  const placeOf = (block: string) => block.slice(0, block.lastIndexOf(":"));
  const kept: string[] = [];
  const faults = new Map<string, string>();
  let runs = 0;

  /** Runs inputs. Returns the new blocks that they reached. */
  function reach(inputs: readonly string[]): string[] {
    takeCoverage();
    for (const input of inputs) {
      runs++;
      const fault = faultOf(target, input);
      if (fault === undefined) continue;
      const kind = fault.replaceAll(/[^a-zA-Z ]+.*/gs, "").slice(0, 60);
      if (!faults.has(kind)) faults.set(kind, shrink(target, input));
    }
    // The counts are those of all inputs together.
    return takeCoverage().map(placeOf).filter((place) => !places.has(place));
  }

  /** Keeps the inputs that reach something new. */
  function keep(inputs: readonly string[]): void {
    const reached = inputs.length > 1 ? reach(inputs) : [];
    if (inputs.length > 1 && reached.length === 0) return;
    if (inputs.length > 4) {
      const half = inputs.length >> 1;
      keep(inputs.slice(0, half));
      keep(inputs.slice(half));
      // V8 joins blocks of the same count, so some that all reached together none of them reaches alone.
      for (const place of reached) places.add(place);
      return;
    }
    for (const input of inputs) {
      takeCoverage();
      faultOf(target, input);
      const blocks = takeCoverage().filter((block) => !seen.has(block));
      if (blocks.length === 0) continue;
      for (const block of blocks) {
        seen.add(block);
        places.add(placeOf(block));
      }
      kept.push(input);
    }
  }

  for (const input of corpus.toSorted((one, other) => one.length - other.length)) keep([input]);
  for (const end = performance.now() + ms; performance.now() < end;) {
    const inputs = Array.from({ length: BATCH }, () => mutate(pick(kept), kept, target.words));
    keep(inputs);
    keep(inputs.slice(0, 1)); // It may reach no new block, and one more often.
  }
  writeCorpus(name, target, [...new Set([...kept, ...faults.values()])]);
  console.log(
    `${name}: ${runs} inputs, ${seen.size} blocks, ${kept.length} inputs kept, ${faults.size} faults`,
  );
  for (const [, input] of faults) console.log(`  ${JSON.stringify(input)}: ${faultOf(target, input)}`);
  return faults.size;
}

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    target: { type: "string" },
    help: { type: "boolean" },
  },
});
if (values.help) console.log(HELP);
else {
  const targets = Object.entries(TARGETS).filter(([name]) => name === (values.target ?? name));
  const ms = Number(values.minutes) * 60_000 / targets.length;
  const faults = targets.map(([name, target]) => fuzz(name, target, ms));
  process.exitCode = faults.some((count) => count > 0) ? 1 : 0;
}
