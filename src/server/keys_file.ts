/**
 * The file of keys that `serve --keys` reads: their names, hashes and rights.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { checkAccessKeys } from "../http/authorize_by_token.ts";
import type { AccessKey } from "../http/credentials.ts";
import { findJsonFault } from "./json_place.ts";

/** Maximum number of keys: every request is compared with each. */
const MAX_KEYS = 10_000;

/**
 * Reads keys: an array in JSON, of `{"name": …, "hash": "sha256:…", "rights": ["read", "publish"]}`, which may have `types`,
 * `subjects` and `expiresAt` (RFC 3339) as well.
 *
 * @throws {Error} in one line, with the place of the fault, and without anything that might be a key
 */
export async function readKeys(file: string): Promise<readonly AccessKey[]> {
  const text = (await readFile(file, "utf8").catch((error: Error) => fail(file, reasonOf(error)))).replace(
    /^\uFEFF/,
    "",
  );
  const fault = findJsonFault(text);
  if (fault !== undefined) fail(`${file}:${fault.line}:${fault.column}`, fault.message);
  const keys = JSON.parse(text) as unknown;
  if (!Array.isArray(keys)) {
    return fail(file, 'it must be an array of keys: [{"name": …, "hash": …, "rights": […]}]');
  }
  if (keys.length > MAX_KEYS) fail(file, `it has ${keys.length} keys, and may have ${MAX_KEYS}`);
  const dated = keys.map(withDate);
  try {
    checkAccessKeys("key", dated);
  } catch (error) {
    fail(file, (error as Error).message);
  }
  return dated as AccessKey[];
}

/** Returns a key with its time as a date. */
function withDate(key: unknown): unknown {
  const { expiresAt } = (key ?? {}) as { readonly expiresAt?: unknown };
  const isTime = typeof expiresAt === "string" &&
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(expiresAt);
  return isTime ? { ...key as object, expiresAt: new Date(expiresAt) } : key;
}

function reasonOf(error: Error): string {
  const { code } = error as { readonly code?: unknown };
  return code === "ENOENT" ? "there is no such file" : error.message.split("\n")[0]!;
}

function fail(place: string, message: string): never {
  throw new Error(`the keys ${place}: ${message}`);
}
