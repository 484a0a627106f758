/**
 * The server that a command connects to: its address, the API key for it, and why a request failed.
 *
 * @module
 */
import { UsageError } from "./usage.ts";

/** The address of a server's events. */
export interface Remote {
  /** The address that requests go to. */
  readonly url: URL;
  /** The address to show, without its query: that may hold a key. */
  readonly place: string;
  /** The API key; `undefined` if there is none. */
  readonly apiKey: string | undefined;
  /** Sends requests, in place of the global `fetch`. */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** What to do if the key is rejected. */
  readonly keyHint: string;
}

/** The flag and the variable that a key is read from. */
export interface KeySource {
  readonly flag: string;
  readonly variable: string;
}

const API_KEY: KeySource = { flag: "--api-key", variable: "EVENTS_API_KEY" };

/**
 * Reads the address and the API key of a command line.
 *
 * @param address the argument that is the URL
 * @param key the value of the flag, which overrides the variable
 * @throws {UsageError}
 */
export function readRemote(
  address: string | undefined,
  key: unknown,
  env: Readonly<Record<string, string | undefined>>,
  { flag, variable }: KeySource = API_KEY,
): Remote {
  if (address === undefined) throw new UsageError("the URL of the events is missing: try --help");
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") {
    throw new UsageError(`"${address}" is not an HTTP URL: write http://HOST:PORT/events`);
  }
  if (url.username !== "" || url.password !== "") {
    throw new UsageError(`the URL contains a user name or a password, which is not sent: use ${flag}`);
  }
  return {
    url,
    place: url.origin + url.pathname,
    apiKey: key === undefined ? keyOf(variable, env[variable] || undefined) : keyOf(flag, key as string),
    keyHint: `give the key by ${flag} or ${variable}`,
  };
}

/** Returns the key if it can be a header (RFC 9110, section 5.5); the errors of fetch() would show others. */
export function keyOf(by: string, key: string | undefined): string | undefined {
  if (key === undefined || /^[\x21-\x7e]+$/.test(key)) return key;
  throw new UsageError(`${by} must be visible ASCII characters without spaces`);
}

/** The errors of the three runtimes, each in many wordings, as one text. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED|connection refused/i, "connection refused"],
  [/ENOTFOUND|EAI_AGAIN|dns error/i, "no such host"],
  [/TimeoutError/, "no answer in time"],
  [
    /ECONNRESET|EPIPE|UND_ERR_SOCKET|connection closed|connection reset|reading a body/i,
    "the connection was lost",
  ],
];

/** Returns why a request failed, in a few words. */
export function reasonOf(error: unknown): string {
  const words: string[] = [];
  for (let each = error; each instanceof Error; each = each.cause) {
    words.push(each.name, String((each as { code?: unknown }).code ?? ""), each.message);
  }
  const all = words.join(" ");
  const known = REASONS.find(([pattern]) => pattern.test(all));
  return known?.[1] ?? words.at(-1) ?? String(error);
}
