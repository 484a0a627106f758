/**
 * A proxy that cuts connections, splits their bytes anywhere, and delays them; in the same way for the same seed.
 *
 * @module
 */
import { connect, createServer, type Socket } from "node:net";
import { within } from "./harness.ts";

/** Returns numbers from 0 up to 1, the same ones for the same seed (xorshift). */
export type Random = () => number;

/** Makes random numbers from a seed. */
export function randomOf(seed: number): Random {
  let state = (seed ^ 0x9e3779b9) || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Waits for this many milliseconds. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}

/** What a proxy does apart from cuts. */
export interface Hostility {
  /** The share of connections that it rejects with 503 and a `Retry-After`. */
  readonly refusals?: number;
  /** The share of cuts that are silence instead: the connection stays open, and nothing arrives any more. */
  readonly stalls?: number;
}

/** A proxy that is running. */
export interface Proxy {
  readonly port: number;
  /** Returns the number of connections to it. */
  connections(): number;
  /** Returns the number of connections that it has cut. */
  cuts(): number;
  /** Returns the number of connections that it has rejected. */
  refused(): number;
  /** Returns the number of connections that have fallen silent. */
  stalled(): number;
  /** Whether it has done everything at least once, and has cut more than ten connections. */
  hasDoneAll(): boolean;
  /** Cuts all connections, and stops listening. */
  close(): Promise<void>;
}

/** Starts a proxy for a port of this machine. */
export async function startProxy(
  target: number,
  random: Random,
  { refusals = 0, stalls = 0 }: Hostility = {},
): Promise<Proxy> {
  const open = new Set<Socket>();
  const busy = new Set<Promise<void>>();
  let connections = 0;
  let cuts = 0;
  let refused = 0;
  let stalled = 0;

  function hasDoneAll(): boolean {
    return cuts > 10 && (refused > 0 || refusals === 0) && (stalled > 0 || stalls === 0);
  }

  function track(socket: Socket): void {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    socket.on("error", () => {}); // The close event follows.
  }

  function refuse(client: Socket): void {
    refused++;
    track(client);
    const head = [
      "HTTP/1.1 503 Not Now",
      `Retry-After: ${random() < 0.5 ? 0 : 1}`,
      "Access-Control-Allow-Origin: *",
      "Access-Control-Expose-Headers: Retry-After",
      "Content-Length: 0",
      "Connection: close",
    ];
    client.once("data", () => client.end(head.join("\r\n") + "\r\n\r\n"));
  }

  const server = createServer((client) => {
    connections++;
    if (random() < refusals) return refuse(client);
    const upstream = connect(target, "127.0.0.1");
    // Until it has done everything it spares no connection: there may be no other.
    const isHostile = random() < 0.8 || !hasDoneAll();
    let over = false;

    const end = () => {
      over = true;
      client.destroy();
      upstream.destroy();
    };

    async function cut(): Promise<void> {
      over = true;
      if (random() < stalls) {
        stalled++;
        return;
      }
      cuts++;
      if (random() < 0.2) await sleep(random() * 100); // Neither side has seen the cut yet.
      // The last bytes either still arrive, or may be lost.
      if (random() < 0.5) client.end();
      end();
    }

    /** Forwards this many bytes from one socket to the other, and then cuts both. */
    function carry(from: Socket, to: Socket, budget: number): void {
      let left = budget;

      async function forward(bytes: Uint8Array): Promise<void> {
        const most = random() < 0.2 && bytes.length < 2000 ? 20 : 20_000;
        if (random() < 0.05) await sleep(random() * 20);
        for (let at = 0; at < bytes.length && !over;) {
          const piece = bytes.subarray(at, at + Math.min(left, 1 + Math.floor(random() * most)));
          at += piece.length;
          left -= piece.length;
          if (!to.write(piece)) {
            await new Promise<void>((resolve) => to.once("drain", resolve).once("close", resolve));
          }
          if (left === 0) return await cut();
        }
      }

      from.on("data", (bytes: Uint8Array) => {
        from.pause();
        const forwarding = forward(bytes).then(() => {
          from.resume();
          busy.delete(forwarding);
        });
        busy.add(forwarding);
      });
      from.once("close", end);
    }

    track(client);
    track(upstream);
    carry(client, upstream, isHostile && random() < 0.1 ? 1 + Math.floor(random() * 200) : Infinity);
    carry(upstream, client, isHostile ? 1 + Math.floor(random() ** 3 * 200_000) : Infinity);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as { port: number }).port,
    connections: () => connections,
    cuts: () => cuts,
    refused: () => refused,
    stalled: () => stalled,
    hasDoneAll,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of open) socket.destroy();
      await within(Promise.all([closed, ...busy]), "the end of the proxy");
    },
  };
}
