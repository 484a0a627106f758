/**
 * The readers of a simulation: `connect()`, a plain loop over NDJSON with `since`, and one over SSE with `Last-Event-ID`.
 *
 * @module
 */
import { connect, type Connection as Stream, type Status } from "../../src/client/mod.ts";
import { EventsError } from "../../src/mod.ts";
import { Account, isWanted, type Item, type Published } from "./account.ts";
import { createItemParser, isBlind } from "./items.ts";
import type { Network, Peer } from "./network.ts";
import type { ReaderPlan } from "./plan.ts";
import { pathOf } from "./server.ts";
import type { World } from "./world.ts";

const ORIGIN = "http://simulation.test";
/** What `connect()` waits for a response, and again for its first event, in milliseconds. */
const RESPONSE_MS = 30_000;

/** What lies between the time of an event and the moment at which it is noted, in milliseconds. */
const TIME_SLACK_MS = 20;

/** Why a plain reader ends its request: to make an error for each would take a while. */
const LEFT = new Error("the reader has left");

/** One reader, which connects again until it leaves. */
export class Reader {
  readonly peer: Peer;
  readonly account: Account;
  pausedUntil = 0;
  hasLeft = false;
  /** The cursor to resume after. */
  lastId: string | undefined;
  /** The listeners on the signals of the application that are left. */
  listeners = 0;
  readonly #plan: ReaderPlan;
  /** The time at which its streams end. */
  #until: string | undefined;
  /** Where it begins, as requests say it. */
  readonly #since: string;
  /** The same in milliseconds since 1970, if it is a time. */
  readonly #sinceMs: number | undefined;
  readonly #network: Network;
  readonly #world: World;
  #stream: Stream<Item> | undefined;
  #abort: AbortController | undefined;
  /** The status, since when, and since when `next()` is pending. */
  #status: { readonly status: Status; readonly since: number } | undefined;
  #nextAt = 0;

  constructor(network: Network, name: string, plan: ReaderPlan) {
    this.#network = network;
    this.#world = network.world;
    this.#plan = plan;
    this.peer = network.peer(name, plan.user, plan.wish, plan.dialect);
    const rightsIn = (from: number, to: number) => network.truth.rightsIn(plan.user, from, to);
    this.account = new Account(network.truth, name, plan.wish, rightsIn, isBlind(plan.dialect));
    // NDJSON without bookmarks does not say that a stream has ended behind events that are hidden.
    const isMoved = plan.bookmarks || plan.kind === "sse" && plan.dialect !== "7.4";
    if (plan.untilMs > 0 && isMoved && !isBlind(plan.dialect)) {
      this.#until = timeIn(plan.zone, this.#world.wall + plan.untilMs);
    }
    if (plan.sinceMs > 0 && plan.last === 0 && plan.dialect === "7.1") {
      this.account.isByTime = true;
      this.#sinceMs = this.#world.wall - plan.sinceMs;
      this.#since = plan.zone === "back" ? `-${plan.sinceMs / 1000}s` : timeIn(plan.zone, this.#sinceMs);
    } else this.#since = plan.since;
    void this.#start();
  }

  /** Leaves, and comes back after some time unless that is infinite. */
  async leave(ms: number): Promise<void> {
    if (this.hasLeft) return;
    this.hasLeft = true;
    if (this.#stream !== undefined && this.peer.random() < 0.5) void this.#stream.return();
    else this.#abort?.abort();
    this.lastId = this.#stream?.lastId ?? this.lastId;
    if (ms === Infinity) return;
    await this.#world.sleep(ms);
    this.hasLeft = false;
    void this.#start();
  }

  async #start(): Promise<void> {
    const { kind } = this.#plan;
    try {
      if (kind === "ndjson" || kind === "sse") await this.#loop(kind === "sse");
      else await this.#follow(kind === "connect sse");
    } catch (error) {
      this.#world.fail(this.peer.name, `${error instanceof Error ? error.stack : error}`);
    }
  }

