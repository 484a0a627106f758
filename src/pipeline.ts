/**
 * The pipeline of a feed: channel → serializer → `TextEncoderStream` → chunks, each made once and for everybody.
 *
 * @module
 */
import type { Batch, Entry, EventLog } from "./channel.ts";
import { endsOf, serializer, type WireFormat } from "./serialize.ts";

/** The bytes of some events in a row, whole events only. */
export interface Chunk {
  /** The position before its first event. */
  readonly after: number;
  /** The position of its last event. */
  readonly last: number;
  /** Its events. */
  readonly entries: readonly Entry[];
  /** Their bytes in the feed's wire format. */
  readonly bytes: Uint8Array;
  /** Where each event ends in `bytes`; found at the first call. */
  ends(): readonly number[];
}

/** A chunk of the entries and the bytes they were encoded to. */
export function makeChunk(format: WireFormat, entries: readonly Entry[], bytes: Uint8Array): Chunk {
  let ends: readonly number[] | undefined;
  return {
    after: entries[0]!.position - 1,
    last: entries.at(-1)!.position,
    entries,
    bytes,
    ends: () => ends ??= endsOf(format, bytes),
  };
}

/** What a pipeline tells. */
export interface PipelineEvents {
  /** The next chunk; the one after it is made once this has returned. */
  onChunk(chunk: Chunk): void;
  /** The channel was closed and everything in it has been told. Not called after the pipeline was stopped. */
  onEnd(): void;
}

/**
 * Starts a pipeline at the newest event of the log.
 *
 * Batches go through it one at a time: while one is on its way, what is published gathers for the next.
 *
 * @returns stops the pipeline at once and for good; nothing of it is left waiting then
 */
export function startPipeline(
  log: EventLog,
  format: WireFormat,
  { onChunk, onEnd }: PipelineEvents,
): () => void {
  const batches = log.batches("latest");
  let stopped = false;
  let underWay: Batch | undefined;
  /** Lets the source go on once the batch under way has arrived; the stages in between would pull ahead of it. */
  let resume: (() => void) | undefined;

  const source = new ReadableStream<Batch>({
    async pull(controller) {
      if (underWay !== undefined) await new Promise<void>((resolve) => resume = resolve);
      const next = await batches.next();
      if (next.done) return controller.close();
      underWay = next.value;
      controller.enqueue(underWay);
    },
  }, { highWaterMark: 0 });

  function goOn(): void {
    underWay = undefined;
    resume?.();
    resume = undefined;
  }

  async function run(): Promise<void> {
    const reader = source.pipeThrough(serializer(format)).pipeThrough(new TextEncoderStream()).getReader();
    for (let read; !(read = await reader.read()).done && !stopped;) {
      onChunk(makeChunk(format, underWay!.entries, read.value));
      goOn();
    }
    if (!stopped) onEnd();
  }

  run();
  return () => {
    stopped = true;
    goOn();
    batches.return?.();
  };
}
