/** Who is compared: how each server is started, and what it speaks. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { programOf } from "../test/support/runtimes.ts";
import { Child } from "./child.ts";
import { firstLine } from "./machine.ts";

export type Format = "ndjson" | "sse";

export interface ServerSpec {
  name: string;
  title: string;
  file: string;
  runtime: "node" | "node24" | "deno" | "bun";
  format: Format;
  /** Where the subscribers go. */
  path: string;
  /** Whether a body byte comes before the first event. */
  startsAtOnce: boolean;
  /** The bare stream on the same runtime, for a ratio of its own. */
  yardstick?: string;
  /** The core of the process started here; where that only publishes, it starts the server on the other one. */
  core: "server" | "client";
  args: string[];
}

type Rest = Partial<Omit<ServerSpec, "name" | "title" | "file" | "runtime">>;

function spec(
  name: string,
  title: string,
  file: string,
  runtime: ServerSpec["runtime"],
  rest: Rest = {},
): ServerSpec {
  return {
    name,
    title,
    file,
    runtime,
    format: "ndjson",
    path: "/events",
    startsAtOnce: true,
    core: "server",
    args: [],
    ...rest,
  };
}

export const SERVERS: ServerSpec[] = [
  spec("plain", "plain `node:http`, `res.write(sameBuffer)`", "plain.ts", "node"),
  spec("hono-sse", "hono `streamSSE`, one `writeSSE` each", "hono_sse.ts", "node", { format: "sse" }),
  spec("better-sse", "better-sse `channel.broadcast`", "better_sse.ts", "node", { format: "sse" }),
  spec("nchan", "nginx + nchan, chunked", "nchan.ts", "node", { startsAtOnce: false, core: "client" }),
  spec("bare-node", "bare `Response(stream)`", "bare.ts", "node"),
  spec("bare-deno", "bare `Response(stream)`", "bare.ts", "deno"),
  spec("bare-bun", "bare `Response(stream)`", "bare.ts", "bun"),
  spec("ours-node", "**events-endpoint**", "ours.ts", "node", { yardstick: "bare-node" }),
  spec("ours-deno", "**events-endpoint**", "ours.ts", "deno", { yardstick: "bare-deno" }),
  spec("ours-bun", "**events-endpoint**", "ours.ts", "bun", { yardstick: "bare-bun" }),
];

/** A channel in a file, the same in memory, and that with bare SQLite beside it: `npm run bench:sqlite` compares them. */
export const IN_FILE: { memory: ServerSpec; file: ServerSpec; beside: ServerSpec }[] =
  (["node24", "deno", "bun"] as const).map((runtime) => ({
    memory: spec(`memory-${runtime}`, "in memory", "ours.ts", runtime),
    file: spec(`file-${runtime}`, "in a file", "ours.ts", runtime, { args: ["file"] }),
    beside: spec(`beside-${runtime}`, "in memory, beside bare SQLite", "ours.ts", runtime, {
      args: ["beside"],
    }),
  }));

/** Only when asked for by name: the same over SSE, and on NATS, which `npm run bench:nats` starts for it. */
export const MORE_SERVERS: ServerSpec[] = [
  spec("ours-node-sse", "**events-endpoint**, SSE", "ours.ts", "node", {
    format: "sse",
    yardstick: "bare-node",
  }),
  spec("ours-nats", "**events-endpoint** on NATS", "ours_nats.ts", "node", {
    yardstick: "bare-node",
    core: "client",
    args: ["live"],
  }),
  spec("ours-nats-stored", "**events-endpoint** on NATS, published before", "ours_nats.ts", "node", {
    yardstick: "bare-node",
    core: "client",
    args: ["stored"],
  }),
];

/** The yardstick of a storm: the same bytes as a file, whose path is its argument. */
export const STATIC: ServerSpec = spec("static", "nginx, a static file", "static.ts", "node", {
  core: "client",
});

/** The yardstick of a quick restart: a file, and the number of its first line. */
export const PLAIN_RESUME: ServerSpec = spec(
  "plain-resume",
  "plain `node:http`, one `res.end(rest)`",
  "plain_resume.ts",
  "node",
);

/** nginx with nchan, whose readers resume in its message buffer. */
export const NCHAN_RESUME: ServerSpec = {
  ...SERVERS.find(({ name }) => name === "nchan")!,
  name: "nchan-resume",
  title: "nginx + nchan, its message buffer",
};

/** Not compared: the source that shows how much the load client can take. */
export const BLAST: ServerSpec = spec("blast", "bytes made beforehand, in large writes", "blast.ts", "node");

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** The project's own Deno or Bun where its tests have one, else that of the PATH. */
export function runtimeCommand(runtime: ServerSpec["runtime"]): string {
  if (runtime === "node") return process.execPath;
  if (runtime === "node24") return programOf(runtime);
  const own = here(`../test/runtimes/node_modules/.bin/${runtime}`);
  return existsSync(own) ? own : runtime;
}

export function runtimeVersion(runtime: ServerSpec["runtime"]): string | undefined {
  return firstLine(runtimeCommand(runtime), "--version")?.match(/\d+\.\d+\.\d+/)?.[0];
}

export function startServer(server: ServerSpec): Child {
  const file = here(`servers/${server.file}`);
  const command = runtimeCommand(server.runtime);
  const onNode = ["--import", createRequire(import.meta.url).resolve("tsx"), file];
  const args = {
    node: onNode,
    node24: onNode,
    deno: ["run", "--quiet", "--allow-all", "--no-lock", "--config", here("../deno.json"), file],
    bun: ["run", file],
  }[server.runtime];
  return new Child(server.name, [command, ...args, ...server.args], server.core);
}
