/**
 * JSON Web Tokens: verified with a secret, or with the public keys of an authority, by Hono's helpers.
 *
 * @module
 */
import { decode, verify } from "hono/jwt";
import { EventsError } from "../events/errors.ts";

/** Options of {@linkcode createJwtVerifier}. */
export interface JwtOptions {
  readonly jwtSecret?: string | undefined;
  readonly jwksUrl?: string | undefined;
  readonly jwtIssuer?: string | undefined;
  readonly jwtAudience?: string | readonly string[] | undefined;
  readonly leeway: number;
}

/** The claims of a valid token. */
export interface Claims {
  readonly [claim: string]: unknown;
  /** When it ends, in seconds since 1970. */
  readonly exp?: number;
}

/** Verifies a token; `undefined` if it is none. */
export type JwtVerifier = (token: string) => Promise<Claims | undefined>;

type Algorithm = Extract<Parameters<typeof verify>[2], string>;
type Key = Parameters<typeof verify>[1];

/** The algorithms of a secret, and of public keys. A token of the one must not be verified with a key of the other. */
const SECRET_ALGORITHMS: readonly Algorithm[] = ["HS256", "HS384", "HS512"];
const PUBLIC_ALGORITHMS: readonly Algorithm[] = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
];

/** Whether a text has the form of a token: three parts of base64url, the first of them an object. */
const TOKEN = /^eyJ[\w-]*\.[\w-]+\.[\w-]+$/;

/**
 * Makes a verifier.
 *
 * @throws {EventsError} the verifier: `Unauthorized` with the reason if a token is not valid; `Unavailable` if the keys of the
 *   authority cannot be fetched
 */
export function createJwtVerifier(options: JwtOptions): JwtVerifier {
  const { jwtSecret, jwksUrl, jwtIssuer, jwtAudience, leeway } = options;
  const keys = jwksUrl === undefined ? undefined : createKeySet(jwksUrl);
  return async (token) => {
    if (!TOKEN.test(token)) return undefined;
    const { algorithm, kid, typ } = headerOf(token);
    const isSymmetric = SECRET_ALGORITHMS.includes(algorithm);
    const key = isSymmetric
      ? jwtSecret
      : PUBLIC_ALGORITHMS.includes(algorithm)
      ? await keys?.find(kid)
      : undefined;
    if (key === undefined) throw invalid("no key of the server fits it");
    const claims = await verify(token, key as Key, {
      alg: algorithm,
      // Checked below, with a leeway.
      exp: false,
      nbf: false,
      iat: false,
      ...(jwtIssuer !== undefined && { iss: jwtIssuer }),
      ...(jwtAudience !== undefined && { aud: [jwtAudience].flat() }),
      // An access token of OAuth (RFC 9068) says so.
      ...(typ !== undefined && /^(?:application\/)?at\+jwt$/i.test(typ) && { typ }),
    }).catch((error: Error) => {
      throw invalid(REASONS[error.name] ?? "its signature or its form is wrong");
    });
    checkTimes(claims, leeway);
    return claims as Claims;
  };
}

/** Why Hono rejects a token, by the name of its error. Their messages hold the token. */
const REASONS: Readonly<Record<string, string>> = {
  JwtTokenIssuer: "it is of another issuer",
  JwtTokenAudience: "it is for another audience",
  JwtPayloadRequiresAud: "it names no audience",
};

function invalid(reason: string): EventsError {
  return new EventsError("Unauthorized", `the token is not accepted: ${reason}`);
}

function headerOf(token: string): {
  readonly algorithm: Algorithm;
  readonly kid: string | undefined;
  readonly typ: string | undefined;
} {
  try {
    const { alg, kid, typ } = decode(token).header as { alg: Algorithm; kid?: string; typ?: string };
    return { algorithm: alg, kid, typ };
  } catch {
    throw invalid("its form is wrong");
  }
}

function checkTimes({ exp, nbf }: { readonly exp?: unknown; readonly nbf?: unknown }, leeway: number): void {
  const now = Date.now() / 1000;
  for (const [name, value] of Object.entries({ exp, nbf })) {
    if (value !== undefined && !Number.isFinite(value)) throw invalid(`its ${name} is no number of seconds`);
  }
  if (exp !== undefined && (exp as number) + leeway <= now) throw invalid("it has expired");
  if (nbf !== undefined && (nbf as number) - leeway > now) throw invalid("it is not valid yet");
}

/** The public keys of an authority. */
interface KeySet {
  /** Finds a key by its id; without an id the only one. */
  find(kid: string | undefined): Promise<object | undefined>;
}

/** How long keys are used before they are fetched again, and how often they are for an id that is not known, in milliseconds. */
const KEYS_TTL_MS = 10 * 60_000;
const UNKNOWN_KEY_INTERVAL_MS = 30_000;
const FETCH_TIMEOUT_MS = 5000;

type PublicKey = { readonly kid?: unknown; readonly use?: unknown };

function createKeySet(url: string): KeySet {
  let keys: readonly PublicKey[] | undefined;
  let fetchedAt = -Infinity;
  let pending: Promise<void> | undefined;

  const refresh = () =>
    pending ??= fetchKeys(url).then((fetched) => void (keys = fetched)).finally(() => {
      fetchedAt = performance.now();
      pending = undefined;
    });
  const lookUp = (kid: string | undefined) => {
    const fitting = keys?.filter((key) => key.use !== "enc" && (kid === undefined || key.kid === kid)) ?? [];
    return kid === undefined && fitting.length > 1 ? undefined : fitting[0];
  };

  return {
    find: async (kid) => {
      const known = lookUp(kid);
      const age = performance.now() - fetchedAt;
      if (age < (known === undefined ? UNKNOWN_KEY_INTERVAL_MS : KEYS_TTL_MS) && keys !== undefined) {
        return known;
      }
      try {
        await refresh();
      } catch (cause) {
        // Keys that were fetched before stay good while the authority is away.
        if (known !== undefined) return known;
        const message = "the keys of the token's authority cannot be fetched now: try again later";
        throw new EventsError("Unavailable", message, { cause });
      }
      return lookUp(kid);
    },
  };
}

async function fetchKeys(url: string): Promise<readonly PublicKey[]> {
  const response = await fetch(url, { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
  if (!response.ok) throw new Error(`${url} answers ${response.status}`);
  const { keys } = await response.json() as { keys?: unknown };
  if (!Array.isArray(keys)) throw new Error(`${url} has no array of keys`);
  return keys.filter((key) => typeof key === "object" && key !== null);
}
