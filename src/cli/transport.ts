/**
 * How requests leave: certificates that are accepted, and the proxy of the environment, as far as each runtime can.
 *
 * | | Node | Deno | Bun |
 * | --- | --- | --- | --- |
 * | `--cacert` | `node:tls` | `Deno.createHttpClient` | the option `tls` of `fetch` |
 * | `--insecure` | `node:tls` | only by its own flag | the option `tls` of `fetch` |
 * | `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY` | `http.setGlobalProxyFromEnv` from 24.14 on; else its own variable from 22.21 on | always | always |
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import http from "node:http";
import process from "node:process";
import tls from "node:tls";
import type { Remote } from "./remote.ts";
import { readPath, UsageError } from "./usage.ts";

/** The flags of every command that sends requests. */
export const TRANSPORT_FLAGS = { cacert: { type: "string" }, insecure: { type: "boolean" } } as const;

/** The help of these flags. */
export const TRANSPORT_HELP =
  `  --cacert FILE           accept certificates that this one has signed as well (PEM)
  --insecure              accept any certificate; on Deno its flag --unsafely-ignore-certificate-errors does that`;

type Flags = Readonly<Record<string, unknown>>;
type FetchLike = NonNullable<Remote["fetch"]>;

/** As much of `Deno` as is used here. */
interface DenoLike {
  createHttpClient(options: { readonly caCerts: readonly string[] }): unknown;
}

/**
 * Returns the server with a function that sends its requests.
 *
 * @throws {UsageError} if the runtime cannot do what the flags ask for
 */
export async function withTransport(remote: Remote, flags: Flags): Promise<Remote> {
  const { Deno, Bun } = globalThis as { Deno?: DenoLike; Bun?: unknown };
  const ca = await readCertificate(readPath("cacert", flags["cacert"]));
  const isInsecure = flags["insecure"] === true;
  if (Deno === undefined && Bun === undefined) useProxyOnNode();
  if (ca === undefined && !isInsecure) return remote;
  if (Bun !== undefined) {
    const options = { ...(ca !== undefined && { ca }), rejectUnauthorized: !isInsecure };
    return { ...remote, fetch: fetchWith({ tls: options }) };
  }
  if (Deno !== undefined) {
    if (isInsecure) {
      throw new UsageError(
        "--insecure: Deno decides that when it starts: deno run --unsafely-ignore-certificate-errors",
      );
    }
    return { ...remote, fetch: fetchWith({ client: Deno.createHttpClient({ caCerts: [ca!] }) }) };
  }
  connectOnNode(ca, isInsecure);
  return remote;
}

function fetchWith(more: object): FetchLike {
  return (url, init) => fetch(url, { ...init, ...more } as RequestInit);
}

async function readCertificate(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new UsageError(`--cacert: cannot read ${path}: ${(error as Error).message}`);
  }
  if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  throw new UsageError(`--cacert takes a file with certificates in PEM, which ${path} is not`);
}

/** `fetch` of Node takes no options of TLS, but connects by this function. */
function connectOnNode(ca: string | undefined, isInsecure: boolean): void {
  const connect = tls.connect as (options: tls.ConnectionOptions, ...rest: unknown[]) => tls.TLSSocket;
  const more = {
    ...(ca !== undefined && { ca: [...tls.rootCertificates, ca] }),
    ...(isInsecure && { rejectUnauthorized: false }),
  };
  Object.assign(tls, {
    connect: (options: tls.ConnectionOptions, ...rest: unknown[]) =>
      connect({ ...options, ...more }, ...rest),
  });
}

function useProxyOnNode(): void {
  const { env } = process;
  const name = ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"].find((name) => env[name]);
  if (name === undefined || env["NODE_USE_ENV_PROXY"] === "1") return;
  const { setGlobalProxyFromEnv } = http as { setGlobalProxyFromEnv?: () => void };
  if (setGlobalProxyFromEnv !== undefined) return setGlobalProxyFromEnv();
  const isKnown = process.allowedNodeEnvironmentFlags.has("--use-env-proxy");
  const advice = isKnown ? "set NODE_USE_ENV_PROXY=1" : "Node can from 22.21 on";
  console.error(`events-endpoint: ${name} is not used: ${advice}`);
}
