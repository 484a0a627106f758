/**
 * Credentials: the keys and tokens that requests bring, and what each of them may do.
 *
 * @module
 */
import type { Context } from "hono";
import { getCookie } from "hono/cookie";
import { EventsError } from "../events/errors.ts";
import { isSubject } from "../events/subject.ts";
import { type Claims, createJwtVerifier } from "./jwt.ts";

/** What a key may do. */
export type Right = "read" | "publish";

/** A key with a name, known by its hash. */
export interface AccessKey {
  /** Its name, for logs and metrics: 1 to 64 letters, digits and `_ . -`. */
  readonly name: string;
  /** The SHA-256 of the key: `sha256:` and 64 hexadecimal digits. */
  readonly hash: string;
  /** What it may do. */
  readonly rights: readonly Right[];
  /** The types that it may read and publish; `*` at the end of one matches a prefix. Default all. */
  readonly types?: readonly string[] | undefined;
  /** The subjects that it may read and publish, likewise. */
  readonly subjects?: readonly string[] | undefined;
  /** When it ends: a date, or milliseconds since 1970; default never. */
  readonly expiresAt?: Date | number | undefined;
}

/** Where tokens come from, and what verifies them. */
export interface CredentialsOptions {
  /** Keys that may read and publish. */
  readonly apiKeys?: readonly string[];
  /** Keys that may read. */
  readonly readKeys?: readonly string[];
  /** Keys that may publish. */
  readonly publishKeys?: readonly string[];
  /** Keys with names; a function is called for each request, and twice within each heartbeat for each open stream. */
  readonly keys?: readonly AccessKey[] | (() => readonly AccessKey[]);
  /** The secret of JSON Web Tokens (HS256, HS384, HS512). */
  readonly jwtSecret?: string | undefined;
  /** The address of the public keys of an authority (JWKS), for tokens that it signs. */
  readonly jwksUrl?: string | undefined;
  /** What the claim `iss` of a token must be. */
  readonly jwtIssuer?: string | undefined;
  /** What the claim `aud` of a token must name, or one of these. */
  readonly jwtAudience?: string | readonly string[] | undefined;
  /** Number of seconds by which clocks may differ, for `exp` and `nbf`; default 5. */
  readonly leeway?: number;
  /** The cookie that may hold a key or a token too. */
  readonly cookie?: string | undefined;
}

/** What a request may do, and by which key or token. */
export interface Grant {
  /** The name of the key; `jwt` for tokens. */
  readonly name: string;
  readonly rights: readonly Right[];
  readonly types: readonly string[] | undefined;
  readonly subjects: readonly string[] | undefined;
  readonly expiresAt: Date | number | undefined;
  /** Whether it stays as it is until it ends. */
  readonly isFinal: boolean;
}

/** Checks the credentials of a request. */
export interface Credentials {
  /**
   * Returns what a request may do.
   *
   * @throws {EventsError} `Unauthorized` if it brings no valid key or token
   */
  check(c: Context): Promise<Grant>;
}

const BOTH: readonly Right[] = ["read", "publish"];
/** The scopes of tokens. */
const SCOPES: Readonly<Record<Right, string>> = { read: "events:read", publish: "events:publish" };

/** Makes the check of requests. Keys that are empty are rejected. */
export function createCredentials(options: CredentialsOptions): Credentials {
  const { apiKeys = [], readKeys = [], publishKeys = [], keys = [], cookie, leeway = 5 } = options;
  const fixed = [
    ...apiKeys.map((key, index) => ({ key, grant: fixedGrant("api-key", index, BOTH) })),
    ...readKeys.map((key, index) => ({ key, grant: fixedGrant("read-key", index, ["read"]) })),
    ...publishKeys.map((key, index) => ({ key, grant: fixedGrant("publish-key", index, ["publish"]) })),
  ];
  let digests: Promise<readonly { readonly digest: Uint8Array; readonly grant: Grant }[]> | undefined;
  const digestsOf = () =>
    digests ??= Promise.all(fixed.map(async ({ key, grant }) => ({ digest: await digestOf(key), grant })));
  const namedKeys = typeof keys === "function" ? keys : () => keys;
  const isTokenKnown = options.jwtSecret !== undefined || options.jwksUrl !== undefined;
  const verify = isTokenKnown ? createJwtVerifier({ ...options, leeway }) : undefined;

  /** Compares with every key, or the time would say which one is near. */
  async function grantOf(given: string): Promise<Grant | undefined> {
    const digest = await digestOf(given);
    let found: Grant | undefined;
    for (const known of await digestsOf()) if (areEqual(digest, known.digest)) found ??= known.grant;
    for (const key of namedKeys()) if (areEqual(digest, bytesOf(key.hash))) found ??= namedGrant(key);
    return found;
  }

  return {
    check: async (c) => {
      let rejection: unknown;
      for (const given of tokensIn(c, cookie)) {
        try {
          const claims = await verify?.(given);
          const grant = claims === undefined ? await grantOf(given) : tokenGrant(claims, leeway);
          if (grant !== undefined && !hasEnded(grant)) return grant;
        } catch (error) {
          rejection = error;
        }
      }
      throw rejection ?? new EventsError(
        "Unauthorized",
        `the ${isTokenKnown ? "key or token" : "API key"} is missing or wrong: ` +
          "send it as X-Api-Key, Authorization: Bearer, or ?key=",
      );
    },
  };
}

