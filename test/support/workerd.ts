/**
 * Workers: a module, bundled as wrangler does it, that `workerd` serves at several compatibility dates.
 *
 * @module
 */
import { build } from "esbuild";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Child, startProgram } from "./children.ts";
import { programOf } from "./runtimes.ts";

/** What a Worker is made of. */
export interface WorkerOptions {
  /** The module, by its path from the root of the repository. */
  readonly file: string;
  /** Its Durable Objects: the class of each binding. */
  readonly objects: Readonly<Record<string, string>>;
  /** Its other bindings, which are texts. */
  readonly texts: Readonly<Record<string, string>>;
  /** The compatibility dates: each has a Worker and Durable Objects of its own. */
  readonly dates: readonly string[];
}

/** A running `workerd`. */
export interface Workerd {
  /** The address of the Worker of a compatibility date. */
  urlOf(date: string): string;
  readonly child: Child;
}

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Runs `use` beside Workers, which may connect to servers of this machine. */
export async function withWorkers(
  options: WorkerOptions,
  use: (workers: Workerd) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "events-endpoint-"));
  try {
    const bundle = join(folder, "worker.js");
    const entryPoints = [root + options.file];
    await build({ entryPoints, bundle: true, format: "esm", target: "es2022", outfile: bundle });
    const config = join(folder, "config.capnp");
    await writeFile(config, configOf(options));
    const child = startProgram(programOf("workerd"), ["serve", "--control-fd=1", config]);
    try {
      const ports = new Map<string, number>();
      for (const line of await child.stdout.take(options.dates.length)) {
        const { socket, port } = JSON.parse(line);
        ports.set(socket, port);
      }
      await use({ urlOf: (date) => `http://127.0.0.1:${ports.get(date)}`, child });
    } finally {
      await child.kill();
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Returns the configuration in the language of `workerd`. */
function configOf({ dates, objects, texts }: WorkerOptions): string {
  const list = (texts: readonly string[]) => `[${texts.join(", ")}]`;
  const classes = Object.entries(objects);
  const namespaces = classes.map(([, name]) => `(className = "${name}", uniqueKey = "${name}")`);
  const bindings = [
    ...classes.map(([key, name]) => `(name = "${key}", durableObjectNamespace = "${name}")`),
    ...Object.entries(texts).map(([key, text]) => `(name = "${key}", text = "${text}")`),
  ];
  const worker = (date: string) =>
    `(modules = [(name = "worker.js", esModule = embed "worker.js")], compatibilityDate = "${date}", ` +
    `durableObjectNamespaces = ${list(namespaces)}, durableObjectStorage = (inMemory = void), ` +
    `bindings = ${list(bindings)})`;
  const services = dates.map((date) => `(name = "${date}", worker = ${worker(date)})`);
  const sockets = dates.map((date) =>
    `(name = "${date}", address = "127.0.0.1:0", http = (), service = "${date}")`
  );
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = ${list([...services, '(name = "internet", network = (allow = ["public", "private"]))'])},
  sockets = ${list(sockets)},
);
`;
}
