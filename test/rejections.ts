/**
 * Promises that are rejected with nobody there to hear it, counted for the whole process.
 *
 * @module
 */
import process from "node:process";

/** Runs `use`, and gives what was rejected meanwhile and for one turn of the event loop after it. */
export async function rejectionsDuring(use: () => Promise<void>): Promise<unknown[]> {
  const rejections: unknown[] = [];
  const onNode = (reason: unknown) => void rejections.push(reason);
  const onDeno = (event: Event & { readonly reason?: unknown }) => {
    event.preventDefault();
    rejections.push(event.reason);
  };
  const isDeno = "Deno" in globalThis;
  if (isDeno) globalThis.addEventListener("unhandledrejection", onDeno);
  else process.on("unhandledRejection", onNode);
  try {
    await use();
    await new Promise((resolve) => setTimeout(resolve, 1));
    return rejections;
  } finally {
    globalThis.removeEventListener?.("unhandledrejection", onDeno);
    process.off("unhandledRejection", onNode);
  }
}
