/**
 * The pipeline of a feed: channel → serializer → `TextEncoderStream` → chunks, each made once and for everybody.
 *
 * @module
 */
import type { Batch, EventLog } from "../channel/channel.ts";
import { type Chunk, makeChunk } from "./chunk.ts";
import { createEncoder } from "./encoder.ts";
import { serializer, type WireFormat } from "./wire_format.ts";

/** From so many bytes on a chunk does not gain by being held back: batches are no larger than 256 KiB. */
const FULL_BYTES = 192 * 1024;

/** What a pipeline is told to do with its chunks, and how fast. */
export interface PipelineOptions {
  /** Takes the next chunk. */
  onChunk(chunk: Chunk): void;
  /** The events are counted anew: the chunks that follow are of another epoch. */
  onNewEpoch(): void;
  /** Events are missing, and none follow yet. */
  onLoss(): void;
  /** The channel was closed and everything in it has been told. Not called after the pipeline was stopped. */
  onEnd(): void;
  /** Something in it threw: there will be no further chunk. */
  onError(error: unknown): void;
  /** At most so many milliseconds the next batch is held back after the last. */
  readonly maxDelay: number;
}

/**
 * Starts a pipeline at the newest event of the log.
 *
 * The first event after a quiet moment goes out at once. After a chunk the next batch is taken when as much time has
 * passed again as handing out that chunk cost, so that a flooded channel writes few large chunks instead of many
 * small ones: the cost is in the writes, not in the bytes.
 *
 * @returns stops the pipeline at once and for good; nothing of it is left waiting then
 */
export function startPipeline(log: EventLog, format: WireFormat, options: PipelineOptions): () => void {
  const { onChunk, onNewEpoch, onLoss, onEnd, onError, maxDelay } = options;
  const batches = log.batches("latest");
  let stopped = false;
  let underWay: Batch | undefined;
  /** Lets the source take the next batch; the stages after it would pull one ahead. */
  let goOn: (() => void) | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const source = new ReadableStream<Batch>({
    async pull(controller) {
      if (underWay !== undefined) await new Promise<void>((resolve) => goOn = resolve);
      for (;;) {
        const next = await batches.next();
        if (next.done) return controller.close();
        const { entries, lost } = next.value;
        if (lost?.reason === "unknown_epoch" && !stopped) onNewEpoch();
        else if (entries.length === 0 && !stopped) onLoss();
        if (entries.length === 0) continue;
        underWay = next.value;
        return controller.enqueue(underWay);
      }
    },
  }, { highWaterMark: 0 });

  async function run(): Promise<void> {
    const reader = source.pipeThrough(serializer(format)).pipeThrough(createEncoder()).getReader();
    for (let read; !(read = await reader.read()).done && !stopped;) {
      const start = performance.now();
      onChunk(makeChunk(format, underWay!.entries, read.value));
      if (!stopped) pace(start, read.value.length >= FULL_BYTES);
    }
    if (!stopped) onEnd();
  }

  /** Lets the next batch go as long after the last one as that one kept the event loop busy, or at once behind a full one. */
  function pace(start: number, isFull: boolean): void {
    // What a write costs comes after it, in microtasks: a timer fires once they are over.
    timer = setTimeout(() => {
      const cost = performance.now() - start;
      // Less cannot be told from what a timer takes at the least.
      if (isFull || cost < 2) release();
      else timer = setTimeout(release, Math.min(cost, maxDelay));
    });
  }

  function release(): void {
    underWay = undefined;
    goOn?.();
    goOn = undefined;
  }

  run().catch((error: unknown) => {
    if (!stopped) onError(error);
  });
  return () => {
    stopped = true;
    clearTimeout(timer);
    release();
    batches.return?.();
  };
}
