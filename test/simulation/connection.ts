/**
 * One connection of a simulation: `fetch` on one side, the handler of the server on the other, and between them everything
 * that happens to bytes.
 *
 * @module
 */
import type { Grant } from "./access.ts";
import { Account, type Right } from "./account.ts";
import { createItemParser, isBlind, type ItemParser } from "./items.ts";
import type { Network, Peer } from "./network.ts";
import type { Way } from "./plan.ts";
import type { Server } from "./server.ts";
import type { World } from "./world.ts";

/** Why the request of a client that is gone is aborted: to make an error for each would take a while. */
const GONE = new Error("the client is gone");
/** A piece of this size may be a part of what the server sent at a time. */
const SEGMENT_BYTES = 200_000;

/** One request and its response. */
export class Connection {
  readonly peer: Peer;
  /** The server that received it. */
  server: Server | undefined;
  /** The epoch of the server when it answered. */
  epoch: string = "";
  /** Since when the server owes a byte; `undefined` if it does not. */
  owedSince: number | undefined;
  readonly openedAt: number;
  /** Whether the response is a stream of the server that has not ended, as far as the server knows. */
  isServed = false;
  /** Whether nothing passes any more. */
  isDead = false;
  /** Whether the server knows that the client is gone. */
  isReported = false;
  /** Returns what the credentials of its request are worth. */
  readonly #grantOf: () => Grant;
  readonly #network: Network;
  readonly #world: World;
  readonly #credentials: Readonly<Record<string, string>>;
  readonly #request = new AbortController();
  readonly #listeners = new Set<unknown>();
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #resolve: ((response: Response) => void) | undefined;
  #reject: ((error: unknown) => void) | undefined;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #isClosed = false;
  #wanted: (() => void) | undefined;
  #cut: { readonly way: Way; bytes: number } | undefined;

