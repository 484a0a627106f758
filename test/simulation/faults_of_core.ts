/**
 * Faults in the channels and streams that simulations must find.
 *
 * @module
 */
import type { Fault } from "./faults.ts";

export const CORE: readonly Fault[] = [
  {
    name: "a channel that returns the position before",
    file: "channel/entry_writer.ts",
    from: "return formatCursor(this.#epoch, this.position);",
    to: "return formatCursor(this.#epoch, this.position - 1);",
  },
  {
    name: "a history that erases one event less",
    file: "channel/history.ts",
    from: "if (entry.subject !== subject || entry.position > until) continue;",
    to: "if (entry.subject !== subject || entry.position > until - 1) continue;",
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
    name: "a last cut short when the channel closes",
    file: "stream/read_loop.ts",
    from: "const isAtEnd = position >= log.last || !isRecent || hub.hasEnded;",
    to: "const isAtEnd = true;",
  },
  {
    name: "the newest events, one too few",
    file: "channel/locate_start.ts",
    from: "position: seen.at(-left)!.position - 1,",
    to: "position: seen.at(-left)!.position,",
  },
  {
    name: "a dialect that writes the cursor of the event before",
    file: "stream/dialects.ts",
    from: '${payloadText(line) ?? "{}"}\\nid: ${line.id}',
    to: '${payloadText(line) ?? "{}"}\\nid: ${line.id.replace(/[0-9]+$/, (n) => `${Number(n) - 1}`)}',
  },
  {
    name: "a start by time that leaves out the first event",
    file: "channel/locate_start.ts",
    from: "entry.time < time) before",
    to: "entry.time <= time + 30) before",
  },
];
