/**
 * `npm run bench:decode`: how fast a stream becomes events, beside other ways to do it, in one run on each runtime.
 *
 * Every way is given the same events in the same chunks, takes turns with the others, and has to yield all of them in
 * order. Above stands what none of them can beat: `JSON.parse` of lines that somebody else has split.
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
import { runtimeCommand, runtimeVersion } from "./servers.ts";

const EVENTS = 50_000;
const CHUNK_BYTES = 64 * 1024;
const ROUNDS = 7;

interface Tick {
  readonly type: string;
  readonly event: { readonly n: number };
}

/** A way to read: calls `onEvent` for each event. */
interface Way {
  readonly name: string;
  readonly format: "ndjson" | "sse";
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
    const text of body!.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)
  ) {
    const lines = (tail + text).split("\n");
    tail = lines.pop()!;
    yield lines;
  }
}

const WAYS: readonly Way[] = [
  {
    name: "our decoder alone",
    format: "ndjson",
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
    name: "connect(), for await",
    format: "ndjson",
    read: async (chunks, onEvent) => {
      const fetch = () => responseOf(chunks, "application/x-ndjson");
      for await (const event of connect("http://localhost/", { fetch, reconnect: false })) {
        onEvent(event as Tick);
      }
    },
  },
  {
    name: "connect() over SSE, for await",
    format: "sse",
    read: async (chunks, onEvent) => {
      const fetch = () => responseOf(chunks, "text/event-stream");
      for await (const event of connect("http://localhost/", { fetch, reconnect: false })) {
        onEvent(event as Tick);
      }
    },
  },
  {
    name: "TextDecoderStream and split, callback",
    format: "ndjson",
    read: async (chunks, onEvent) => {
      for await (const lines of linesOf(chunks)) for (const line of lines) onEvent(JSON.parse(line));
    },
  },
  {
    name: "the same as a generator, for await",
    format: "ndjson",
    read: async (chunks, onEvent) => {
      async function* events(): AsyncGenerator<Tick> {
        for await (const lines of linesOf(chunks)) for (const line of lines) yield JSON.parse(line);
      }
      for await (const event of events()) onEvent(event);
    },
  },
  {
    name: "npm ndjson, on data",
    format: "ndjson",
    read: async (chunks, onEvent) => {
      const stream = (createRequire(import.meta.url)("ndjson") as Ndjson).parse();
      const ended = new Promise<void>((resolve, reject) => stream.once("end", resolve).once("error", reject));
      stream.on("data", onEvent);
      for (const chunk of chunks) {
        if (!stream.write(chunk)) await new Promise((resolve) => stream.once("drain", resolve));
      }
      stream.end();
      await ended;
    },
  },
  {
    name: "eventsource-parser over SSE, callback",
    format: "sse",
    read: (chunks, onEvent) => {
      const decoder = new TextDecoder();
      const parser = createParser({ onEvent: ({ data }) => onEvent(JSON.parse(data)) });
      for (const chunk of chunks) parser.feed(decoder.decode(chunk, { stream: true }));
    },
  },
];

/** Lines of about 210 bytes. */
function lineOf(n: number, name: string): string {
  const event = { n, infohash: "08ada5a7a6183aae1e09d831df6748d566095a10", name };
  return JSON.stringify({ type: "tick", event, id: `d9428888122b-${n}`, time: "2026-11-22T15:50:52.123Z" });
}

function chunksOf(text: string): Uint8Array[] {
  const bytes = new TextEncoder().encode(text);
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) chunks.push(bytes.slice(at, at + CHUNK_BYTES));
  return chunks;
}

/** Runs it once, and sees that all came, in order. */
async function secondsOf(run: (onEvent: (event: Tick) => void) => void | Promise<void>): Promise<number> {
  let next = 0;
  const startedAt = performance.now();
  await run(({ event }) => {
    if (event.n !== next++) throw new Error(`event ${event.n} came in the place of ${next - 1}`);
  });
  const seconds = (performance.now() - startedAt) / 1000;
  if (next !== EVENTS) throw new Error(`${next} of ${EVENTS} events came`);
  return seconds;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

async function measure(name: string): Promise<void> {
  const lines = Array.from({ length: EVENTS }, (_, n) => lineOf(n, name));
  const bytes = lines.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0);
  const bodies = {
    ndjson: chunksOf(lines.map((line) => line + "\n").join("")),
    sse: chunksOf(lines.map((line, n) => `id: d9428888122b-${n}\nevent: tick\ndata: ${line}\n\n`).join("")),
  };
  const runs: { name: string; run: Parameters<typeof secondsOf>[0]; seconds: number[] }[] = [
    {
      name: "JSON.parse of split lines",
      run: (on) => lines.forEach((line) => on(JSON.parse(line))),
      seconds: [],
    },
    ...WAYS.map(({ name, format, read }) => ({
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
  const best = median(runs[0]!.seconds);
  console.log(`  lines of ${Math.round(bytes / EVENTS)} bytes such as ${JSON.stringify(name.slice(0, 16))}`);
  for (const { name, seconds } of runs) {
    const took = median(seconds);
    const rate = `${Math.round(EVENTS / took / 1000)} 000`.padStart(9);
    console.log(
      `    ${name.padEnd(40)}${rate} events/s  ${Math.round((best / took) * 100).toString().padStart(4)} %`,
    );
  }
}

const RUNTIMES = ["node", "deno", "bun"] as const;

/** Each runtime in a process of its own. */
function main(): void {
  const file = fileURLToPath(import.meta.url);
  if (
    spawnSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: fileURLToPath(new URL(".", import.meta.url)) })
      .error
  ) {
    throw new Error("cannot install what is compared with: npm ci in bench/");
  }
  console.log(`${cpus()[0]?.model.trim() ?? "unknown CPU"}, one process at a time, medians of ${ROUNDS}`);
  for (const runtime of RUNTIMES) {
    console.log(`\n${runtime} ${runtimeVersion(runtime) ?? "is not here"}`);
    const args = {
      node: ["--import", createRequire(import.meta.url).resolve("tsx"), file],
      deno: ["run", "--quiet", "--allow-all", "--no-lock", file],
      bun: ["run", file],
    }[runtime];
    const { status } = spawnSync(runtimeCommand(runtime), [...args, "--measure"], { stdio: "inherit" });
    if (status !== 0) process.exitCode = 1;
  }
}

if (process.argv[2] === "--measure") {
  await measure("Sintel, the durian open movie project, in 1080p and more");
  await measure("Sintel – 電影 – é漢😀 – Ένα όνομα – имя");
} else {
  main();
}
