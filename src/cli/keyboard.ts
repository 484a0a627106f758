/**
 * The keys that are pressed in a terminal. While it is open the terminal does not show them, and Ctrl-C is a key like any
 * other. However the process ends, the terminal is as it was.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { emitKeypressEvents } from "node:readline";
import { type Key, keypressListener, PASTES_OFF, PASTES_ON } from "./keypress.ts";

/** An open keyboard. */
export interface Keyboard {
  /** Stops the process and those that it was started with, as Ctrl-Z does, with the terminal as it was. */
  suspend(): void;
  /** Leaves the terminal as it was. */
  close(): void;
}

/** Number of milliseconds after which an escape is the key, and not the beginning of a sequence. */
const ESCAPE_TIMEOUT_MS = 50;

/** Number of milliseconds after which a process that has not been stopped goes on. */
const STOP_TIMEOUT_MS = 200;

/**
 * Opens the keyboard of this terminal; `undefined` if stdin is none, or belongs to another process now (`tail … &`).
 *
 * @param onKey called for each key
 * @param onLeave called when the process is stopped or ends by itself, for what is to be undone then
 * @param onContinued called when it goes on in the foreground
 */
export function openKeyboard(
  onKey: (key: Key) => void,
  onLeave: () => void,
  onContinued: () => void,
): Keyboard | undefined {
  const { stdin } = process;
  if (!stdin.isTTY || typeof stdin.setRawMode !== "function" || !isForeground()) return undefined;

  const onKeypress = keypressListener(onKey);
  const restore = () => {
    onLeave();
    release();
  };
  const continuing = continueAfterStops(restore, onContinued);
  const onHangUp = () => process.exit(129); // Its default action would leave the terminal as it is.
  // Deno does not emit "exit" after it.
  const onCrash = (error: unknown) => {
    restore();
    console.error(error);
    process.exit(1);
  };

  // Types of Node want a whole interface of readline, of which only this is read.
  emitKeypressEvents(stdin, { escapeCodeTimeout: ESCAPE_TIMEOUT_MS } as never);
  take();
  stdin.on("keypress", onKeypress);
  stdin.resume();
  process.on("exit", restore);
  process.on("SIGHUP", onHangUp);
  process.on("uncaughtException", onCrash);
  return {
    // The whole group, as the terminal does: a shell waits for `npx`, and not for this process.
    suspend: () => continuing.stop(0, process.pid),
    close: () => {
      continuing.close();
      release();
      stdin.off("keypress", onKeypress);
      stdin.pause();
      process.off("exit", restore);
      process.off("SIGHUP", onHangUp);
      process.off("uncaughtException", onCrash);
    },
  };
}

/** Leaves the terminal as it was while the process is stopped, by a key or from outside, and takes it again after that. */
function continueAfterStops(restore: () => void, onContinued: () => void) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** Stops the first of these that it may stop: Deno without `--allow-run` may not stop the group (0). */
  const stop = (...pids: readonly number[]) => {
    restore();
    process.off("SIGTSTP", onStop); // Without a listener the signal stops the process.
    pids.some((pid) => sendStop(pid));
    // The system does not stop a process that no shell could continue.
    timer = setTimeout(onContinue, STOP_TIMEOUT_MS);
  };
  const onStop = () => stop(process.pid);
  const onContinue = () => {
    clearTimeout(timer);
    process.off("SIGTSTP", onStop).on("SIGTSTP", onStop);
    if (!isForeground()) return;
    // Whatever stopped it, the shell has changed the modes of the terminal, which a runtime believes to know.
    setRawMode(false);
    take();
    onContinued();
  };
  process.on("SIGTSTP", onStop).on("SIGCONT", onContinue);
  return {
    stop,
    close: () => {
      clearTimeout(timer);
      process.off("SIGTSTP", onStop).off("SIGCONT", onContinue);
    },
  };
}

function sendStop(pid: number): boolean {
  try {
    return process.kill(pid, "SIGTSTP");
  } catch {
    return false; // Windows has no such signal.
  }
}

/** Has the terminal send keys and pastes. */
function take(): void {
  setRawMode(true);
  process.stdout.write(PASTES_ON);
}

/** Leaves the terminal as it was. */
function release(): void {
  process.stdout.write(PASTES_OFF);
  setRawMode(false);
}

function setRawMode(isRaw: boolean): void {
  try {
    process.stdin.setRawMode(isRaw);
  } catch {
    // The terminal has gone.
  }
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
