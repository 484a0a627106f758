/**
 * The long form of the soak: a server with a channel of one kind, for minutes or an hour. Readers come, go, resume and dawdle,
 * some stall; the keys change, the clock of the server steps, and the server is restarted in the first half, so that the slope of
 * its memory in the last quarter is that of one life, whose caches are full if enough is published.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type Dictionary } from "../../src/client/mod.ts";
import { exchange, post } from "../attack/attacked.ts";
import { withNats } from "../nats/server.ts";
import { type Child, startScript, whereItListens } from "../support/children.ts";
import { findFreePort, openWire, until, within } from "../support/harness.ts";
import { randomOf, sleep } from "../support/hostile_proxy.ts";
import { countSubscribers, heldMemory, residentMemory, slopePerMinute, whatIsAlive } from "./soak.ts";

/** The kinds of channels. */
export const KINDS = ["memory", "file", "nats"] as const;
export type Kind = (typeof KINDS)[number];

/** Settings of a long soak. */
export interface LongSoakOptions {
  readonly seconds: number;
  /** Number of readers, and of events a second. Default 20, and 50: a few percent of a core. */
  readonly readers?: number;
  readonly rate?: number;
}

/** The result. */
export interface LongSoak {
  readonly published: number;
  readonly delivered: number;
  readonly lost: number;
  readonly connections: number;
  readonly restarts: number;
  readonly rotations: number;
  readonly steps: number;
  /** The resident memory of the server at the end in MiB. */
  readonly memoryMiB: number;
  /** What the server holds after a garbage collection at the end in MiB, and its slope over the last quarter in KiB a minute. */
  readonly heldMiB: number;
  readonly slope: number;
  /** The number of open file descriptors after the start, and at the end without clients. */
  readonly descriptors: readonly [start: number, end: number];
}

const STALLED = 3;
/** The number of events that a server in memory keeps: some readers are overtaken. */
const HISTORY = 2_000;
/** The number of descriptors that a channel may open after the first request: SQLite opens its files when it needs them. */
const LATER_DESCRIPTORS = { memory: 0, file: 6, nats: 0 };
/** The numbers of restarts and changes of the keys, and by how much the clock is off. */
const RESTARTS = 6;
const ROTATIONS = 20;
const STEPS_MS = [3_600_000, -7_200_000, 0, 86_400_000, -1_000, 0];

/** The interval at which the memory is measured, in seconds. */
const MEASURED_SECONDS = 10;

