/**
 * The commands, and their help. What shells complete and the manual page are made of that help.
 *
 * @module
 */

import type { Command } from "./command.ts";

/** The commands, in the order of the help. */
export const COMMANDS: readonly Command[] = [
  {
    name: "serve",
    usage: "serve",
    summary: "run a server on http://localhost:8085/events",
    load: async () => {
      const [{ serve }, { SERVE_HELP }] = [await import("./serve.ts"), await import("./serve_flags.ts")];
      return { run: serve, help: SERVE_HELP };
    },
  },
  {
    name: "tail",
    usage: "tail URL",
    summary: "print the events of a server as they arrive",
    load: async () => {
      const { tail, TAIL_HELP } = await import("./tail.ts");
      return { run: tail, help: TAIL_HELP };
    },
  },
  {
    name: "emit",
    usage: "emit URL TYPE [PAYLOAD]",
    summary: "publish an event; without TYPE, the events on standard input",
    load: async () => {
      const { emit, EMIT_HELP } = await import("./emit.ts");
      return { run: emit, help: EMIT_HELP };
    },
  },
  {
    name: "types",
    usage: "types URL",
    summary: "print the types of events that a server has",
    load: async () => {
      const { types, TYPES_HELP } = await import("./types.ts");
      return { run: types, help: TYPES_HELP };
    },
  },
  {
    name: "forward",
    usage: "forward FROM TO",
    summary: "publish the events of a server to another one, each once and in order",
    load: async () => {
      const { forward, FORWARD_HELP } = await import("./forward.ts");
      return { run: forward, help: FORWARD_HELP };
    },
  },
  {
    name: "replay",
    usage: "replay FILE TO",
    summary: "publish recorded events in the rhythm of their times",
    load: async () => {
      const { replay, REPLAY_HELP } = await import("./replay.ts");
      return { run: replay, help: REPLAY_HELP };
    },
  },
  {
    name: "completion",
    usage: "completion SHELL",
    summary: "print what bash, zsh or fish needs to complete the command",
    load: async () => {
      const { completion, COMPLETION_HELP } = await import("./completion.ts");
      return { run: (args) => completion(args, COMMANDS), help: COMPLETION_HELP };
    },
  },
];
