/**
 * Faults that the simulator must find: `npm run simulate -- --faults` plants each alone, and counts the seeds until it fails.
 *
 * @module
 */
import type { Change } from "./load.ts";

/** A fault, and what it is. */
export interface Fault extends Change {
  readonly name: string;
}

export const FAULTS: readonly Fault[] = [
  {
    name: "a channel that returns the position before",
    file: "channel/memory.ts",
    from: "const id = formatCursor(epochOf(), position);",
    to: "const id = formatCursor(epochOf(), position - 1);",
  },
  {
    name: "a history that erases one event less",
    file: "channel/history.ts",
    from: "if (about !== subject || position > until) continue;",
    to: "if (about !== subject || position > until - 1) continue;",
  },
  {
    name: "copies of erased events that a hub keeps",
    file: "stream/hub.ts",
    from: "  hub.cache.restart(hub.log.last);\n  for",
    to: "  for",
  },
  {
    name: "a replay that begins one event too late",
    file: "channel/history.ts",
    from: "(expired ? 0 : position - first + 1)",
    to: "(expired ? 0 : Math.min(entries.length - head, position - first + (last - position > 5 ? 2 : 1)))",
  },
  {
    name: "a cursor of another epoch that counts as one of this",
    file: "channel/channel.ts",
    from: "if (cursor.epoch !== epoch) return",
    to: "if (cursor.epoch !== epoch && cursor.position > last) return",
  },
  {
    name: "a loss that counts one event too many",
    file: "stream/read_loop.ts",
    from: "takeLoss(subscriber, log.first - 1 - position)",
    to: "takeLoss(subscriber, position < log.first - 1 ? log.first - position : 0)",
  },
  {
    name: "a filter that a live delivery forgets",
    file: "stream/hub.ts",
    from: "subscriber.position === chunk.after && subscriber.filter === undefined;",
    to: "subscriber.position === chunk.after;",
  },
  {
    name: "a filter that a replay forgets",
    file: "stream/read_loop.ts",
    from: "select(chunk, position, until, filter)",
    to: "select(chunk, position, until, chunk.shared === undefined ? undefined : filter)",
  },
  {
    name: "a bookmark that goes past what was sent",
    file: "stream/delivery.ts",
    from: "const line = controlLine(type, formatCursor(hub.epoch, subscriber.position), payload);",
    to:
      'const line = controlLine(type, formatCursor(hub.epoch, subscriber.position + (type === "events_bookmark" ? 1 : 0)), payload);',
  },
  {
    name: "a subscriber that stays when its client cancels",
    file: "stream/stream_sink.ts",
    from: "  cancel(): void {\n    this.#hub.leave(this.#subscriber);",
    to: "  cancel(): void {",
  },
  {
    name: "a listener that stays on the signal of the request",
    file: "stream/stream_sink.ts",
    from: 'this.#signal?.removeEventListener("abort", this);',
    to: "",
  },
  {
    name: "a stall that is never noticed",
    file: "stream/stall.ts",
    from: 'abort(hub, subscriber, "stalled")',
    to: "{}",
  },
  {
    name: "a heartbeat that waits for twice its time",
    file: "stream/heartbeat.ts",
    from: "next = Math.min(next, subscriber.lastActivity + heartbeatMs);",
    to: "next = Math.min(next, subscriber.lastActivity + 2 * heartbeatMs);",
  },
  {
    name: "a heartbeat timer that the last subscriber leaves behind",
    file: "stream/delivery.ts",
    from: "    clearTimeout(hub.timer);\n",
    to: "",
  },
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
    name: "a last cut short when the channel closes",
    file: "stream/read_loop.ts",
    from: "const isAtEnd = position >= log.last || !isRecent || hub.hasEnded;",
    to: "const isAtEnd = true;",
  },
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
