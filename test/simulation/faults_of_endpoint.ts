/**
 * Faults in the endpoint and in the client that simulations must find: who may see what, where a stream begins and ends, and resuming.
 *
 * @module
 */
import type { Fault } from "./faults.ts";

export const ENDPOINT: readonly Fault[] = [
  {
    name: "a permission that is asked for once",
    file: "http/authorize.ts",
    from: "else if (isDue) void askAgain(stream);",
    to: "",
  },
  {
    name: "a new permission that is not applied",
    file: "http/subscribe.ts",
    from: "hub.setFilter(subscriber, streamLimit === undefined ? filter : streamLimit.applyTo(filter));",
    to: "void filter;",
  },
  {
    name: "subjects that a permission does not limit",
    file: "http/event_filter.ts",
    from: "createSelection(wanted, permission ?? {})",
    to: "createSelection(wanted, wanted.subjects === undefined ? permission ?? {} : {})",
  },
  {
    name: "selections that readers with other filters share",
    file: "http/event_filter.ts",
    from: "patterns.map((names)",
    to: "patterns.slice(0, 2).map((names)",
  },
  {
    name: "an idempotency key that a repeat in the meantime does not see",
    file: "http/idempotency.ts",
    from: "    remembered.set(key, entry);\n    try {",
    to: "    try {",
  },
  {
    name: "a permission that does not end at its time",
    file: "http/authorize.ts",
    from: "if (isExpired(stream.permission) || (isDue && stream.isAsking)) revoke(stream);",
    to: "if (isDue && stream.isAsking) revoke(stream);",
  },
  {
    name: "a stream that ends one event after its limit",
    file: "http/stream_range.ts",
    from: "if (--this.#left === 0) this.#endAt(entry.position);",
    to: "if (--this.#left === -1) this.#endAt(entry.position);",
  },
  {
    name: "a stream that goes on after its time",
    file: "http/stream_range.ts",
    from: "if (entry.time > this.#time) return this.#endAt(entry.position - 1);",
    to: "",
  },
  {
    name: "a permission given for good that is asked for again",
    file: "http/authorize.ts",
    from: "stream.dueAt <= performance.now() && stream.permission.isFinal !== true;",
    to: "stream.dueAt <= performance.now();",
  },
  {
    name: "a permission given for good that never ends",
    file: "http/subscribe.ts",
    from: "permission?.isFinal === true && permission.expiresAt === undefined;",
    to: "permission?.isFinal === true;",
  },
  {
    name: "keys that are read once",
    file: "http/credentials.ts",
    from: 'const namedKeys = typeof keys === "function" ? keys : () => keys;',
    to:
      'let read: readonly AccessKey[] | undefined;\n  const namedKeys = typeof keys === "function" ? () => read ??= keys() : () => keys;',
  },
  {
    name: "a key with a name that counts for good",
    file: "http/credentials.ts",
    from: "return { name, rights, types, subjects, expiresAt, isFinal: false };",
    to: "return { name, rights, types, subjects, expiresAt, isFinal: true };",
  },
  {
    name: "a token that does not end its stream",
    file: "http/credentials.ts",
    from: "expiresAt: exp === undefined ? undefined : (exp + leeway) * 1000,",
    to: "expiresAt: undefined,",
  },
  {
    name: "the types of a token, which limit nothing",
    file: "http/credentials.ts",
    from: 'types: patternsIn(claims, "types"),',
    to: "types: undefined,",
  },
  {
    name: "a zone of a time that counts for nothing",
    file: "events/time.ts",
    from: '${zone.toUpperCase().replace(" ", "+")}',
    to: "Z",
  },
  {
    name: "a time that is read in the zone of the process",
    file: "events/time.ts",
    from: '${zone.toUpperCase().replace(" ", "+")}',
    to: '${zone === "Z" ? "" : zone}',
  },
  {
    name: "a duration back that is a time ahead",
    file: "events/time.ts",
    from: "if (back !== undefined) return now - back;",
    to: "if (back !== undefined) return now + back;",
  },
  {
    name: "idempotency keys that are never forgotten",
    file: "http/idempotency.ts",
    from: "      if (until > time) break;\n",
    to: "      if (until > time - 1e9) break;\n",
  },
];

export const CLIENT: readonly Fault[] = [
  {
    name: "a client that takes the cursor of what it received",
    file: "client/received.ts",
    from: "      this.lastId = id ?? this.lastId;\n      if (isAccepted)",
    to:
      "      this.lastId = readFrame(this.#frames.at(-1)!, this.#catalogue, this.parse)?.id ?? id;\n      if (isAccepted)",
  },
  {
    name: "a client that resumes where it began",
    file: "client/attempts.ts",
    from: "const start = lastId ?? since;",
    to: "const start = since ?? lastId;",
  },
  {
    name: "a client that does not notice silence",
    file: "client/received.ts",
    from: "const HEARTBEATS_MISSED = 2.5;",
    to: "const HEARTBEATS_MISSED = 6;",
  },
  {
    name: "a client that waits for twice the time that it states",
    file: "client/attempts.ts",
    from: "this.#timer.sleep(delay * 1000)",
    to: "this.#timer.sleep(delay * 2000)",
  },
  {
    name: "a client that does not resume after a cut",
    file: "client/retry.ts",
    from: '["ConnectionLost", "Timeout"]',
    to: '["Timeout"]',
  },
  {
    name: "a client that leaves its request open",
    file: "client/attempts.ts",
    from: "    this.#request?.abort();\n    this.#request = undefined;",
    to: "    this.#request = undefined;",
  },
  {
    name: "a client that leaves a timer behind",
    file: "client/attempts.ts",
    from: "  #drop(): void {\n    this.#timer.clear();",
    to: "  #drop(): void {",
  },
];
