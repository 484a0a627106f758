/**
 * The server that a command talks to: its address, the key for it, and why it cannot be reached.
 *
 * @module
 */
import { UsageError } from "./usage.ts";

/** The address of a server's events. */
export interface Remote {
  /** The address as it is asked. */
  readonly url: URL;
  /** The address as it may be shown: a query may hold a key. */
  readonly place: string;
  /** The key, where one was given. */
  readonly apiKey: string | undefined;
}

/**
 * Where a command line leads.
 *
 * @param address the argument that is the URL
 * @param key the value of `--api-key`, which wins over `EVENTS_API_KEY`
 * @throws {UsageError}
 */
export function readRemote(
  address: string | undefined,
  key: unknown,
  env: Readonly<Record<string, string | undefined>>,
): Remote {
  if (address === undefined) throw new UsageError("the URL of the events is missing: try --help");
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") {
    throw new UsageError(`"${address}" is no URL: write http://HOST:PORT/events`);
  }
  if (url.username !== "" || url.password !== "") {
    throw new UsageError("the URL holds a user name: only a key is sent, see --api-key");
  }
  const place = url.origin + url.pathname;
  if (key === undefined) {
    return { url, place, apiKey: keyOf("EVENTS_API_KEY", env["EVENTS_API_KEY"] || undefined) };
  }
  return { url, place, apiKey: keyOf("--api-key", key as string) };
}

/** A key that can be a header (RFC 9110, section 5.5); fetch() would show the others in its error. */
export function keyOf(by: string, key: string | undefined): string | undefined {
  if (key === undefined || /^[\x21-\x7e]+$/.test(key)) return key;
  throw new UsageError(`${by} takes a key of visible ASCII characters`);
}

/** What the three runtimes say in many ways, for those who read it. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED|connection refused/i, "connection refused"],
  [/ENOTFOUND|EAI_AGAIN|dns error/i, "no such host"],
  [/TimeoutError/, "no answer in time"],
  [
    /ECONNRESET|EPIPE|UND_ERR_SOCKET|connection closed|connection reset|reading a body/i,
    "the connection was cut",
  ],
];

/** Why a request failed. */
export function reasonOf(error: unknown): string {
  const words: string[] = [];
  for (let each = error; each instanceof Error; each = each.cause) {
    words.push(each.name, String((each as { code?: unknown }).code ?? ""), each.message);
  }
  const all = words.join(" ");
  const known = REASONS.find(([pattern]) => pattern.test(all));
  return known?.[1] ?? words.at(-1) ?? String(error);
}
