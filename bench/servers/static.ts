/** nginx with one static file, the yardstick for many readers of the same bytes: `static.ts FILE`. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import process from "node:process";
import { freePort, startNginx } from "./nginx.ts";

const [file = ""] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "bench-static-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const port = await freePort();
const pid = await startNginx(
  folder,
  "",
  `sendfile on; tcp_nopush on; default_type application/x-ndjson;
   server { listen 127.0.0.1:${port} backlog=4096; location = /${basename(file)} { root ${
    dirname(file)
  }; } }`,
);
process.stdin.resume().on("close", () => process.exit(0));
console.log(JSON.stringify({ ready: { port, pid } }));
