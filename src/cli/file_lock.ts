/**
 * Locks a file for one process, on every runtime, and for no longer than that process lives.
 *
 * No runtime has an advisory lock that all of them have. Each has sockets in the file system, and the system answers for
 * those: a connection to the socket of a process that was killed is refused. So a process that wants the file listens on a socket
 * of its own beside it, whose name is never used again, and then looks for others. One that answers has the file, or is about
 * to look too. One that does not answer is what a killed process has left, and is removed.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { readdir, unlink } from "node:fs/promises";
import { unlinkSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { basename, dirname, join, relative } from "node:path";
import process from "node:process";

/** The longest path of a socket, in bytes: 104 with a zero at its end on macOS and BSD, 108 on Linux. */
const MAX_PATH_BYTES = 103;
/** How often two processes that look at the same time both step back. */
const MAX_ATTEMPTS = 4;
/** The longest wait between two attempts, in milliseconds. */
const MAX_PAUSE_MS = 50;

/** Reports that another process has locked the file. */
export class FileLockedError extends Error {}

/**
 * Locks a file.
 *
 * @param path the file; it need not exist, but its folder has to
 * @returns a function that unlocks it; the end of the process does that too
 * @throws {FileLockedError} if another process has locked it
 * @throws {Error} if there can be no socket beside it
 */
export async function lockFile(path: string): Promise<() => void> {
  for (let attempt = 1;; attempt++) {
    const { name, unlock } = await announce(path);
    const holder = await holderBeside(path, name).catch((error) => {
      unlock();
      throw error;
    });
    if (holder === undefined) return unlock;
    unlock();
    if (attempt === MAX_ATTEMPTS) throw new FileLockedError(`the process ${holder} is using it`);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * MAX_PAUSE_MS));
  }
}

/** Listens on a socket beside the file. Returns its name, and what removes it. */
async function announce(path: string): Promise<{ readonly name: string; unlock(): void }> {
  const socket = `${path}.lock-${process.pid}-${randomBytes(4).toString("hex")}`;
  const address = shortest(socket);
  if (Buffer.byteLength(address) > MAX_PATH_BYTES) {
    throw new Error(`its path is longer than the ${MAX_PATH_BYTES} bytes that a lock may have`);
  }
  const sockets = new Set<Socket>();
  // A process that connects has its answer by that, and closes the connection.
  const server: Server = createServer((one) => void sockets.add(one.on("error", () => {})));
  await new Promise<void>((resolve, reject) =>
    server.once("error", reject).listen({ path: address }, resolve)
  );
  server.unref();
  const unlock = () => {
    process.off("exit", unlock);
    server.close();
    for (const one of sockets) one.destroy();
    try {
      unlinkSync(socket); // Bun leaves it there.
    } catch {
      // The other runtimes have removed it.
    }
  };
  process.on("exit", unlock);
  return { name: basename(socket), unlock };
}

/** Returns the path from here, if that is shorter. */
function shortest(path: string): string {
  const fromHere = relative(".", path);
  return fromHere.length < path.length ? fromHere : path;
}

/** Returns the id of another process that listens beside the file, and removes what killed ones have left. */
async function holderBeside(path: string, own: string): Promise<string | undefined> {
  const [folder, prefix] = [dirname(path), `${basename(path)}.lock-`];
  let holder: string | undefined;
  for (const name of await readdir(folder)) {
    if (name === own || !name.startsWith(prefix)) continue;
    if (await isAnswered(shortest(join(folder, name)))) [holder] = name.slice(prefix.length).split("-");
    else await unlink(join(folder, name)).catch(() => {});
  }
  return holder;
}

/** Whether a process listens on a socket. Only a refused connection shows that none does. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", ({ code }: NodeJS.ErrnoException) => {
      resolve(code !== "ECONNREFUSED" && code !== "ENOENT");
    });
  });
}
