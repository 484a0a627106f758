/**
 * The yardstick of a quick restart: `node:http`, and one `res.end()` with the rest of one buffer, found by a number of its
 * lines: `plain_resume.ts FILE FIRST`.
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { START_LINE } from "./event.ts";

const [file = "", first = ""] = process.argv.slice(2);
const body = readFileSync(file);
/** Where each line begins. */
const starts = [0];
for (let at = 0; (at = body.indexOf("\n", at) + 1) > 0;) starts.push(at);

const server = createServer(({ url = "" }, response) => {
  const has = Number(/-(\d+)/.exec(url)?.[1]);
  response.writeHead(200, { "Content-Type": "application/x-ndjson" });
  response.write(START_LINE);
  response.end(body.subarray(starts[has - Number(first) + 1]));
});
process.stdin.resume().on("close", () => process.exit(0));
server.listen(0, "127.0.0.1", 4096, () => {
  console.log(JSON.stringify({ ready: { port: (server.address() as AddressInfo).port, pid: process.pid } }));
});
