/**
 * The publisher of a simulation: what it sent, what it was answered, and whether that is true.
 *
 * @module
 */
import { EventsError } from "../../src/mod.ts";
import { ALL, type Plan, type Step, type Wanted } from "./plan.ts";
import type { Truth } from "./account.ts";
import type { Network, Peer } from "./network.ts";
import type { Server } from "./server.ts";
import type { Storage } from "./storage.ts";
import type { World } from "./world.ts";

/** Events that were sent to be published. */
interface Publication {
  /** The number of the first one. */
  readonly first: number;
  readonly count: number;
  readonly hasKey: boolean;
  /** The cursor of the last one, once they were accepted. */
  accepted?: string;
  /** Whether the publisher was assured that nothing was published. */
  isRejected?: boolean;
}

/** The events as an application gives them to a channel. */
type Drafts = readonly { readonly type: "tick"; readonly subject?: string; readonly event: { n: number } }[];

export const LAST_WORDS: readonly Wanted[] = [{ type: "rare", subject: undefined, padding: 0 }];
const BURST = Array<Wanted>(5).fill(LAST_WORDS[0]!);
/** The longest that a publication may be undecided: NATS has five seconds to answer, and to deliver what it has stored. */
const PUBLISH_MS = 12_000;
/** The same while there is no connection to what keeps the events: it is rejected in the same turn. */
const AT_ONCE_MS = 10;
const REJECTIONS: readonly string[] = ["ChannelUnavailable", "ChannelClosed"];

/** Publishes events by `POST`, and to channels directly. */
export class Publications {
  readonly #world: World;
  readonly #truth: Truth;
  readonly #network: Network;
  readonly #storage: Storage;
  readonly #plan: Plan;
  readonly #publisher: Peer;
  readonly #publications: Publication[] = [];
  /** The number of events. */
  count = 0;

  constructor(world: World, truth: Truth, network: Network, storage: Storage, plan: Plan) {
    this.#world = world;
    this.#truth = truth;
    this.#network = network;
    this.#storage = storage;
    this.#plan = plan;
    this.#publisher = network.peer("publisher", "all", ALL);
  }

