/**
 * The pipeline of a hub: channel → serializer → `TextEncoderStream` → chunks, each made once for all subscribers.
 *
 * It is a `ReadableStream` piped through two `TransformStream`s on purpose: the shape of the whole library, on web
 * standards alone. It gives backpressure from the hand-out to the channel without code of our own, a place where another
 * stage can be put (compression, for example), and the platform's encoder. It runs once for each batch and not for each
 * subscriber, so that the streams cost nothing that can be measured.
 *
 * @module
 */
import { type Batch, type EventLog, positionAfter } from "../channel/channel.ts";
import { type Chunk, type ChunkRange, makeChunk } from "./chunk.ts";
import { createEncoder } from "./encoder.ts";
import { nextTurn } from "./next_turn.ts";
import { createPacing } from "./pacing.ts";
import { serializer, type WireFormat } from "./wire_format.ts";

/** A chunk of this size gains nothing from waiting for more: batches are no larger than 256 KiB. */
const FULL_BYTES = 192 * 1024;
/** What a timer takes at least, in milliseconds. */
const TIMER_MS = 1;
/** The least cost of a chunk, in milliseconds, that differs from what a timer takes anyway. */
const LEAST_COST_MS = 2;

/** What a pipeline does with its chunks, and how fast. */
export interface PipelineOptions {
  /** Receives the next chunk. */
  onChunk(chunk: Chunk): void;
  /** Called before the first chunk of another epoch. */
  onNewEpoch(): void;
  /** Called when events are missing and none follow yet, and when events of a batch may have been erased since it was read. */
  onLoss(): void;
  /** Returns how many times events were erased. */
  erasures(): number;
  /** Called when the channel was closed and all its events were delivered; not after the pipeline was stopped. */
  onEnd(): void;
  /** Called with what was thrown in it: no further chunk follows. */
  onError(error: unknown): void;
  /** The most milliseconds that a batch is held back after the one before. */
  readonly maxDelay: number;
}

/**
 * Starts a pipeline at the newest event of the log.
 *
 * At a pace that can be delivered, an event goes out in the turn in which it was published, with what was published since
 * the turn before. In a flood a batch is taken when as much time has passed again as the delivery of the one before took,
 * so that the channel writes few large chunks instead of many small ones: the cost is in the writes, not in the bytes. See
 * {@linkcode createPacing}.
 *
 * @returns stops the pipeline at once and for good, and leaves no timer or iterator behind
 */
export function startPipeline(log: EventLog, format: WireFormat, options: PipelineOptions): () => void {
  const { onChunk, onNewEpoch, onLoss, onEnd, onError, maxDelay } = options;
  const batches = log.batches("latest");
  const pacing = createPacing();
  let isStopped = false;
  let batch: Batch | undefined;
  /** How many times events had been erased when the batch was requested. */
  let erasures = 0;
  /** Lets the source take the next batch; the stages after it would pull one ahead. */
  let takeNext: (() => void) | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const source = new ReadableStream<Batch>({
    async pull(controller) {
      if (batch !== undefined) await new Promise<void>((resolve) => takeNext = resolve);
      for (;;) {
        erasures = options.erasures();
        const next = await batches.next();
        if (next.done) return controller.close();
        const { entries, lost } = next.value;
        if (lost?.reason === "unknown_epoch" && !isStopped) onNewEpoch();
        else if (entries.length === 0 && !isStopped) onLoss();
        if (entries.length === 0) continue;
        batch = next.value;
        return controller.enqueue(batch);
      }
    },
  }, { highWaterMark: 0 });

  async function run(): Promise<void> {
    await readEach(source.pipeThrough(serializer(format)).pipeThrough(createEncoder()), (bytes) => {
      if (isStopped) return false;
      const start = performance.now();
      if (erasures === options.erasures()) {
        onChunk(makeChunk(format, rangeOf(batch!), batch!.entries, bytes));
      } else onLoss();
      if (!isStopped) releaseNext(start, batch!.entries.length, bytes.length >= FULL_BYTES);
      return true;
    });
    if (!isStopped) onEnd();
  }

  /**
   * Releases the next batch: in the next turn, or where the pacing holds it back after the shortest timer, and when the
   * publisher runs ahead as long after the last one as that one kept the event loop busy; behind a full one without that.
   */
  function releaseNext(start: number, events: number, isFull: boolean): void {
    // A write costs most after it returned, in microtasks, and on some runtimes behind them.
    nextTurn(() => {
      const costMs = performance.now() - start;
      if (isStopped || !pacing.holds(start)) {
        pacing.count(events, start, costMs);
        return release();
      }
      timer = setTimeout(function hold() {
        const totalMs = performance.now() - start;
        // Node counts a timer from when the turn began, which the delivery may have filled.
        if (totalMs < costMs + TIMER_MS) return void (timer = setTimeout(hold));
        pacing.count(events, start, Math.max(costMs, totalMs - TIMER_MS));
        if (isFull || totalMs < LEAST_COST_MS || !pacing.isOverloaded) release();
        else timer = setTimeout(release, Math.min(totalMs, maxDelay));
      });
    });
  }

  function release(): void {
    batch = undefined;
    takeNext?.();
  }

  run().catch((error: unknown) => {
    if (!isStopped) onError(error);
  });
  return () => {
    isStopped = true;
    clearTimeout(timer);
    release();
    batches.return?.();
  };
}

/** Calls the function with what is read, until that is over or the function returns `false`. */
async function readEach(
  stream: ReadableStream<Uint8Array>,
  use: (bytes: Uint8Array) => boolean,
): Promise<void> {
  const reader = stream.getReader();
  const pass = ({ done, value }: ReadableStreamReadResult<Uint8Array>) => !done && use(value);
  // Nothing here names what was read: V8 keeps that of the last time for as long as the function waits, also if it was erased.
  while (pass(await reader.read()));
}

/** The positions that a batch covers which has events. */
function rangeOf(batch: Batch): ChunkRange {
  const after = batch.entries[0]!.position - 1;
  return { after, last: positionAfter(batch, after) };
}
