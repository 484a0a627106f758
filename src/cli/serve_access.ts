/**
 * The options of `events-endpoint serve` for access: keys, tokens, and pages of other origins.
 *
 * @module
 */
import type { CredentialsOptions } from "../http/credentials.ts";
import { keyOf } from "./remote.ts";
import { type Flag, type Source, textOf, variableOf } from "./serve_flags.ts";
import { UsageError } from "./usage.ts";

/** Who may do what. */
export interface Access {
  /** The key that may read and publish; `undefined` for none. */
  readonly apiKey: string | undefined;
  /** The other keys, and the tokens; `undefined` if there are none, and no file of keys. */
  readonly credentials: Omit<CredentialsOptions, "apiKeys" | "cookie" | "keys"> | undefined;
  /** The file of keys; `undefined` for none. */
  readonly keys: string | undefined;
  /** The origins whose pages may read and publish. */
  readonly corsOrigins: readonly string[];
  /** The further headers of their requests. */
  readonly corsHeaders: readonly string[];
}

/**
 * Reads the options for access.
 *
 * @throws {UsageError}
 */
export function readAccess(source: Source): Access {
  const readKeys = keysOf(source, "read-key");
  const publishKeys = keysOf(source, "publish-key");
  const jwtSecret = secretOf(source);
  const jwksUrl = keySetOf(source);
  const jwtIssuer = wanted(source, "jwt-issuer");
  const jwtAudience = listOf(source, "jwt-audience");
  const hasTokens = jwtSecret !== undefined || jwksUrl !== undefined;
  if (!hasTokens && (jwtIssuer !== undefined || jwtAudience.length > 0)) {
    const { by } = textOf(source, jwtIssuer === undefined ? "jwt-audience" : "jwt-issuer");
    throw new UsageError(`${by} is a claim of tokens: add --jwt-secret or --jwks-url`);
  }
  const hasAny = hasTokens || readKeys.length > 0 || publishKeys.length > 0;
  return {
    apiKey: apiKeyOf(source),
    credentials: hasAny
      ? {
        readKeys,
        publishKeys,
        ...(jwtSecret !== undefined && { jwtSecret }),
        ...(jwksUrl !== undefined && { jwksUrl }),
        ...(jwtIssuer !== undefined && { jwtIssuer }),
        ...(jwtAudience.length > 0 && { jwtAudience }),
      }
      : undefined,
    keys: wanted(source, "keys"),
    corsOrigins: originsOf(source),
    corsHeaders: headersOf(source),
  };
}

function apiKeyOf(source: Source): string | undefined {
  const variable = variableOf("api-key");
  const flag = source.flags["api-key"];
  // An empty one, as from a variable of a script that is not set, must not open the server to all.
  return flag === undefined ? keyOf(variable, source.env[variable]) : keyOf("--api-key", flag);
}

/** Returns the values of a flag that may be repeated. An empty one must not open the server to all. */
function keysOf(source: Source, flag: "read-key" | "publish-key"): string[] {
  const variable = variableOf(flag);
  const given = source.flags[flag];
  const by = given === undefined ? variable : `--${flag}`;
  const text = given ?? source.env[variable];
  return text === undefined ? [] : text.split(",").map((key) => keyOf(by, key.trim())!);
}

/** Returns the text of a flag; an empty one, as from a variable of a script, is an error. */
function wanted(source: Source, flag: Flag): string | undefined {
  const text = source.flags[flag] ?? source.env[variableOf(flag)];
  if (text === "") throw new UsageError(`${givenBy(source, flag)} must not be empty`);
  return text;
}

function givenBy(source: Source, flag: Flag): string {
  return source.flags[flag] === undefined ? variableOf(flag) : `--${flag}`;
}

/** Fewer characters can be guessed: RFC 7518, section 3.2, wants as many bits as the hash has. */
const MIN_SECRET_LENGTH = 32;

function secretOf(source: Source): string | undefined {
  const secret = wanted(source, "jwt-secret");
  if (secret === undefined || secret.length >= MIN_SECRET_LENGTH) return secret;
  const by = givenBy(source, "jwt-secret");
  throw new UsageError(
    `${by} must have ${MIN_SECRET_LENGTH} characters or more: openssl rand -hex 32 makes one`,
  );
}

function keySetOf(source: Source): string | undefined {
  const url = wanted(source, "jwks-url");
  if (url === undefined || (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol))) return url;
  // A URL may hold a password, so it is not shown.
  throw new UsageError(
    `${givenBy(source, "jwks-url")} takes the address of a key set, http://… or https://…`,
  );
}

function listOf(source: Source, flag: Flag): string[] {
  return textOf(source, flag).text.split(",").map((one) => one.trim()).filter((one) => one !== "");
}

/** An origin of any scheme, as in `Origin`: of an app in a web view, or of an extension, too. */
const ORIGIN = /^[a-z][a-z\d+.-]*:\/\/[^\s/?#@,A-Z]+$/;

function originsOf(source: Source): string[] {
  const origins = listOf(source, "cors-origin");
  const wrong = origins.find((origin) => {
    if (!ORIGIN.test(origin) || !URL.canParse(origin)) return true;
    const { origin: own } = new URL(origin);
    // Of other schemes it is "null", whatever stands there.
    return /^https?:/.test(origin) && own !== origin;
  });
  if (wrong === undefined) return origins;
  const { by } = textOf(source, "cors-origin");
  throw new UsageError(
    `${by} takes an origin as a browser writes it, like https://example.com or capacitor://localhost, not "${wrong}"`,
  );
}

function headersOf(source: Source): string[] {
  const names = listOf(source, "cors-header");
  const wrong = names.find((name) => !/^[\w!#$%&'*+.^`|~-]+$/.test(name));
  if (wrong === undefined) return names;
  throw new UsageError(`${textOf(source, "cors-header").by} takes the name of a header, not "${wrong}"`);
}
