/**
 * The architecture as a table: what each folder of `src` may import, and the checks of it.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";

/** What the files of a folder may import apart from each other. */
interface Room {
  /** Folders of `src`, and files in `src` itself. */
  readonly rooms: readonly string[];
  /** Packages; `node:` is any module of Node. */
  readonly packages: readonly string[];
}

/** The folders, the lowest first: each may import from rows above its own alone. */
export const ROOMS: Readonly<Record<string, Room>> = {
  text: { rooms: [], packages: [] },
  events: { rooms: [], packages: [] },
  channel: { rooms: ["events"], packages: [] },
  client: { rooms: ["events"], packages: ["eventsource-parser"] },
  store: { rooms: ["events", "client"], packages: [] },
  react: { rooms: ["events", "client", "store"], packages: ["react"] },
  stream: { rooms: ["events", "channel"], packages: [] },
  nats: { rooms: ["events", "channel"], packages: ["@nats-io/jetstream", "@nats-io/nats-core"] },
  sqlite: { rooms: ["events", "channel"], packages: ["node:"] },
  http: { rooms: ["events", "channel", "stream"], packages: ["hono"] },
  tribler: { rooms: ["text", "events", "channel", "stream", "http"], packages: ["valibot"] },
  page: { rooms: ["text", "client", "store", "tribler"], packages: ["uplot"] },
  server: {
    rooms: ["text", "events", "channel", "stream", "nats", "http", "tribler", "version.ts"],
    packages: [
      "node:",
      "hono",
      "valibot",
      "@hono/node-server",
      "@nats-io/jetstream",
      "@nats-io/nats-core",
      "@nats-io/transport-node",
      "@valibot/to-json-schema",
      "@cfworker/json-schema",
    ],
  },
  cli: {
    rooms: ["text", "events", "channel", "client", "sqlite", "http", "tribler", "server", "version.ts"],
    packages: ["node:", "string-width"],
  },
};
/** What single files may import that no other file of their folder may. */
const EXCEPTIONS: Readonly<Record<string, readonly string[]>> = {
  // The entry point of the core exports what is public.
  "mod.ts": ["events", "channel", "stream", "http"],
  // A developer who changed the page runs this.
  "page/build.ts": ["node:", "esbuild", "prettier"],
  // What `npm run build` runs.
  "cli/build.ts": ["node:", "esbuild"],
};
/** Maximum number of lines of a function. */
const MAX_FUNCTION_LINES = 80;

const IMPORT = /^(?:import|export)\b[^;]*?from "([^"]+)";|^import "([^"]+)";|\bimport\("([^"]+)"\)/gm;

/** Returns the imports of every file of `src`: paths from `src` on, and names of packages. */
function readImports(src: string): Map<string, string[]> {
  const files = (readdirSync(src, { recursive: true }) as string[]).map((file) => file.replaceAll("\\", "/"));
  return new Map(
    files.filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts")).map((file) => {
      const specifiers = [...readFileSync(`${src}/${file}`, "utf8").matchAll(IMPORT)];
      return [
        file,
        specifiers.map(([, from, bare, dynamic]) => {
          const specifier = from ?? bare ?? dynamic!;
          return specifier.startsWith(".") ? posix.join(posix.dirname(file), specifier) : specifier;
        }),
      ];
    }),
  );
}

/** Returns the imports that the table does not allow, one line each; and rows of the table that import from a row below. */
export function strayImports(src: string): string[] {
  const order = Object.keys(ROOMS);
  const stray = Object.entries(ROOMS).flatMap(([name, { rooms }]) =>
    rooms.filter((room) => !room.endsWith(".ts") && !order.slice(0, order.indexOf(name)).includes(room))
      .map((room) => `the table lets ${name} import ${room}, which is not above it`)
  );
  for (const [file, imports] of readImports(src)) {
    const [folder = "", ...rest] = file.split("/");
    const room: Room | undefined = rest.length > 0 ? ROOMS[folder] : { rooms: [], packages: [] };
    if (room === undefined) {
      stray.push(`src/${file} is in a folder that the table of rooms does not have`);
    }
    const more = EXCEPTIONS[file] ?? [];
    for (const imported of imports) {
      const isOwn = rest.length > 0 && imported.startsWith(`${folder}/`);
      const isRoom = [...room?.rooms ?? [], ...more].some((one) =>
        imported === one || imported.startsWith(`${one}/`)
      );
      const isPackage = [...room?.packages ?? [], ...more].some((one) =>
        imported === one || imported.startsWith(one.endsWith(":") ? one : `${one}/`)
      );
      if (!isOwn && !isRoom && !isPackage) stray.push(`src/${file} imports ${imported}`);
    }
  }
  return stray;
}

/** Returns the files that import each other, directly or not: one line for each circle. */
export function importCircles(src: string): string[] {
  const imports = readImports(src);
  const finished = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (finished.has(file) || !imports.has(file)) return;
    const start = path.indexOf(file);
    if (start !== -1) {
      return void circles.push([...path.slice(start), file].map((one) => `src/${one}`).join(" → "));
    }
    for (const imported of imports.get(file)!) visit(imported, [...path, file]);
    finished.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
  return circles;
}

/** The first line of a function or a method. A call that ends in an object or a callback, `name(x, {`, is neither. */
const FUNCTION_START =
  /^(\s*)(?:export )?(?:default )?(?:async )?(?:function\*? (\w+)|(?:static |async |get |set |#)*(\w+)(?:<[^(]*>)?\(.*(?<!(?:,|\(|=>) ?)\{$)/;

/** Returns the functions that are too long, one line each. */
export function longFunctions(src: string): string[] {
  return [...readImports(src).keys()].flatMap((file) => {
    const lines = readFileSync(`${src}/${file}`, "utf8").split("\n");
    return lines.flatMap((line, start) => {
      const [, indent, name, method] = FUNCTION_START.exec(line) ?? [];
      if (indent === undefined || /^\s*(?:if|for|while|switch|return|catch)\b/.test(line)) return [];
      const length = lines.slice(start).findIndex((one, i) =>
        i > 0 && (one === `${indent}}` || one === `${indent}},`)
      ) + 1;
      return length > MAX_FUNCTION_LINES
        ? [`src/${file}:${start + 1} ${name ?? method} has ${length} lines`]
        : [];
    });
  });
}
