/**
 * Uncaught errors and unhandled rejections of the whole process.
 *
 * @module
 */
import process from "node:process";

/**
 * Reports every unhandled rejection and every uncaught error, and keeps the process running.
 *
 * @returns stops the reports
 */
export function onUncaught(report: (kind: string, error: unknown) => void): () => void {
  const onRejection = (reason: unknown) => report("an unhandled rejection", reason);
  const onException = (error: unknown) => report("an uncaught error", error);
  if (!("Deno" in globalThis)) {
    process.on("unhandledRejection", onRejection).on("uncaughtException", onException);
    return () => void process.off("unhandledRejection", onRejection).off("uncaughtException", onException);
  }
  const onEvent = (event: Event & { readonly reason?: unknown; readonly error?: unknown }) => {
    event.preventDefault();
    if (event.type === "error") onException(event.error);
    else onRejection(event.reason);
  };
  globalThis.addEventListener("unhandledrejection", onEvent);
  globalThis.addEventListener("error", onEvent);
  return () => {
    globalThis.removeEventListener("unhandledrejection", onEvent);
    globalThis.removeEventListener("error", onEvent);
  };
}

/** Runs `use`, and returns the errors that were not caught meanwhile and for one turn of the event loop after it. */
export async function rejectionsDuring(use: () => Promise<void>): Promise<unknown[]> {
  const rejections: unknown[] = [];
  const stop = onUncaught((_, error) => void rejections.push(error));
  try {
    await use();
    await new Promise((resolve) => setTimeout(resolve, 1));
    return rejections;
  } finally {
    stop();
  }
}