  constructor(
    network: Network,
    peer: Peer,
    resolve: (response: Response) => void,
    reject: (error: unknown) => void,
  ) {
    this.#network = network;
    this.#world = network.world;
    this.peer = peer;
    this.openedAt = network.world.now;
    this.#resolve = resolve;
    this.#reject = reject;
    ({ headers: this.#credentials, grantOf: this.#grantOf } = network.access.bring(peer.user));
  }

  /** What its credentials are worth. */
  get grant(): Grant {
    return this.#grantOf();
  }

  /** What it was allowed to see at any moment in this time. */
  #rightsIn(from: number, to: number): Right[] {
    return this.#network.access.rightsIn(this.peer.user, this.grant, from, to);
  }

  /** The number of listeners that are left on the signal of the request. */
  get listeners(): number {
    return this.#request.signal.aborted ? 0 : this.#listeners.size;
  }

  async send(url: string, init: RequestInit): Promise<void> {
    await this.#travel();
    if (this.isDead) return;
    const server = this.server = this.#network.serverFor(this.peer);
    if (server === undefined) return this.#fail(new TypeError("fetch failed: connection refused"));
    const { signal: _, ...rest } = init;
    const request = new Request(url, rest);
    for (const [name, value] of Object.entries(this.#credentials)) request.headers.set(name, value);
    // The signal of a request that is made of another one depends on the collection of garbage.
    Object.defineProperty(request, "signal", { value: this.#countListeners() });
    const key = request.headers.get("Idempotency-Key");
    if (key !== null) server.keysPending++;
    const response = await server.app.fetch(request);
    server.answered(init.method ?? "GET", response.status, key);
    if (key !== null) server.keysPending--;
    this.epoch = server.channel.epoch;
    // An EventSource that has to come back gets a response that only says so: no stream has a tag of its own there.
    const isStream = init.method !== "POST" && response.status === 200 && response.headers.has("ETag");
    this.isServed = isStream && response.body !== null;
    if (isStream) this.#network.streams++;
    this.#reader = response.body?.getReader();
    if (this.isDead) {
      if (this.isReported) this.report(); // The client left while the server was still thinking.
      return;
    }
    await this.#travel();
    if (this.isDead) return;
    this.#open(response);
    const type = response.headers.get("Content-Type") ?? "";
    const isSse = type.startsWith("text/event-stream");
    const parser = isStream ? createItemParser(isSse, this.peer.dialect) : undefined;
    await this.#pump(parser, server, new URL(url).searchParams);
  }

  /** Cuts the connection after some more bytes. */
  cut(way: Way, bytes: number): void {
    if (this.isDead || this.#isClosed) return;
    if (bytes > 0) this.#cut = { way, bytes };
    else this.#cutNow(way);
  }

  /** Takes back a cut that has not come yet. */
  heal(): void {
    this.#cut = undefined;
  }

  /** The client is gone. */
  abandon(reason: unknown): void {
    this.#fail(reason);
    if (this.isDead) return;
    this.isDead = true;
    this.#world.after(this.#network.latencyMs, () => this.report());
  }

  /** Reports to the server that the client is gone, in one of the ways in which servers learn of it. */
  report(): void {
    this.isReported = true;
    this.isServed = false;
    this.owedSince = undefined;
    const ways = [() => this.#request.abort(GONE), () => void this.#reader?.cancel().catch(() => {})];
    const choice = this.peer.random();
    if (choice > 0.5) ways.reverse();
    this.#world.after(1, () => this.#network.checkSubscribers());
    ways[0]!();
    if (choice > 0.25 && choice < 0.75) ways[1]!();
    else if (this.#reader === undefined) this.#request.abort(GONE);
  }

  #countListeners(): AbortSignal {
    const { signal } = this.#request;
    const listeners = this.#listeners;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    Object.assign(signal, {
      addEventListener: (...args: Parameters<typeof add>) => {
        listeners.add(args[1]);
        add(...args);
      },
      removeEventListener: (...args: Parameters<typeof remove>) => {
        listeners.delete(args[1]);
        remove(...args);
      },
    });
    return signal;
  }

  #open({ status, headers }: Response): void {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => void (this.#controller = controller),
      pull: () => {
        this.#wanted?.();
        this.#wanted = undefined;
      },
      cancel: () => this.abandon(undefined),
    }, { highWaterMark: 1 + Math.floor(this.peer.random() * 3) });
    this.peer.lastArrival = this.#world.now;
    this.#resolve?.(new Response(status === 204 ? null : body, { status, headers }));
    this.#reject = this.#resolve = undefined;
  }

  /** Brings the body from the server to the client. */
  async #pump(parser: ItemParser | undefined, server: Server, query: URLSearchParams): Promise<void> {
    const world = this.#world;
    const { truth } = this.#network;
    const { name, wish, dialect } = this.peer;
    const rightsIn = (from: number, to: number) => this.#rightsIn(from, to);
    const account = new Account(truth, `${name} wire`, wish, rightsIn, isBlind(dialect));
    account.isByTime = /^-\d|T/.test(query.get("since") ?? "");
    const hasHeartbeats = parser !== undefined && !isBlind(dialect);
    /** The earliest moment at which what is read next may have been sent. */
    let sentFrom = this.openedAt;
    while (this.#reader !== undefined) {
      const [calledAt, turn] = [world.now, world.turns];
      this.owedSince = hasHeartbeats ? calledAt : undefined;
      let result;
      try {
        result = await this.#reader.read();
      } catch (error) {
        this.isServed = false;
        this.owedSince = undefined;
        if (!this.isDead) this.#fail(new TypeError(`terminated: ${error}`));
        this.isDead = true;
        return;
      }
      this.owedSince = undefined;
      if (world.turns > turn) sentFrom = world.now; // The stream had nothing left, so this was sent just now.
      if (world.now - calledAt > truth.heartbeatMs + truth.slackMs && hasHeartbeats && !this.isReported) {
        world.fail(this.peer.name, `the server is silent for ${world.now - calledAt} ms`);
      }
      if (result.done) {
        this.isServed = false;
        if (parser !== undefined && !this.isReported) this.#checkEnd(parser, account, server, query);
        break;
      }
      for (const item of parser?.push(result.value) ?? []) {
        if (item.type === "events_start") account.begin(item.id, this.epoch);
        else account.take(item, sentFrom);
      }
      // A server sends events when what it sent before was taken.
      if (result.value.length < SEGMENT_BYTES) sentFrom = world.now;
      if (!(await this.#deliver(result.value))) return;
    }
    await this.#travel();
    if (!this.isDead && !this.#isClosed) {
      this.#isClosed = true;
      this.#controller?.close();
    }
  }

  #checkEnd(parser: ItemParser, account: Account, server: Server, query: URLSearchParams): void {
    const world = this.#world;
    if (parser.rest() !== "") {
      world.fail(this.peer.name, `the stream ends with ${JSON.stringify(parser.rest())}`);
    }
    if (server.isGone) return;
    const limit = Number(query.get("limit") ?? Infinity);
    if (account.delivered > limit) {
      world.fail(this.peer.name, `${account.delivered} events arrive, not ${limit}`);
    }
    if (account.delivered === limit || query.has("until") || query.get("follow") === "false") return;
    const { held } = this.#network;
    const mayBeRevoked = this.#rightsIn(this.openedAt, world.now).includes(undefined);
    if (mayBeRevoked) return;
    if (!server.channel.closed) world.fail(this.peer.name, "the server ends the stream without a reason");
    else if (!account.isAt(server.channel.last, Math.max(server.heldFrom, server.channel.last - held))) {
      world.fail(this.peer.name, `the stream ends at ${account.place}, and more follows`);
    }
  }

  /** Delivers a chunk in pieces. Returns whether there may be more. */
  async #deliver(chunk: Uint8Array): Promise<boolean> {
    const { peer } = this;
    const { pieceBytes } = this.#network;
    await this.#travel();
    const longest = pieceBytes === 0 ? chunk.length : Math.max(2 * pieceBytes, chunk.length / 20);
    for (let from = 0; from < chunk.length;) {
      const end = Math.min(chunk.length, from + 1 + Math.floor(peer.random() * longest));
      const to = pieceBytes === 0 ? chunk.length : end;
      if (peer.random() < 0.1) await this.#travel();
      while (!this.isDead && !(this.#controller!.desiredSize! > 0)) {
        await new Promise<void>((resolve) => this.#wanted = resolve);
      }
      if (this.isDead) return false;
      const cut = this.#cut;
      const piece = chunk.subarray(from, Math.min(to, from + (cut?.bytes ?? Infinity)));
      if (piece.length > 0) this.#controller!.enqueue(piece);
      peer.lastArrival = this.#world.now;
      if (cut !== undefined && (cut.bytes -= to - from) <= 0) {
        this.#cutNow(cut.way);
        return false;
      }
      from = to;
    }
    return true;
  }

  #cutNow(way: Way): void {
    this.#world.log(this.peer.name, `cut, seen by ${way}`);
    this.isDead = true;
    if (way === "end" && this.#controller !== undefined) {
      this.#isClosed = true;
      this.#controller.close();
    } else if (way !== "nobody" && way !== "server only") {
      this.#fail(new TypeError("terminated: the connection was cut"));
    }
    if (way !== "nobody" && way !== "client only") {
      this.#world.after(this.peer.random() * 200, () => this.report());
    }
  }

  /** Ends the client's side by an error. */
  #fail(error: unknown): void {
    if (this.#isClosed) return;
    this.#reject?.(error);
    if (this.#controller !== undefined || this.#reject !== undefined) this.#isClosed = true;
    this.#controller?.error(error);
    this.#resolve = this.#reject = undefined;
    this.#wanted?.();
  }

  /** Waits for as long as something takes to arrive. */
  async #travel(): Promise<void> {
    const world = this.#world;
    const ms = this.#network.latencyMs * this.peer.random();
    if (ms > 0) await world.sleep(ms);
    await world.sleepUntil(() => this.peer.stalledUntil);
  }
}
