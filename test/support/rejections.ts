/**
 * Errors that nobody catches, counted for the whole process.
 *
 * @module
 */
import process from "node:process";

/**
 * Tells of every rejected promise that nobody handles, and of every error that nobody catches, and lets the process go on.
 *
 * @returns tells of none any more
 */
export function onUncaught(tell: (kind: string, error: unknown) => void): () => void {
  const onRejection = (reason: unknown) => tell("a rejection that nobody handled", reason);
  const onException = (error: unknown) => tell("an error that nobody caught", error);
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

/** Runs `use`, and gives what nobody caught meanwhile and for one turn of the event loop after it. */
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
