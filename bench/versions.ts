/** What is installed: the version of everything that is compared, or why something cannot be. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { firstLine, NCHAN_MODULE, nginxCommand } from "./machine.ts";
import { runtimeVersion, type ServerSpec } from "./servers.ts";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** The version of a package that is installed for the project or for the bench. */
function packageVersion(name: string): string | undefined {
  const folders = createRequire(import.meta.url).resolve.paths(name) ?? [];
  const file = folders.map((folder) => `${folder}/${name}/package.json`).find(existsSync);
  return file && (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}

/** The bench's own dependencies are installed when they are first needed. */
function betterSseVersion(): string | undefined {
  if (!packageVersion("better-sse")) spawnSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: here(".") });
  return packageVersion("better-sse");
}

/** Why this server cannot be measured here, if it cannot. */
export function unavailable(server: ServerSpec): string | undefined {
  if (!runtimeVersion(server.runtime)) return `no ${server.runtime}`;
  if (server.name === "better-sse" && !betterSseVersion()) return "npm ci in bench/ did not install it";
  if (server.name === "nchan" && !(existsSync(NCHAN_MODULE) && firstLine(nginxCommand(), "-v"))) {
    return "no nginx with the nchan module; Debian: apt-get install nginx-light libnginx-mod-nchan";
  }
  return undefined;
}

export function describeVersions(servers: ServerSpec[]): string {
  const nginx = firstLine(nginxCommand(), "-v")?.replace(/^.*nginx\//, "nginx ");
  const nchan = firstLine("dpkg-query", "-W", "-f", "${Version}", "libnginx-mod-nchan");
  const versions: [string, string | undefined][] = [
    ["Node", runtimeVersion("node")],
    ["Deno", runtimeVersion("deno")],
    ["Bun", runtimeVersion("bun")],
    ["hono", packageVersion("hono")],
    ["@hono/node-server", packageVersion("@hono/node-server")],
  ];
  if (servers.some(({ name }) => name === "better-sse")) versions.push(["better-sse", betterSseVersion()]);
  if (servers.some(({ name }) => name === "nchan") && nginx) {
    versions.push([`${nginx}, nchan`, nchan ?? "unknown"]);
  }
  return versions.filter(([, version]) => version).map((pair) => pair.join(" ")).join(", ");
}
