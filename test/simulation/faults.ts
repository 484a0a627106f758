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
  {
    name: "a file that is not synced before it acknowledges",
    file: "sqlite/writer.ts",
    from: "    await this.#file.sync();\n    const entries",
    to: "    const entries",
  },
  {
    name: "a file that acknowledges before it commits",
    file: "sqlite/file.ts",
    from: "    this.#commit.run();\n    this.#disk.afterCommit();",
    to: "    void Promise.resolve().then(() => this.#commit.run());\n    this.#disk.afterCommit();",
  },
  {
    name: "a file that keeps its epoch after a loss of power",
    file: "sqlite/file.ts",
    from: "meta.boot === undefined || meta.boot === boot",
    to: "true",
  },
  {
    name: "a file that begins another epoch each time",
    file: "sqlite/file.ts",
    from: "isSame && meta.epoch !== undefined ? meta.epoch",
    to: "isSame && meta.epoch === undefined ? newEpoch()",
  },
  {
    name: "a page of the file that begins one event too late",
    file: "sqlite/file.ts",
    from: "FROM events WHERE sequence > ? AND sequence <= ?",
    to: "FROM events WHERE sequence > ? + 1 AND sequence <= ?",
  },
  {
    name: "a transaction that stays open when the disk is full",
    file: "sqlite/writer.ts",
    from: "      file.rollback();\n",
    to: "",
  },
  {
    name: "positions that a rejected publication uses up",
    file: "sqlite/writer.ts",
    from: "    this.#last += entries.length;\n    let failure",
    to: "    let failure",
  },
  {
    name: "a key that the file does not know again",
    file: "sqlite/writer.ts",
    from: "        if (known !== undefined) continue;",
    to: "        if (known !== undefined && known.first < 0) continue;",
  },
  {
    name: "events that readers receive before the disk has them",
    file: "sqlite/writer.ts",
    from: "    if (this.#options.survivesPowerLoss) {\n      this.#unsynced = entries;",
    to: "    if (this.#options.survivesPowerLoss) {\n      this.#options.onStored(entries);",
  },
  {
    name: "a disk that is not tried again",
    file: "sqlite/writer.ts",
    from: "    if (this.#prober === undefined && !this.#isStopped) {",
    to: "    if (this.#prober === undefined && this.#isStopped) {",
  },
  {
    name: "an interval that a closed file leaves behind",
    file: "sqlite/trimmer.ts",
    from: "    clearInterval(this.#timer);\n    this.#isStopped = true;",
    to: "    this.#isStopped = true;",
  },
  {
    name: "a file that drops one event too many",
    file: "sqlite/trimmer.ts",
    from: "last - this.#limits.maxEvents + 1",
    to: "last - this.#limits.maxEvents + 2",
  },
  {
    name: "erased events that stay in the memory of a file",
    file: "sqlite/channel.ts",
    from: "        this.window.erase(subject, until);\n",
    to: "",
  },
  {
    name: "a file that ends its readers before it has stored everything",
    file: "sqlite/channel.ts",
    from: "    this.#isDrained = this.#writer.isIdle;",
    to: "    this.#isDrained = true;",
  },
  {
    name: "messages that have no ids on NATS",
    file: "nats/channel.ts",
    from: "      ...(key !== undefined && { id: `${key}:${index}` }),\n",
    to: "",
  },
  {
    name: "messages that share an id on NATS",
    file: "nats/channel.ts",
    from: "{ id: `${key}:${index}` }",
    to: "{ id: key }",
  },
  {
    name: "a consumer that is not replaced after a cut",
    file: "nats/stream_monitor.ts",
    from: "        this.#requests.reconnected();\n        this.#consumerLoop.restart();",
    to: "        this.#requests.reconnected();",
  },
  {
    name: "a consumer whose silence is not noticed",
    file: "nats/consumer_loop.ts",
    from: '        this.#isSilent = type === "heartbeats_missed";\n        messages.stop();',
    to: '        this.#isSilent = type === "heartbeats_missed";',
  },
  {
    name: "a consumer that begins one message too late",
    file: "nats/replica.ts",
    from: "return this.#newest()?.position ?? this.#window.last + 1;",
    to: "return this.#window.last + 2;",
  },
  {
    name: "lost messages of a stream that are not noticed",
    file: "nats/replica.ts",
    from: "else if (this.#hasLost(info)) this.#isTruncated = true;",
    to: "else void this.#hasLost;",
  },
  {
    name: "a replaced stream that goes on under its epoch",
    file: "nats/replica.ts",
    from: "    this.#epoch = epoch;\n    this.#streamEpoch = epochOf(info);",
    to: "    this.#streamEpoch = epochOf(info);",
  },
  {
    name: "a page of the stream that ends one message too early",
    file: "nats/fetcher.ts",
    from: "const entry = reached > last ? undefined",
    to: "const entry = reached >= last ? undefined",
  },
  {
    name: "an acknowledgement of a truncated stream that is believed",
    file: "nats/channel.ts",
    from: "if (stored.some(({ seq, duplicate }) => seq <= last && !duplicate)) replica.markTruncated();",
    to: "",
  },
  {
    name: "a cursor that a server has not received yet, and rejects",
    file: "nats/channel.ts",
    from: "if (!isAhead || await this.#monitor.reaches(cursor.position, CATCH_UP_TIMEOUT_MS)) {",
    to: "if (isAhead || !isAhead) {",
  },
  {
    name: "a publication on a connection that is down, which waits",
    file: "nats/channel.ts",
    from: '    if (!this.#monitor.isConnected) throw unavailable("the connection to NATS is down");\n',
    to: "",
  },
  {
    name: "a timer of the state of a stream that is left behind",
    file: "nats/stream_monitor.ts",
    from: "    clearInterval(this.#timer);\n",
    to: "",
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
];
