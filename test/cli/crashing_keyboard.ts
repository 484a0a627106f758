/**
 * Reads keys from a terminal, and fails at the first one.
 *
 * @module
 */
import { openKeyboard } from "../../src/cli/keyboard.ts";

openKeyboard(
  () => {
    setTimeout(() => {
      throw new Error("a fault");
    });
  },
  () => {},
  () => {},
);
console.log("reads keys");
