/**
 * The schemas of single values in Tribler's payloads.
 *
 * @module
 */
import * as v from "valibot";

/** A whole number. */
export const integer: v.GenericSchema<number> = v.pipe(v.number(), v.integer());

/** Any number of bytes. */
export const hex: v.GenericSchema<string> = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]*$/, "Invalid hex string: Expected lower-case hexadecimal digits"),
);

/** 20 bytes: the public identifier of a channel. */
export const hash: v.GenericSchema<string> = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]{40}$/, "Invalid hash: Expected 40 lower-case hexadecimal digits"),
  v.description("40 hexadecimal digits"),
);

/** 20 bytes (SHA-1), or since Tribler 8.3 32 bytes (SHA-256) for a torrent of version 2 (BEP 52). */
export const infohash: v.GenericSchema<string> = v.pipe(
  v.string(),
  v.regex(
    /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/,
    "Invalid infohash: Expected 40 or 64 lower-case hexadecimal digits",
  ),
  v.description("40 or 64 hexadecimal digits"),
);

/** Returns what an event about a torrent is about: its infohash; `undefined` if there is none. */
export function aboutTorrent({ infohash: hash }: { readonly infohash?: unknown }): string | undefined {
  return v.is(infohash, hash) ? hash : undefined;
}

/** Any dictionary, whatever its keys. */
export const dictionary: v.GenericSchema<Record<string, unknown>> = v.pipe(
  v.custom<Record<string, unknown>>(
    // A record of valibot takes an array too.
    (data) => typeof data === "object" && data !== null && !Array.isArray(data),
    "Invalid type: Expected a dictionary",
  ),
  v.record(v.string(), v.unknown()),
);
