/**
 * The boot of the machine: whether it has lost power since a file was last open.
 *
 * @module
 */
import { readFileSync } from "node:fs";

/** Returns a text that differs after each start of the machine; where it has none, always the same. */
export function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "unknown"; // Linux alone has it, and Deno may not allow this.
  }
}
