/**
 * The keys that are pressed in a terminal. While it is open the terminal does not show them, and Ctrl-C is a key like any
 * other. However the process ends, the terminal is as it was.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { emitKeypressEvents } from "node:readline";

/** A key. */
export interface Key {
  /** Its name, such as `up`, `return` or `space`; empty for a character without one. */
  readonly name: string;
  /** The character that it writes; empty if it writes none. */
  readonly text: string;
  readonly ctrl: boolean;
}

/** An open keyboard. */
export interface Keyboard {
  /**
   * Stops the process, as Ctrl-Z does, with the terminal as it was.
   *
   * @param onContinued called when the process goes on
   */
  suspend(onContinued: () => void): void;
  /** Leaves the terminal as it was. */
  close(): void;
}

/** Number of milliseconds after which an escape is the key, and not the beginning of a sequence. */
const ESCAPE_TIMEOUT_MS = 50;

/**
 * Opens the keyboard of this terminal; `undefined` if stdin is none, or belongs to another process now (`tail … &`).
 *
 * @param onKey called for each key
 * @param onEnd called when the process ends by itself, for what is to be undone then
 */
export function openKeyboard(onKey: (key: Key) => void, onEnd: () => void): Keyboard | undefined {
  const { stdin } = process;
  if (!stdin.isTTY || typeof stdin.setRawMode !== "function" || !isForeground()) return undefined;

  const onKeypress = (text: string | undefined, { name, ctrl }: { name?: string; ctrl?: boolean }) =>
    onKey({ name: name ?? "", text: isCharacter(text) ? text : "", ctrl: ctrl === true });
  const restore = () => {
    onEnd();
    setRawMode(false);
  };
  const onHangUp = () => process.exit(129); // Its default action would leave the terminal as it is.
  // Deno does not emit "exit" after it.
  const onCrash = (error: unknown) => {
    restore();
    console.error(error);
    process.exit(1);
  };

  // Types of Node want a whole interface of readline, of which only this is read.
  emitKeypressEvents(stdin, { escapeCodeTimeout: ESCAPE_TIMEOUT_MS } as never);
  setRawMode(true);
  stdin.on("keypress", onKeypress);
  stdin.resume();
  process.on("exit", restore);
  process.on("SIGHUP", onHangUp);
  process.on("uncaughtException", onCrash);
  return {
    suspend: (onContinued) => {
      setRawMode(false);
      const onContinue = () => {
        if (isForeground()) setRawMode(true);
        onContinued();
      };
      try {
        process.once("SIGCONT", onContinue);
        process.kill(process.pid, "SIGTSTP");
      } catch {
        // Windows has no such signal.
        process.off("SIGCONT", onContinue);
        onContinue();
      }
    },
    close: () => {
      setRawMode(false);
      stdin.off("keypress", onKeypress);
      stdin.pause();
      process.off("exit", restore);
      process.off("SIGHUP", onHangUp);
      process.off("uncaughtException", onCrash);
    },
  };
}

function setRawMode(isRaw: boolean): void {
  try {
    process.stdin.setRawMode(isRaw);
  } catch {
    // The terminal has gone.
  }
}

function isCharacter(text: string | undefined): text is string {
  // deno-lint-ignore no-control-regex
  return text !== undefined && text !== "" && !/[\0-\x1f\x7f]/.test(text);
}

/**
 * Whether this process may change the terminal: the system stops one in the background that does. Linux shows it; elsewhere, and on
 * Deno without `--allow-all`, it is taken for granted.
 */
function isForeground(): boolean {
  try {
    // The name of the program, in parentheses, may have any character.
    const [, , group, , , terminalGroup] = readFileSync("/proc/self/stat", "utf8").replace(/^.*\) /s, "")
      .split(" ");
    return group === terminalGroup;
  } catch {
    return true;
  }
}
