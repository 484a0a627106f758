/**
 * Faults in the file and in the stream of NATS that simulations must find.
 *
 * @module
 */
import type { Fault } from "./faults.ts";

export const FILE: readonly Fault[] = [
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
    file: "sqlite/range_reader.ts",
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
    name: "pages that a closed file keeps",
    file: "sqlite/channel.ts",
    from: "    this.pages.clear();\n",
    to: "",
  },
  {
    name: "a file whose oldest events go before newer ones are synced",
    file: "sqlite/writer.ts",
    from: "return this.#last - this.#unsynced.length;",
    to: "return this.#last;",
  },
];

export const NATS: readonly Fault[] = [
  {
    name: "messages that have no ids on NATS",
    file: "nats/publication.ts",
    from: "key === undefined ? undefined : `${key}:${index}`",
    to: "undefined",
  },
  {
    name: "messages that share an id on NATS",
    file: "nats/publication.ts",
    from: "key === undefined ? undefined : `${key}:${index}`",
    to: "key",
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
    file: "nats/publication.ts",
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
    file: "nats/publication.ts",
    from: '    if (!monitor.isConnected) throw unavailable("the connection to NATS is down");\n',
    to: "",
  },
  {
    name: "a timer of the state of a stream that is left behind",
    file: "nats/stream_monitor.ts",
    from: "    clearInterval(this.#timer);\n",
    to: "",
  },
  {
    name: "pages that a closed channel on NATS keeps",
    file: "nats/stream_monitor.ts",
    from: "    this.pages.clear();\n    this.#positionWaiters.end();\n",
    to: "    this.#positionWaiters.end();\n",
  },
  {
    name: "a consumer that a closed channel leaves behind",
    file: "nats/consumer_loop.ts",
    from: "    clearTimeout(this.#timer);\n    this.#messages?.stop();\n",
    to: "    clearTimeout(this.#timer);\n",
  },
];