/** Runs a long soak. Fails if a reader missed an event that was not reported as lost, or something is left open. */
export async function longSoak(kind: Kind, options: LongSoakOptions): Promise<LongSoak> {
  const folder = await mkdtemp(join(tmpdir(), "events-endpoint-"));
  try {
    if (kind !== "nats") return await new Run(kind, options, folder, undefined).run();
    let result: LongSoak;
    await withNats(async ({ url }) => {
      result = await new Run(kind, options, folder, url).run();
    });
    return result!;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** One soak under way. */
class Run {
  readonly #kind: Kind;
  readonly #seconds: number;
  readonly #rate: number;
  readonly #readers: number;
  readonly #folder: string;
  readonly #nats: string | undefined;
  #child: Child | undefined;
  #port = 0;
  /** The number of the key that clients use. */
  #key = 0;
  #isOver = false;
  #isPaused = false;
  #published = 0;
  readonly #counts = { delivered: 0, lost: 0, connections: 0, restarts: 0, rotations: 0, steps: 0 };

  constructor(kind: Kind, options: LongSoakOptions, folder: string, nats: string | undefined) {
    this.#kind = kind;
    this.#seconds = options.seconds;
    this.#rate = options.rate ?? 50;
    this.#readers = options.readers ?? 20;
    this.#folder = folder;
    this.#nats = nats;
  }

  async run(): Promise<LongSoak> {
    this.#port = await findFreePort();
    await this.#writeKeys(this.#key);
    await this.#start();
    const counts = this.#counts;
    try {
      const publisher = this.#publish();
      const readers = Array.from({ length: this.#readers }, (_, index) => this.#read(index));
      const stalled = Array.from({ length: STALLED }, () => this.#stall());
      const all = Promise.all([publisher, ...readers, ...stalled, this.#disturb()]);
      all.catch(() => this.#isOver = true);
      const quarter = this.#seconds * 250;
      await Promise.race([sleep(3 * quarter), all]);
      const held: number[] = [];
      let resident = 0;
      for (
        const end = performance.now() + quarter;
        performance.now() < end && !this.#isOver;
        await sleep(MEASURED_SECONDS * 1000)
      ) {
        if (this.#counts.restarts < RESTARTS) continue; // On a slow machine.
        resident = await residentMemory(this.#child!.pid);
        held.push(await heldMemory(this.#child!));
      }
      this.#isOver = true;
      await within(all, "the end of all readers", 120_000);
      const start = this.#idle!;
      await until(
        () => countSubscribers(this.#port, this.#keyText).then((count) => count === 0),
        "no subscriber is left",
      );
      await until(
        async () => await this.#descriptors() <= start.descriptors + LATER_DESCRIPTORS[this.#kind],
        "no descriptor is left",
      );
      await until(
        async () => await whatIsAlive(this.#child!) === start.alive,
        `the handles are ${start.alive}`,
      );
      const end = await this.#descriptors();
      await this.#stop();
      return {
        published: this.#published,
        ...counts,
        memoryMiB: Math.round(resident / 1024),
        heldMiB: Math.round((held.at(-1) ?? 0) / 1024),
        slope: Math.round(slopePerMinute(held) / MEASURED_SECONDS),
        descriptors: [start.descriptors, end],
      };
    } finally {
      this.#isOver = true;
      await this.#child?.kill();
    }
  }

  /** What the server has without clients. */
  #idle: { readonly descriptors: number; readonly alive: string } | undefined;

  async #start(): Promise<void> {
    const channel = {
      memory: [],
      file: ["--data", join(this.#folder, "events.db")],
      nats: ["--nats", this.#nats ?? ""],
    }[this.#kind];
    // A client keeps the connection of a rejection for as long as the server says.
    const args = [
      "--port",
      `${this.#port}`,
      "--keys",
      this.#keysFile,
      "--history",
      `${HISTORY}`,
      "--keep-alive",
      "5",
      ...channel,
    ];
    const permissions = ["--allow-all"];
    this.#child = startScript("test/chaos/soak_server.ts", args, {
      input: true,
      permissions,
      env: { EVENTS_LOG: "text" },
    });
    await whereItListens(this.#child);
    if (this.#idle !== undefined) return; // Clients are back at once.
    await countSubscribers(this.#port, this.#keyText); // What is loaded with the first request counts too.
    await until(async () => {
      const alive = await whatIsAlive(this.#child!);
      this.#idle = { descriptors: await this.#descriptors(), alive };
      return alive === await whatIsAlive(this.#child!);
    }, "the server is at rest");
  }

  async #stop(): Promise<void> {
    this.#child!.signal("SIGTERM");
    const { code } = await this.#child!.exit();
    if (code !== 0) {
      throw new Error(`the server ended with ${code}: ${this.#child!.stderr.lines.slice(-3).join("; ")}`);
    }
  }

  get #keysFile(): string {
    return join(this.#folder, "keys.json");
  }

  get #keyText(): string {
    return `key-${this.#key}`;
  }

  async #writeKeys(...numbers: number[]): Promise<void> {
    const keys = numbers.map((number) => ({
      name: `key-${number}`,
      hash: `sha256:${createHash("sha256").update(`key-${number}`).digest("hex")}`,
      rights: ["read", "publish"],
    }));
    await writeFile(this.#keysFile, JSON.stringify(keys));
  }

  async #descriptors(): Promise<number> {
    return (await readdir(`/proc/${this.#child!.pid}/fd`)).length;
  }

  /** Changes the keys, steps the clock and restarts the server, each at its time. */
  async #disturb(): Promise<void> {
    const start = performance.now();
    const due = (count: number, of: number, share = 1) =>
      performance.now() - start > (count + 1) * this.#seconds * 1000 * share / (of + 1);
    const counts = this.#counts;
    while (!this.#isOver) {
      await sleep(50);
      if (counts.rotations < ROTATIONS && due(counts.rotations, ROTATIONS)) await this.#rotate();
      if (counts.steps < STEPS_MS.length && due(counts.steps, STEPS_MS.length)) {
        this.#child!.stdin.write(`${STEPS_MS[counts.steps++]}\n`);
      }
      if (counts.restarts < RESTARTS && due(counts.restarts, RESTARTS, 0.45)) await this.#restart();
    }
  }

  async #rotate(): Promise<void> {
    const child = this.#child!;
    const count = () => child.stderr.lines.filter((line) => line.includes("read again: keys")).length;
    const reload = async (...numbers: number[]) => {
      await this.#writeKeys(...numbers);
      const before = count();
      child.signal("SIGHUP");
      await until(() => count() > before, "the keys are read again");
    };
    await reload(this.#key, this.#key + 1);
    this.#key++;
    await sleep(100);
    await reload(this.#key); // The streams of the old key end, and resume with the new one.
    this.#counts.rotations++;
  }

  async #restart(): Promise<void> {
    this.#isPaused = true;
    await until(() => !this.#isPublishing, "the publisher waits");
    await this.#stop();
    await this.#start();
    this.#isPaused = false;
    this.#counts.restarts++;
  }

  #isPublishing = false;

  /** Publishes one event after the other at the rate, each once: the text is its number. */
  async #publish(): Promise<void> {
    for (const start = performance.now(); !this.#isOver; await sleep(20)) {
      const due = (performance.now() - start) * this.#rate / 1000;
      while (this.#published < due && !this.#isOver && !this.#isPaused) {
        this.#isPublishing = true;
        const count = Math.min(20, Math.ceil(due - this.#published));
        const drafts = Array.from({ length: count }, (_, index) => {
          return { type: "upgrader_tick", event: { text: `${this.#published + 1 + index}` } };
        });
        const headers = ["Connection: close", `X-Api-Key: ${this.#keyText}`];
        const bytes = post(JSON.stringify(drafts), "application/json", ...headers);
        const [response] = await exchange(this.#port, { name: "a batch", bytes });
        // The key may have been replaced on the way.
        if (response?.status === 202) this.#published += count;
        else if (response?.status !== 401) throw new Error(`the response to a POST is ${response?.status}`);
        this.#isPublishing = false;
      }
    }
  }

  /** Reads until the last event, with pauses and interruptions. Verifies that no event is missing or repeated. */
  async #read(index: number): Promise<void> {
    const random = randomOf(index + 1);
    const isSlow = index % 5 === 0;
    const account = { last: 0, cursor: undefined as string | undefined };
    while (!this.#isOver || account.last < this.#published) {
      const connection = connect(
        `http://127.0.0.1:${this.#port}/events${index % 2 ? "?format=sse" : ""}`,
        {
          since: account.cursor ?? "earliest",
          headers: () => ({ "X-Api-Key": this.#keyText }),
          reconnect: { min: 0.02, max: 0.5 },
          onStatus: ({ type }) => void (type === "connecting" && this.#counts.connections++),
        },
      );
      const most = this.#isOver ? Infinity : 1 + random() ** 2 * this.#rate * this.#seconds / 4;
      let taken = 0;
      const watch = setInterval(() => {
        if (this.#isOver && account.last >= this.#published) void connection.return();
      }, 100);
      try {
        for await (const event of connection) {
          this.#account(index, account, event);
          account.cursor = connection.lastId;
          if (++taken >= most || (this.#isOver && account.last >= this.#published)) break;
          if (isSlow && !this.#isOver) await sleep(random() * 2000 / this.#rate);
        }
      } finally {
        clearInterval(watch);
      }
      const pauseMs = random() < 0.1 ? random() * this.#seconds * 100 : random() * 500;
      for (const end = performance.now() + pauseMs; performance.now() < end && !this.#isOver;) {
        await sleep(100);
      }
    }
  }

  #account(index: number, account: { last: number }, { type, event, id }: Dictionary): void {
    if (type === "tribler_started" || type === "events_start") return;
    if (type === "events_lost") {
      this.#counts.lost += (event as { count: number | null }).count ?? 0;
      account.last = -1;
      return;
    }
    const { text } = event as { text: string };
    const number = Number(text);
    // After a loss the first event may be any that is later.
    const isNext = account.last === -1 ? number > 0 : number === account.last + 1 || account.last === 0;
    if (!isNext) throw new Error(`reader ${index}: event ${number} (${id}) comes after ${account.last}`);
    account.last = number;
    this.#counts.delivered++;
  }

  /** Opens streams that it does not read, one after the other. */
  async #stall(): Promise<void> {
    while (!this.#isOver) {
      const wire = await openWire(this.#port).catch(() => undefined); // The server may be away.
      wire?.socket.pause();
      wire?.write(`GET /events?since=earliest&key=${this.#keyText} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      for (const end = performance.now() + 5_000; performance.now() < end && !this.#isOver;) await sleep(100);
      wire?.socket.destroy();
    }
  }
}