  async #pause(): Promise<void> {
    await this.#world.sleepUntil(() => this.pausedUntil);
  }

  /** Follows with `connect()`. */
  async #follow(isSse: boolean): Promise<void> {
    const { wish: { types, subjects }, last, bookmarks, dialect } = this.#plan;
    const abort = this.#abort = new AbortController();
    while (this.#abort === abort && !this.hasLeft) {
      const isFirst = this.lastId === undefined && last > 0;
      const stream = this.#stream = connect(
        `${ORIGIN}${pathOf(dialect)}${bookmarks ? "?bookmarks=true" : ""}`,
        {
          ...(isFirst ? { last } : { since: this.lastId ?? this.#since }),
          ...(types && { types }),
          ...(subjects && { subjects }),
          headers: isSse ? { Accept: "text/event-stream" } : {},
          signal: abort.signal,
          onStatus: (status) => this.#changed(status),
          fetch: (url, init) => this.#network.fetch(this.peer, url, init),
        },
      ) as unknown as Stream<Item>;
      try {
        for (;;) {
          await this.#pause();
          this.#nextAt = this.#world.now;
          const { done, value } = await stream.next();
          this.#nextAt = Infinity;
          if (done) break;
          this.#take(value);
          if (value.id !== stream.lastId) {
            this.#world.fail(this.peer.name, `lastId is ${stream.lastId} at ${value.id}`);
          }
        }
        if (!this.hasLeft && this.#abort === abort) {
          this.#world.fail(this.peer.name, "connect() ends by itself");
        }
        return;
      } catch (error) {
        if (!(error instanceof EventsError && error.code === "Unauthorized")) throw error;
        this.lastId = stream.lastId ?? this.lastId;
        await this.#world.sleep(2000);
      }
    }
  }

  #changed(status: Status): void {
    const world = this.#world;
    const text = status.type === "open"
      ? ` at ${status.start?.id}`
      : status.type === "lost"
      ? ` ${status.cause}`
      : "";
    world.log(this.peer.name, `is ${status.type}${text}`);
    this.checkWait();
    this.#status = { status, since: world.now };
    if (status.type !== "open") return;
    this.#begin(status.start?.id, this.peer.connection!.epoch);
  }

  /** Checks that `connect()` does not wait for longer than it says. */
  checkWait(): void {
    if (this.#status === undefined || this.hasLeft) return;
    const { status, since } = this.#status;
    const { now } = this.#world;
    const from = Math.max(since, this.#nextAt);
    const { heartbeatMs, slackMs } = this.#network.truth;
    let [waited, most] = [0, Infinity];
    if (status.type === "waiting") [waited, most] = [now - from, status.delay * 1000];
    else if (status.type === "connecting") [waited, most] = [now - from, 2 * RESPONSE_MS + 1000];
    else if (status.type === "open") {
      [waited, most] = [now - Math.max(from, this.peer.lastArrival), 2.5 * heartbeatMs];
    }
    if (waited > most + slackMs) {
      this.#world.fail(this.peer.name, `connect() is ${status.type} for ${waited} ms, not ${most}`);
    }
  }

  /** Takes the start of a connection. */
  #begin(id: string | undefined, epoch: string): void {
    const isFirst = this.account.at === undefined;
    this.account.begin(id, epoch);
    if (isFirst && this.#sinceMs !== undefined && this.#isTimeCertain) this.#checkStart();
    if (isFirst && this.#plan.last > 0) this.#checkLast();
  }

  /** Whether the times of events increase, and what a request says of time means the same to all. */
  get #isTimeCertain(): boolean {
    const isOfNats = this.#network.channel === "nats"; // The clock of its machine is never set.
    return !this.#world.wasSet || isOfNats && this.#plan.zone !== "back";
  }

  /** Checks that a start by time leaves out only what is older. */
  #checkStart(): void {
    const { epoch = "", position = 0 } = this.account.at ?? {};
    const known = this.#network.truth.epochs.get(epoch);
    const before = known?.events[position - 1];
    if (before === undefined || known!.ages || position <= known!.events.length - known!.keeps) return;
    // A duration back counts from when the server reads it.
    const latest = this.#plan.zone === "back" ? this.#world.wall - this.#plan.sinceMs : this.#sinceMs!;
    if (before.time >= latest + TIME_SLACK_MS) {
      const time = new Date(before.time).toISOString();
      this.#world.fail(this.peer.name, `since=${this.#since} leaves out an event of ${time}`);
    }
  }

  /** Checks that a stream of the newest events has all of them. */
  #checkLast(): void {
    const { last, wish, user } = this.#plan;
    const { epoch = "", position = 0 } = this.account.at ?? {};
    const { world, truth } = this.#network;
    const known = truth.epochs.get(epoch);
    const [right, ...others] = truth.rightsIn(user, world.now - RESPONSE_MS, world.now);
    if (known === undefined || known.ages || right === undefined || others.length > 0) return;
    const isSeen = (event: Published) => isWanted(event, wish) && isWanted(event, right);
    const isThere = (event: Published) => event.erasedAt === undefined && event.isErasing !== true;
    const kept = known.events.slice(Math.max(0, known.events.length - known.keeps), position);
    const count = known.events.slice(position).filter(isSeen).length;
    if (count < last && kept.some((event) => isSeen(event) && isThere(event))) {
      this.#world.fail(this.peer.name, `last=${last} begins after ${position}: ${count} events follow`);
    }
  }

  #checkTime({ type, time }: Item): void {
    // Elsewhere an event may have been on its way to where it is kept, or to the server, when the stream began.
    if (this.#network.channel !== "memory" || type?.startsWith("events_") || time === undefined) return;
    if (this.#sinceMs !== undefined && this.#isTimeCertain && Date.parse(time) < this.#sinceMs) {
      this.#world.fail(this.peer.name, `an event of ${time} arrives, and the stream is since ${this.#since}`);
    }
  }

  #checkUntil({ type, time }: Item, url: string): void {
    if (type?.startsWith("events_")) return;
    const until = new URL(url).searchParams.get("until");
    if (until !== null && time !== undefined && Date.parse(time) > Date.parse(until)) {
      this.#world.fail(this.peer.name, `an event of ${time} arrives, and the stream ends at ${until}`);
    }
  }

  #take(received: Item): void {
    const item = this.#plan.dialect === "8" ? { ...received, isBare: true } : received;
    this.#world.log(this.peer.name, `receives ${item.type} ${item.id}`);
    this.#checkTime(item);
    this.account.take(item, this.#world.now - 1e9); // When it was sent is checked on the wire.
    this.lastId = item.id;
  }

  /** Reads in a plain loop, as it is found in scripts. */
  async #loop(isSse: boolean): Promise<void> {
    const { wish: { types, subjects }, last, limit, follow, bookmarks, dialect } = this.#plan;
    const own = this.#abort = new AbortController();
    while (this.#abort === own && !this.hasLeft) {
      const url = new URL(ORIGIN + pathOf(dialect));
      if (types) url.searchParams.set("types", types.join(","));
      for (const subject of subjects ?? []) url.searchParams.append("subject", subject);
      if (bookmarks) url.searchParams.set("bookmarks", "true");
      const headers = new Headers();
      if (isSse) headers.set("Accept", "text/event-stream");
      const byHeader = isSse && this.lastId !== undefined;
      if (byHeader) headers.set("Last-Event-ID", this.lastId!);
      if (this.lastId === undefined && last > 0) url.searchParams.set("last", `${last}`);
      else if (byHeader || this.lastId === undefined) url.searchParams.set("since", this.#since);
      else url.searchParams.set("since", this.lastId);
      if (limit > 0) url.searchParams.set("limit", `${limit}`);
      if (!follow) url.searchParams.set("follow", "false");
      if (this.#until !== undefined) url.searchParams.set("until", this.#until);
      const { delivered } = this.account;
      const abort = new AbortController();
      const leave = () => abort.abort(LEFT);
      own.signal.addEventListener("abort", leave);
      try {
        await this.#readResponse(isSse, url.href, { headers, signal: abort.signal }, abort);
      } catch {
        // Cut off: it connects again.
      }
      abort.abort(LEFT);
      own.signal.removeEventListener("abort", leave);
      // One that polls comes back later if there was nothing.
      const isIdle = isBlind(dialect) || !follow && this.account.delivered === delivered;
      await this.#world.sleep((isIdle ? 4000 : 50) + this.peer.random() * 300);
    }
  }

  async #readResponse(isSse: boolean, url: string, init: RequestInit, abort: AbortController): Promise<void> {
    const world = this.#world;
    const limit = <T>(promise: Promise<T>, ms: number): Promise<T> => {
      const timer = world.after(ms, () => abort.abort(LEFT));
      return promise.finally(() => world.cancel(timer));
    };
    const response = await limit(this.#network.fetch(this.peer, url, init), RESPONSE_MS);
    if (response.status === 401 || response.status === 503) return await world.sleep(2000);
    if (response.status === 204) return void (this.#until = undefined); // It has reached the end.
    if (response.status !== 200) {
      return world.fail(this.peer.name, `the response is ${response.status}: ${await response.text()}`);
    }
    const { dialect } = this.#plan;
    const parser = createItemParser(isSse && dialect !== "7.4" || dialect > "7.4", dialect);
    const reader = response.body!.getReader();
    const { epoch } = this.peer.connection!;
    // A dialect without heartbeats is left now and then, as a script would do.
    const patience = isBlind(dialect) ? 60_000 : 2.5 * this.#network.truth.heartbeatMs;
    for (let read; !(read = await limit(reader.read(), patience)).done;) {
      for (const item of parser.push(read.value)) {
        if (abort.signal.aborted) return;
        if (item.type !== "events_start") {
          this.#take(item);
          this.#checkUntil(item, url);
        } else {
          world.log(this.peer.name, `begins at ${item.id}`);
          this.#begin(item.id, epoch);
          this.lastId = item.id;
        }
      }
      await this.#pause();
    }
  }
}

/** Writes a time in a zone. */
function timeIn(zone: string, ms: number): string {
  const [, sign, hours, minutes] = /^([+-])(\d\d):(\d\d)$/.exec(zone) ?? [];
  if (sign === undefined) return new Date(ms).toISOString();
  const offset = (Number(hours) * 60 + Number(minutes)) * (sign === "-" ? -1 : 1);
  return new Date(ms + offset * 60_000).toISOString().replace("Z", zone);
}
