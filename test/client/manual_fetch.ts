/**
 * A `fetch` that ignores its signal, for tests of what becomes of its responses.
 *
 * @module
 */
import type { ConnectOptions } from "../../src/client/mod.ts";
import { NDJSON } from "../support/scripted.ts";

/** A `fetch` whose calls the test answers. */
export interface ManualFetch {
  readonly fetch: NonNullable<ConnectOptions["fetch"]>;
  /** The URLs of the requests so far. */
  readonly urls: readonly string[];
  /** Answers the request of this index. */
  answer(index: number, response: Response): void;
}

export function manualFetch(): ManualFetch {
  const urls: string[] = [];
  const answers: ((response: Response) => void)[] = [];
  return {
    urls,
    answer: (index, response) => answers[index]!(response),
    fetch: (url) => {
      urls.push(url);
      return new Promise((resolve) => answers.push(resolve));
    },
  };
}

/** A response whose body stays open. */
export interface OpenResponse {
  readonly response: Response;
  isCancelled(): boolean;
}

/** Makes a response that stays open after these lines. */
export function openResponse(status: number, ...lines: string[]): OpenResponse {
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      for (const line of lines) controller.enqueue(new TextEncoder().encode(line));
    },
    cancel: () => void (cancelled = true),
  });
  return {
    response: new Response(body, { status, headers: { "Content-Type": NDJSON } }),
    isCancelled: () => cancelled,
  };
}

/** Waits for this many microtasks. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await null;
}
