/** Listening as an application would that has only a handler, on Node behind `@hono/node-server`. */

/** What answers a request; the server passes something of its own beside it. */
type Handler = (request: Request, host?: object) => Response | Promise<Response>;

/** What we use of the runtimes' globals. */
interface Runtimes {
  Bun?: {
    serve(options: { hostname: string; port: number; idleTimeout: number; fetch: Handler }): { port: number };
  };
  Deno?: {
    serve(options: { hostname: string; port: number; onListen(): void }, handler: Handler): {
      addr: { port: number };
    };
  };
}

/** Listens on a free port of the loopback address, and returns the port. */
export async function listen(fetch: Handler): Promise<number> {
  const { Bun, Deno } = globalThis as unknown as Runtimes;
  if (Bun) return Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 0, fetch }).port;
  if (Deno) return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, fetch).addr.port;
  const { serve } = await import("@hono/node-server");
  return await new Promise((resolve) => {
    serve({ fetch, hostname: "127.0.0.1", port: 0 }, ({ port }) => resolve(port));
  });
}
