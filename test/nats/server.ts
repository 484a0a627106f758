/**
 * NATS servers with JetStream for the tests, each in a temporary folder: alone or as a cluster, and with faults.
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { cp, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, connect as connectSocket, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection, NodeConnectionOptions } from "@nats-io/transport-node";
import { connectTo as connectPatiently } from "../../src/server/nats.ts";
import { type Child, startProgram } from "../support/children.ts";
import { findFreePort, until, within } from "../support/harness.ts";

/** A running server. */
export interface NatsServer {
  /** Its URL; the same after each start. */
  readonly url: string;
  readonly port: number;
  /** Ends it as a power cut would: SIGKILL. Its folder stays. */
  kill(): Promise<void>;
  /** Starts it again, after {@linkcode kill}, on the same port and folder. */
  restart(): Promise<void>;
  /** Runs `use`, then restores the folder as it was before: events stored by `use` are lost. */
  forgetting(use: () => Promise<void>): Promise<void>;
  /** Freezes it with open connections: SIGSTOP. */
  freeze(): void;
  /** Thaws it: SIGCONT. */
  thaw(): void;
  /** Waits for a line in its log since its last start. */
  says(pattern: RegExp, ms?: number): Promise<unknown>;
}

/** Options of {@linkcode withNats}. */
export interface NatsOptions {
  /** Maximum number of bytes in all its streams. */
  readonly maxStore?: number;
  /** Further lines of its configuration. */
  readonly settings?: string;
}

/** Runs `use` with a server, and removes it and its folder afterwards. */
export async function withNats(
  use: (server: NatsServer) => Promise<void>,
  { maxStore = 2 ** 34, settings = "" }: NatsOptions = {},
): Promise<void> {
  await withFolder(async (folder) => {
    const server = await startNats(folder, "alone", maxStore, settings);
    try {
      await use(server);
    } finally {
      await server.kill();
    }
  });
}

/** Runs `use` with a cluster of three servers that has a leader. */
export async function withCluster(use: (servers: readonly NatsServer[]) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const ports = await Promise.all([findFreePort(), findFreePort(), findFreePort()]);
    const routes = ports.map((port) => `nats-route://127.0.0.1:${port}`).join(", ");
    const starting = await Promise.allSettled(ports.map((port, index) => {
      const cluster = `cluster { name: three, listen: "127.0.0.1:${port}", routes: [${routes}] }`;
      return startNats(folder, `node-${index}`, 2 ** 34, cluster);
    }));
    const servers = starting.flatMap((one) => one.status === "fulfilled" ? [one.value] : []);
    try {
      for (const one of starting) if (one.status === "rejected") throw one.reason;
      await withConnection(servers[0]!, async (connection) => {
        // JetStream answers once the cluster has a leader.
        const isThere = () =>
          managerOf(connection).then((m) => m.getAccountInfo()).then(() => true, () => false);
        await until(isThere, "the cluster has a leader", 30_000);
      });
      await use(servers);
    } finally {
      await Promise.all(servers.map((server) => server.kill()));
    }
  });
}

/** Runs `use` with a connection to a server, which is closed after it. */
export async function withConnection<T>(
  { url }: { readonly url: string },
  use: (connection: NatsConnection) => Promise<T>,
  options: NodeConnectionOptions = {},
): Promise<T> {
  const connection = await connectTo({ url }, options);
  try {
    return await use(connection);
  } finally {
    await connection.close();
  }
}

/** Connects as a server does, with shorter waits. */
export function connectTo(
  { url }: { readonly url: string },
  options: NodeConnectionOptions = {},
): Promise<NatsConnection> {
  const servers = { addresses: [new URL(url).host], tls: false, user: undefined, password: undefined };
  const hasty = { reconnectTimeWait: 50, reconnectJitter: 20, pingInterval: 1000, ...options };
  return within(connectPatiently(servers, hasty), `a connection to ${url}`);
}