/** The keys and tokens of a request, wherever they are. */
function tokensIn(c: Context, cookie: string | undefined): string[] {
  const bearer = /^Bearer +(\S+) *$/i.exec(c.req.header("Authorization") ?? "")?.[1];
  const inCookie = cookie === undefined ? undefined : getCookie(c, cookie);
  const given = [c.req.header("X-Api-Key"), bearer, c.req.query("key"), inCookie];
  return given.filter((text) => text !== undefined && text !== "") as string[];
}

function fixedGrant(name: string, index: number, rights: readonly Right[]): Grant {
  return {
    name: index === 0 ? name : `${name}-${index + 1}`,
    rights,
    types: undefined,
    subjects: undefined,
    expiresAt: undefined,
    isFinal: true,
  };
}

function namedGrant({ name, rights, types, subjects, expiresAt }: AccessKey): Grant {
  return { name, rights, types, subjects, expiresAt, isFinal: false };
}

/** Reads the claims of a token. */
function tokenGrant(claims: Claims, leeway: number): Grant {
  const { scope = "", exp } = claims;
  const scopes = typeof scope === "string" ? scope.split(" ") : scope;
  if (!isStrings(scopes)) {
    throw new EventsError("Unauthorized", "the token is not accepted: its scope is no text");
  }
  return {
    name: "jwt",
    rights: BOTH.filter((right) => scopes.includes(SCOPES[right])),
    types: patternsIn(claims, "types"),
    subjects: patternsIn(claims, "subjects"),
    expiresAt: exp === undefined ? undefined : (exp + leeway) * 1000,
    isFinal: true,
  };
}

/** Reads a claim of patterns: one that is something else must not allow everything. */
function patternsIn(claims: Claims, name: string): readonly string[] | undefined {
  if (!Object.hasOwn(claims, name)) return undefined;
  const given = claims[name];
  const patterns = typeof given === "string" ? [given] : given;
  if (isStrings(patterns) && patterns.every(isSubject)) return patterns;
  throw new EventsError("Unauthorized", `the token is not accepted: its ${name} are no array of patterns`);
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}

function hasEnded({ expiresAt }: Grant): boolean {
  return expiresAt !== undefined && !(Number(expiresAt) > Date.now());
}

/**
 * Digests have one length, so the time of a comparison does not reveal the length of the key. Hono's `timingSafeEqual`
 * also compares the texts themselves, for as many steps as the longer one has characters, and digests the key for
 * every request.
 */
async function digestOf(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

/** What the hash of a key may look like. */
export const HASH: RegExp = /^sha256:[\da-f]{64}$/i;

const hashes = new Map<string, Uint8Array>();
/** Maximum number of hashes whose bytes are kept. */
const MAX_HASHES = 10_000;

function bytesOf(hash: string): Uint8Array {
  let bytes = hashes.get(hash);
  if (bytes === undefined) {
    const digits = hash.slice("sha256:".length).match(/../g) ?? [];
    bytes = Uint8Array.from(digits, (byte) => Number.parseInt(byte, 16));
    if (hashes.size >= MAX_HASHES) hashes.clear();
    hashes.set(hash, bytes);
  }
  return bytes;
}

/** Looks at every byte, wherever the first difference is. */
function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ (b[i] ?? 0);
  return difference === 0;
}