  #draftsOf(events: readonly Wanted[]): Drafts {
    return events.map(({ type, subject, padding }) => ({
      type: type as "tick",
      ...(subject !== undefined && { subject }),
      event: { n: ++this.count, ...(padding > 0 && { padding: "é".repeat(padding / 2) }) },
    }));
  }

  #note(drafts: Drafts, hasKey: boolean): Publication {
    const publication = { first: drafts[0]!.event.n, count: drafts.length, hasKey };
    this.#publications.push(publication);
    return publication;
  }

  /** Publishes to the channel of a server. Resolves once that has answered. */
  async publish(server: Server, events: readonly Wanted[]): Promise<boolean> {
    const { channel } = server;
    if (channel.closed) return false;
    const drafts = this.#draftsOf(events);
    const publication = this.#note(drafts, false);
    const limitMs = this.#storage.isCutOff(channel) ? AT_ONCE_MS : PUBLISH_MS;
    let ids;
    try {
      const answer = channel.publishBatch(drafts);
      ids = answer instanceof Promise ? await this.#limit(answer, server, limitMs) : answer;
    } catch (error) {
      if (!server.isGone) this.#failed(publication, error);
      return false;
    }
    if (!server.isGone) this.#accept(publication, ids.at(-1)!);
    return true;
  }

  /** Publishes the last events before a drain: some in a burst, so that a server still holds back some of them then. */
  async saysLast(server: Server): Promise<void> {
    for (let i = 0; i < this.#plan.lastBurst; i++) {
      void this.publish(server, BURST);
      await this.#world.sleep(0.2);
    }
    void this.publish(server, LAST_WORDS);
  }

  #limit<T>(answer: Promise<T>, server: Server, ms: number): Promise<T> {
    return server.isGone ? answer : this.#world.limit(answer, ms, "publisher", "publishBatch()");
  }

  #failed(publication: Publication, error: unknown): void {
    const code = error instanceof EventsError ? error.code : undefined;
    this.#world.log("publisher", `${publication.first} is rejected: ${error}`);
    if (code !== undefined && REJECTIONS.includes(code)) publication.isRejected = true;
    else if (code !== "PublishUnconfirmed") this.#world.fail("publisher", `publishBatch() throws ${error}`);
    if (code !== "ChannelClosed" && !this.#storage.isTroubled) {
      this.#world.fail("publisher", `publishBatch() throws without a reason: ${error}`);
    }
  }

  /** Sends a `POST`, and repeats it. */
  post({ events, isLines, tries, hasKey }: Step & { do: "post" }): void {
    const drafts = this.#draftsOf(events);
    const publication = this.#note(drafts, hasKey);
    const { first } = publication;
    const body = isLines ? drafts.map((draft) => JSON.stringify(draft)).join("\n") : JSON.stringify(drafts);
    const headers = {
      "Content-Type": isLines ? "application/x-ndjson" : "application/json",
      ...(hasKey && { "Idempotency-Key": `key-${first}` }),
    };
    const send = async () => {
      try {
        const init = { method: "POST", headers, body };
        const response = await this.#network.fetch(this.#publisher, "http://simulation.test/events", init);
        this.#checkAnswer(publication, response.status, await response.json());
      } catch {
        // There was no server.
      }
    };
    // Requests of the same moment are sent in one turn, so that they run side by side.
    for (const ms of new Set(tries)) {
      this.#world.after(ms, () => tries.filter((other) => other === ms).forEach(() => void send()));
    }
  }

  /** Checks that a key is accepted: those that were remembered are forgotten by now. */
  async checkKeysForgotten(): Promise<boolean> {
    const headers = { "Content-Type": "application/json", "Idempotency-Key": "last-key" };
    const drafts = this.#draftsOf([{ type: "rare", subject: undefined, padding: 0 }]);
    this.#note(drafts, true);
    const init = { method: "POST", headers, body: JSON.stringify(drafts) };
    const response = await this.#network.fetch(this.#publisher, "http://simulation.test/events", init);
    await response.json();
    return response.status === 202;
  }

  #checkAnswer(publication: Publication, status: number, answer: Readonly<Record<string, unknown>>): void {
    const world = this.#world;
    const { accepted, last_id: lastId } = answer as { accepted?: number; last_id?: string };
    world.log("publisher", `POST of ${publication.first} is answered with ${status} ${lastId}`);
    if (status !== 202) return;
    if (accepted !== publication.count) {
      world.fail("publisher", `POST accepted ${accepted} of ${publication.count}`);
    }
    this.#accept(publication, lastId!);
  }

  #accept(publication: Publication, lastId: string): void {
    const { first, count } = publication;
    const [epoch, position] = lastId.split("-") as [string, string];
    const known = this.#truth.epochs.get(epoch);
    // A server may learn only after the response that the stream has lost messages, or was replaced.
    const isReplaced = known !== [...this.#truth.epochs.values()].at(-1);
    const mayBeOutdated = this.#plan.channel === "nats" && known !== undefined && (known.ages || isReplaced);
    if (!mayBeOutdated && known?.events[Number(position) - 1]?.n !== first + count - 1) {
      this.#world.fail("publisher", `${lastId} is not event ${first + count - 1}, which was accepted there`);
    }
    const { accepted } = publication;
    // A file forgets keys by the clock of its server; that of NATS is never set.
    const keepsKey = this.#storage.keepsKeys && (this.#plan.channel === "nats" || !this.#world.wasSet);
    if (accepted !== undefined && accepted !== lastId && keepsKey && accepted.startsWith(`${epoch}-`)) {
      this.#world.fail("publisher", `event ${first} was accepted as ${accepted}, and as ${lastId}`);
    }
    publication.accepted = lastId;
  }

  /**
   * Checks that what was accepted is there, that nothing is which was rejected, and that nothing is there twice.
   *
   * @param restarts the number of times that a server has forgotten its keys
   * @param clockSteps the number of times that its clock was set, after which keys may have expired
   */
  check(restarts: number, clockSteps: number): void {
    const world = this.#world;
    const times = new Map<number, number>();
    for (const { events } of this.#truth.epochs.values()) {
      const here = new Map<number, number>();
      for (const { n } of events) here.set(n, (here.get(n) ?? 0) + 1);
      for (const [n, count] of here) times.set(n, Math.max(count, times.get(n) ?? 0));
    }
    for (const { first, count, hasKey, accepted, isRejected } of this.#publications) {
      const most = hasKey ? 1 + clockSteps + (this.#storage.keepsKeys ? 0 : restarts) : 1;
      for (let n = first; n < first + count; n++) {
        const there = times.get(n) ?? 0;
        if (there > most) world.fail("publisher", `event ${n} is there ${there} times`);
        if (isRejected && there > 0) world.fail("publisher", `event ${n} was rejected, and is there`);
        if (accepted !== undefined && there === 0 && this.#plan.channel === "memory") {
          world.fail("publisher", `event ${n} was accepted, and is not there`);
        }
      }
    }
  }
}
