/** nginx as a child of a server of the bench, pinned to the server's core. */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { nginxCommand, pinned } from "../machine.ts";

/** Finds a port that nothing listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/**
 * Starts nginx with one worker, which ends with this process.
 *
 * @param folder where it writes
 * @param modules directives before everything else
 * @param http what stands in the `http` block
 * @returns the process id of its worker
 */
export async function startNginx(folder: string, modules: string, http: string): Promise<number> {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) =>
    `${name}_temp_path ${folder};`
  );
  const file = join(folder, "nginx.conf");
  writeFileSync(
    file,
    `${modules}
     daemon off; worker_processes 1; worker_rlimit_nofile 16384; pid ${folder}/pid; error_log stderr notice;
     events { worker_connections 16384; }
     http { ${temporary.join(" ")} access_log off; ${http} }`,
  );
  const [command = "", ...args] = pinned([nginxCommand(), "-p", folder, "-c", file], "server");
  const nginx = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
  process.on("exit", () => nginx.kill());
  let log = "";
  return await new Promise((resolve, reject) => {
    nginx.stderr.setEncoding("utf8").on("data", (text: string) => {
      const worker = /start worker process (\d+)/.exec(log = (log + text).slice(-10_000));
      if (worker) resolve(Number(worker[1]));
    });
    nginx.on("exit", () => reject(new Error(`nginx ended: ${log.slice(-500)}`)));
  });
}
