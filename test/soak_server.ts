/**
 * The command `serve` with its timers counted: `soak_server.ts [options of serve]`. At SIGUSR2 it prints how many run.
 *
 * @module
 */
import process from "node:process";

const { setTimeout, clearTimeout, setInterval, clearInterval } = globalThis;
const running = new Set<unknown>();

Object.assign(globalThis, {
  setTimeout: (callback: (...args: unknown[]) => void, ms?: number, ...args: unknown[]) => {
    const timer = setTimeout(() => {
      running.delete(timer);
      callback(...args);
    }, ms);
    running.add(timer);
    return timer;
  },
  clearTimeout: (timer: ReturnType<typeof setTimeout>) => {
    running.delete(timer);
    clearTimeout(timer);
  },
  setInterval: (callback: (...args: unknown[]) => void, ms?: number, ...args: unknown[]) => {
    const timer = setInterval(() => callback(...args), ms);
    running.add(timer);
    return timer;
  },
  clearInterval: (timer: ReturnType<typeof setInterval>) => {
    running.delete(timer);
    clearInterval(timer);
  },
});
process.on("SIGUSR2", () => console.log(`timers: ${running.size}`));

const { serve } = await import("../src/cli/serve.ts");
await serve(process.argv.slice(2));
