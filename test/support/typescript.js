/**
 * Loads TypeScript on Node: `node --import ./test/support/typescript.js`, for the processes of a run of the tests.
 *
 * `tsx` takes half a second of a core to start, and the tests start hundreds of processes.
 *
 * @module
 */
import module from "node:module";
import process from "node:process";
import * as hooks from "./typescript_hooks.js";

process.setSourceMapsEnabled(true);
if (module.registerHooks !== undefined) module.registerHooks(hooks);
else module.register("./typescript_hooks.js", import.meta.url); // Before Node 22.15.
