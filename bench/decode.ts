/**
 * `npm run bench:decode`: how fast a stream becomes events, beside other ways to do it, in one run on each runtime.
 *
 * Every way receives the same events in the same chunks, takes turns with the others, and has to yield all of them in
 * order. The first is what none of them can beat: `JSON.parse` of lines that are split already. The second is the yardstick:
 * the loop that one writes by hand. The figures are medians of the ratios to the second and to the first, each within one round.
 *
 * `--quick` leaves out the other packages, and measures fewer rounds. `--runtime node,bun` chooses runtimes. `--write` writes the
 * tables into the page.
 */
import { createParser } from "eventsource-parser";
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { cpus } from "node:os";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { connect } from "../src/client/mod.ts";
import { ndjsonDecoder } from "../src/client/decode.ts";
import { readFrame } from "../src/client/dialect.ts";
import { publishTables } from "./page_tables.ts";
import { runtimeCommand, runtimeVersion } from "./servers.ts";

const isQuick = process.argv.includes("--quick");
const EVENTS = isQuick ? 20_000 : 50_000;
const ROUNDS = isQuick ? 9 : 7;
const SIZES_KIB = [64, 1];
/** What no way can beat. */
const PARSING = "`JSON.parse` of split lines";

interface Tick {
  readonly type: string;
  readonly event: { readonly n: number };
}

/** A way to read: calls `onEvent` for each event. */
interface Way {
  readonly name: string;
  readonly format: "ndjson" | "sse";
  /** Whether it is part of a quick run. */
  readonly isQuick?: boolean;
  read(chunks: readonly Uint8Array[], onEvent: (event: Tick) => void): void | Promise<void>;
}

/** As much of the package `ndjson` as is used here. */
interface Ndjson {
  parse(): NodeJS.ReadWriteStream;
}

function responseOf(chunks: readonly Uint8Array[], contentType: string): Response {
  let next = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (next < chunks.length) controller.enqueue(chunks[next++]!);
      else controller.close();
    },
  });
  return new Response(body, { headers: { "Content-Type": contentType } });
}

/** What most people write. */
async function* linesOf(chunks: readonly Uint8Array[]): AsyncGenerator<string[]> {
  let tail = "";
  const { body } = responseOf(chunks, "application/x-ndjson");
  for await (
    const text of body!.pipeThrough(
      new TextDecoderStream() as TransformStream<Uint8Array, string>,
    )
  ) {
    const lines = (tail + text).split("\n");
    tail = lines.pop()!;
    yield lines;
  }
}

const WAYS: readonly Way[] = [
  {
    name: "plain loop: reader, `TextDecoder`, `indexOf`",
    format: "ndjson",
    isQuick: true,
    read: async (chunks, onEvent) => {
      const reader = responseOf(chunks, "application/x-ndjson").body!.getReader();
      const decoder = new TextDecoder();
      let text = "";
      while (true) {
        const { done, value } = await reader.read();
        if (done) break;
        text += decoder.decode(value, { stream: true });
        let start = 0;
        for (let end; (end = text.indexOf("\n", start)) !== -1; start = end + 1) {
          onEvent(JSON.parse(text.slice(start, end)));
        }
        text = text.slice(start);
      }
    },
  },
  {
    name: "**the client's decoder** alone",
    format: "ndjson",
    isQuick: true,
    read: (chunks, onEvent) => {
      const decoder = ndjsonDecoder(2 ** 24);
      for (const chunk of chunks) {
        for (const piece of decoder.push(chunk)) {
          const event = readFrame(piece)?.event;
          if (event !== undefined) onEvent(event as Tick);
        }
      }
    },
  },
  {
    name: "**`connect()`**, `for await`",
    format: "ndjson",
    isQuick: true,
    read: async (chunks, onEvent) => {
      const fetch = () => responseOf(chunks, "application/x-ndjson");
      for await (const event of connect("http://localhost/", { fetch, reconnect: false })) {
        onEvent(event as Tick);
      }
    },
  },
  {
    name: "**`connect()`** over SSE, `for await`",
    format: "sse",
    read: async (chunks, onEvent) => {
      const fetch = () => responseOf(chunks, "text/event-stream");
      for await (const event of connect("http://localhost/", { fetch, reconnect: false })) {
        onEvent(event as Tick);
      }
    },
  },
  {
    name: "`TextDecoderStream` and `split`, a callback",
    format: "ndjson",
    read: async (chunks, onEvent) => {
      for await (const lines of linesOf(chunks)) {
        for (const line of lines) onEvent(JSON.parse(line));
      }
    },
  },
  {
    name: "the same as a generator, `for await`",
    format: "ndjson",
    read: async (chunks, onEvent) => {
      async function* events(): AsyncGenerator<Tick> {
        for await (const lines of linesOf(chunks)) {
          for (const line of lines) yield JSON.parse(line);
        }
      }
      for await (const event of events()) onEvent(event);
    },
  },
  {
    name: "npm `ndjson`",
    format: "ndjson",
    read: async (chunks, onEvent) => {
      const stream = (createRequire(import.meta.url)("ndjson") as Ndjson).parse();
      const ended = new Promise<void>((resolve, reject) => stream.once("end", resolve).once("error", reject));
      stream.on("data", onEvent);
      for (const chunk of chunks) {
        if (!stream.write(chunk)) {
          await new Promise((resolve) => stream.once("drain", resolve));
        }
      }
      stream.end();
      await ended;
    },
  },
  {
    name: "`eventsource-parser` over SSE, a callback",
    format: "sse",
    read: (chunks, onEvent) => {
      const decoder = new TextDecoder();
      const parser = createParser({ onEvent: ({ data }) => onEvent(JSON.parse(data)) });
      for (const chunk of chunks) {
        parser.feed(decoder.decode(chunk, { stream: true }));
      }
    },
  },
];

