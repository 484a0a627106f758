/**
 * `authorizeByToken()`: an `authorize` of keys and JSON Web Tokens.
 *
 * @module
 */
import type { Context } from "hono";
import {
  checkArgument,
  checkOptions,
  type Expected,
  FUNCTION,
  NUMBER,
  OBJECT,
  STRING,
  STRINGS,
} from "../events/arguments.ts";
import { EventsError } from "../events/errors.ts";
import { isSubject } from "../events/subject.ts";
import type { Permission } from "./authorize.ts";
import {
  type AccessKey,
  createCredentials,
  type CredentialsOptions,
  type Grant,
  HASH,
  type Right,
} from "./credentials.ts";

const KEYS: Expected = {
  text: "an array of keys that are not empty",
  accepts: (value) => STRINGS.accepts(value) && (value as string[]).every((key) => key !== ""),
};
const NOT_EMPTY: Expected = {
  text: "a string that is not empty",
  accepts: (value) => typeof value === "string" && value !== "",
};
const URL_TEXT: Expected = {
  text: "the address of a key set, http://… or https://…",
  accepts: (value) => typeof value === "string" && URL.canParse(value) && /^https?:/.test(value),
};
const OPTIONS: Readonly<Record<keyof CredentialsOptions, Expected>> = {
  apiKeys: KEYS,
  readKeys: KEYS,
  publishKeys: KEYS,
  keys: {
    text: "an array of keys, or a function that returns one",
    accepts: (value) => FUNCTION.accepts(value) || Array.isArray(value),
  },
  jwtSecret: NOT_EMPTY,
  jwksUrl: URL_TEXT,
  jwtIssuer: NOT_EMPTY,
  jwtAudience: {
    text: "a string or an array of strings, not empty",
    accepts: (value) =>
      NOT_EMPTY.accepts(value) || (STRINGS.accepts(value) && (value as string[]).every(NOT_EMPTY.accepts) &&
        (value as string[]).length > 0),
  },
  leeway: {
    text: "a number of seconds from 0 to 300",
    accepts: (value) => (value as number) >= 0 && (value as number) <= 300,
  },
  cookie: STRING,
};

const PATTERNS: Expected = {
  text: "an array of names, each with an optional * at its end",
  accepts: (value) => Array.isArray(value) && value.every(isSubject),
};
const ACCESS_KEY: Readonly<Record<keyof AccessKey, Expected>> = {
  name: {
    text: "1 to 64 letters, digits and _ . -",
    accepts: (value) => typeof value === "string" && /^[\w.-]{1,64}$/.test(value),
  },
  hash: {
    text: "sha256: and 64 hexadecimal digits",
    accepts: (value) => typeof value === "string" && HASH.test(value),
  },
  rights: {
    text: 'an array of "read" and "publish"',
    accepts: (value) =>
      Array.isArray(value) && value.length > 0 &&
      value.every((right) => right === "read" || right === "publish"),
  },
  types: PATTERNS,
  subjects: PATTERNS,
  expiresAt: {
    text: "a date, or milliseconds since 1970",
    accepts: (value) => value instanceof Date ? !Number.isNaN(value.getTime()) : NUMBER.accepts(value),
  },
};

/** What a key or a token allows, with the events of any catalogue. */
export type TokenPermission = Omit<Permission, "filter">;

/** Checks a value that may be a key by mistake: the message does not show it. */
function checkSecret(name: string, value: unknown, { text, accepts }: Expected): void {
  if (!accepts(value)) throw new TypeError(`${name} must be ${text}`);
}

/**
 * Checks keys with names.
 *
 * @param place what they are called in the message: `authorizeByToken: keys`
 * @throws {TypeError} if one is wrong, or two have the same name
 */
export function checkAccessKeys(
  place: string,
  keys: readonly unknown[],
): asserts keys is readonly AccessKey[] {
  const names = new Set<string>();
  for (const [index, key] of keys.entries()) {
    const at = `${place}[${index}]`;
    checkArgument(at, key, OBJECT);
    for (const name of ["name", "hash", "rights"] as const) {
      checkSecret(`${at}: ${name}`, (key as AccessKey)[name], ACCESS_KEY[name]);
    }
    checkOptions(at, key, ACCESS_KEY);
    const { name } = key as AccessKey;
    if (names.has(name)) throw new TypeError(`${at}: another key has the name ${JSON.stringify(name)}`);
    names.add(name);
  }
}

/**
 * Makes an `authorize` that lets those in who bring a key or a JSON Web Token: in `X-Api-Key`, in
 * `Authorization: Bearer`, or as `?key=`. Each may read (`GET`, `HEAD`), publish (`POST`), or both; without the right a request
 * is answered with 403. A token says so in its `scope`: `events:read`, `events:publish`. Its claims `types` and `subjects` limit
 * it to events that match one of their patterns, and a stream ends when the token does.
 *
 * @throws {TypeError} if there is no such option, its value is of another kind, or there is no key and no token
 *
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import { authorizeByToken, createChannel, defineEvents, eventsEndpoint } from "events-endpoint";
 *
 * const channel = createChannel(defineEvents({ shop_closed: null }));
 * const app = new Hono();
 * const authorize = authorizeByToken({ readKeys: ["r-1"], publishKeys: ["p-1"], jwtSecret: "a long secret" });
 * app.route("/events", eventsEndpoint(channel, { authorize }));
 *
 * const response = await app.request("/events?follow=false", { headers: { "X-Api-Key": "p-1" } });
 * console.log(response.status); // 403: it may publish alone
 * ```
 */
export function authorizeByToken(
  options: CredentialsOptions,
): (context: Context) => Promise<TokenPermission> {
  for (const name of ["apiKeys", "readKeys", "publishKeys", "jwtSecret"] as const) {
    const value = (options as CredentialsOptions | undefined)?.[name];
    if (value !== undefined) checkSecret(`authorizeByToken: ${name}`, value, OPTIONS[name]);
  }
  checkOptions("authorizeByToken", options, OPTIONS);
  const { apiKeys = [], readKeys = [], publishKeys = [], keys, jwtSecret, jwksUrl } = options;
  const count = apiKeys.length + readKeys.length + publishKeys.length;
  if (count === 0 && keys === undefined && jwtSecret === undefined && jwksUrl === undefined) {
    throw new TypeError(
      "authorizeByToken: no request could be authorized: add keys, a jwtSecret or a jwksUrl",
    );
  }
  if (Array.isArray(keys)) checkAccessKeys("authorizeByToken: keys", keys);
  const credentials = createCredentials(options);
  return async (c) => permissionOf(c, await credentials.check(c));
}

/**
 * Returns what a request may do by a grant.
 *
 * @throws {EventsError} `Forbidden` if it has not the right that its method needs
 */
export function permissionOf(c: Context, grant: Grant): TokenPermission {
  const { name, types, subjects, expiresAt, isFinal } = grant;
  requireRight(grant, c.req.method === "GET" || c.req.method === "HEAD" ? "read" : "publish");
  return {
    name,
    isFinal,
    ...(types !== undefined && { types }),
    ...(subjects !== undefined && { subjects }),
    ...(expiresAt !== undefined && { expiresAt }),
  };
}

/** @throws {EventsError} `Forbidden` if a grant has not this right */
export function requireRight({ name, rights }: Grant, right: Right): void {
  if (rights.includes(right)) return;
  const who = name === "jwt"
    ? `the token has no scope events:${right}`
    : `the key ${name} has no right to ${right}`;
  const other = rights.length === 0 ? "" : `: it may ${rights.join(" and ")} alone`;
  throw new EventsError("Forbidden", `${who}${other}`);
}