/** Makes a manager of streams. */
export function managerOf(connection: NatsConnection): Promise<JetStreamManager> {
  return jetstreamManager(connection, { checkAPI: false, timeout: 5000 });
}

/** A proxy to a server that can cut and hold connections. */
export interface Link {
  /** The URL at which the server is reached through it. */
  readonly url: string;
  /** Cuts all connections, with the loss of bytes in flight. New connections pass. */
  cut(): void;
  /** Carries nothing more, in open connections and in new ones, without closing them. */
  hold(): void;
  /** Carries again; held bytes arrive late. */
  release(): void;
  /** Ends it. */
  close(): Promise<void>;
}

/** Runs `use` with a link to a server. Close its connections before `use` returns. */
export async function withLink(
  { port }: { readonly port: number },
  use: (link: Link) => Promise<void>,
): Promise<void> {
  const link = await startLink(port);
  try {
    await use(link);
  } finally {
    await link.close();
  }
}

async function startLink(target: number): Promise<Link> {
  const open = new Set<Socket>();
  let isHeld = false;
  const cut = () => open.forEach((socket) => socket.destroy());
  const server = createServer((near) => {
    const far = connectSocket(target, "127.0.0.1");
    for (const [from, to] of [[near, far], [far, near]] as const) {
      open.add(from);
      from.on("error", () => {}); // Its end follows.
      from.on("data", (bytes: Uint8Array) => {
        if (!to.write(bytes)) from.pause();
      });
      to.on("drain", () => {
        if (!isHeld) from.resume();
      });
      from.once("close", () => {
        open.delete(from);
        to.destroy();
      });
      if (isHeld) from.pause();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `nats://127.0.0.1:${port}`,
    cut,
    hold: () => {
      isHeld = true;
      for (const socket of open) socket.pause();
    },
    release: () => {
      isHeld = false;
      for (const socket of open) socket.resume();
    },
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      cut();
      await within(closed, "the end of the link");
    },
  };
}

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "events-endpoint-"));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true, maxRetries: 3 });
  }
}

async function startNats(
  folder: string,
  name: string,
  maxStore: number,
  settings: string,
): Promise<NatsServer> {
  const config = join(folder, `${name}.conf`);
  const port = await findFreePort(); // The same after a restart.
  let child = await start();

  async function start(): Promise<Child> {
    const store = JSON.stringify(join(folder, name));
    const lines = [
      `server_name: ${name}`,
      `listen: "127.0.0.1:${port}"`,
      `jetstream { store_dir: ${store}, max_file_store: ${maxStore}, max_memory_store: 0 }`,
      settings,
    ];
    await writeFile(config, lines.join("\n"));
    // Debian installs it in /usr/sbin.
    const path = `${process.env["PATH"]}:/usr/sbin`;
    const child = startProgram("nats-server", ["-c", config], { env: { PATH: path } });
    try {
      await child.stderr.match(/Server is ready/);
      return child;
    } catch (error) {
      await child.kill();
      throw error;
    }
  }

  const restart = async () => void (child = await start());

  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    kill: () => child.kill(),
    restart,
    forgetting: async (use) => {
      const store = join(folder, name);
      await child.kill();
      await cp(store, `${store}.before`, { recursive: true });
      await restart();
      await use();
      await child.kill();
      await rm(store, { recursive: true });
      await rename(`${store}.before`, store);
      await restart();
    },
    freeze: () => {
      child.signal("SIGSTOP");
      waitUntilStopped(child.pid);
    },
    thaw: () => child.signal("SIGCONT"),
    says: (pattern, ms) => child.stderr.match(pattern, ms),
  };
}

/** Waits until SIGSTOP has stopped every thread. Without /proc it returns at once. */
function waitUntilStopped(pid: number): void {
  const tasks = `/proc/${pid}/task`;
  const isStopped = (task: string) => /\) T /.test(readFileSync(`${tasks}/${task}/stat`, "latin1"));
  for (const end = Date.now() + 2000; existsSync(tasks) && Date.now() < end;) {
    if (readdirSync(tasks).every(isStopped)) return;
  }
}