/** Lines of about 210 bytes. */
function lineOf(n: number, name: string): string {
  const event = { n, infohash: "08ada5a7a6183aae1e09d831df6748d566095a10", name };
  return JSON.stringify({ type: "tick", event, id: `d9428888122b-${n}`, time: "2026-11-22T15:50:52.123Z" });
}

/** The first event of a stream. Its heartbeat makes `connect()` watch for silence. */
const START = JSON.stringify({ type: "events_start", event: { heartbeat: 5 }, id: "d9428888122b-0" });

function chunksOf(text: string, chunkBytes: number): Uint8Array[] {
  const bytes = new TextEncoder().encode(text);
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    chunks.push(bytes.slice(at, at + chunkBytes));
  }
  return chunks;
}

/** Runs it once, and sees that all came, in order. */
async function secondsOf(run: (onEvent: (event: Tick) => void) => void | Promise<void>): Promise<number> {
  let next = 0;
  const startedAt = performance.now();
  await run(({ type, event }) => {
    if (type === "events_start") return;
    if (event.n !== next++) {
      throw new Error(`event ${event.n} came in the place of ${next - 1}`);
    }
  });
  const seconds = (performance.now() - startedAt) / 1000;
  if (next !== EVENTS) throw new Error(`${next} of ${EVENTS} events came`);
  return seconds;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

/** Texts of the events. */
const TEXTS = [
  { title: "ASCII", name: "Sintel, the durian open movie project, in 1080p and more" },
  { title: "not ASCII", name: "Sintel – 電影 – é漢😀 – Ένα όνομα – имя" },
] as const;

/** What a way has reached on a runtime, beside `JSON.parse` and the plain loop. */
interface Measured {
  readonly way: string;
  readonly sizeKib: number;
  readonly title: string;
  readonly ofParsing: number;
  readonly ofPlain: number;
}

/** Measures all ways with one text and one size of chunks. */
async function measure({ title, name }: (typeof TEXTS)[number], sizeKib: number): Promise<Measured[]> {
  const lines = Array.from({ length: EVENTS }, (_, n) => lineOf(n, name));
  const blocks = lines.map((line, n) => `id: d9428888122b-${n}\nevent: tick\ndata: ${line}\n\n`);
  const bodies = {
    ndjson: chunksOf([START, ...lines, ""].join("\n"), sizeKib * 1024),
    sse: chunksOf(`data: ${START}\n\n${blocks.join("")}`, sizeKib * 1024),
  };
  const runs: { name: string; run: Parameters<typeof secondsOf>[0]; seconds: number[] }[] = [
    { name: PARSING, run: (on) => lines.forEach((line) => on(JSON.parse(line))), seconds: [] },
    ...WAYS.filter((way) => way.isQuick || !isQuick).map(({ name, format, read }) => ({
      name,
      run: (on: (event: Tick) => void) => read(bodies[format], on),
      seconds: [],
    })),
  ];
  for (let round = 0; round <= ROUNDS; round++) {
    for (const { run, seconds } of runs) {
      const took = await secondsOf(run);
      if (round > 0) seconds.push(took); // The first is for the compiler.
    }
  }
  const [parsing, plain] = runs.map(({ seconds }) => seconds);
  return runs.map(({ name, seconds }) => {
    const ratioTo = (others: readonly number[]) =>
      median(seconds.map((took, round) => others[round]! / took));
    return { way: name, sizeKib, title, ofParsing: ratioTo(parsing!), ofPlain: ratioTo(plain!) };
  });
}

const RUNTIMES = ["node", "deno", "bun"] as const;
type Runtime = (typeof RUNTIMES)[number];

/** Measures on a runtime, in a process of its own. */
function measureOn(runtime: Runtime): Measured[] {
  const file = fileURLToPath(import.meta.url);
  const args = {
    node: ["--import", createRequire(import.meta.url).resolve("tsx"), file],
    deno: ["run", "--quiet", "--allow-all", "--no-lock", file],
    bun: ["run", file],
  }[runtime];
  const command = [...args, "--measure", ...(isQuick ? ["--quick"] : [])];
  const { status, stdout } = spawnSync(runtimeCommand(runtime), command, {
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`bench:decode failed on ${runtime}`);
  return JSON.parse(stdout);
}

/** Returns the table of one size of chunks: what each way does, as a multiple of the plain loop, and as a share of `JSON.parse`. */
function render(sizeKib: number, all: ReadonlyMap<Runtime, readonly Measured[]>): string {
  const columns = [...all].flatMap(([runtime, measured]) =>
    TEXTS.map(({ title }) => ({
      head: `${runtime}, ${title}`,
      measured: measured.filter((one) => one.sizeKib === sizeKib && one.title === title),
    }))
  );
  const ways = [...new Set([...all.values()].flatMap((measured) => measured.map(({ way }) => way)))];
  const rows = ways.map((way) => {
    const cells = columns.map(({ measured }) => {
      const found = measured.find((one) => one.way === way);
      return found === undefined
        ? "–"
        : `${found.ofPlain.toFixed(2)} (${Math.round(found.ofParsing * 100)} %)`;
    });
    return `| ${[way, ...cells].join(" | ")} |`;
  });
  return [
    `In chunks of ${sizeKib} KiB:`,
    "",
    `| ${["", ...columns.map(({ head }) => head)].join(" | ")} |`,
    `| --- |${" ---: |".repeat(columns.length)}`,
    ...rows,
  ].join("\n");
}

function main(): void {
  const folder = fileURLToPath(new URL(".", import.meta.url));
  if (spawnSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: folder }).error) {
    throw new Error("cannot install what is compared with: npm ci in bench/");
  }
  const at = process.argv.indexOf("--runtime");
  const chosen = at === -1
    ? RUNTIMES
    : RUNTIMES.filter((name) => process.argv[at + 1]!.split(",").includes(name));
  const all = new Map(chosen.map((runtime) => [runtime, measureOn(runtime)]));
  const versions = chosen.map((runtime) => `${runtime} ${runtimeVersion(runtime)}`).join(", ");
  const measured =
    `On ${new Date().toISOString().slice(0, 10)}: ${cpus().length} × ${
      cpus()[0]?.model.trim()
    }, one process at a time. ` +
    `${versions}. ${EVENTS} events of 216 bytes, medians of ${ROUNDS}.`;
  publishTables("decode", [measured, ...SIZES_KIB.map((sizeKib) => render(sizeKib, all))].join("\n\n"));
}

if (process.argv[2] === "--measure") {
  const all: Measured[] = [];
  for (const sizeKib of SIZES_KIB) {
    for (const text of TEXTS) all.push(...(await measure(text, sizeKib)));
  }
  console.log(JSON.stringify(all));
} else {
  main();
}
