/**
 * The access of a simulation: what servers ask about a request, what clients bring, and until when that counts.
 *
 * @module
 */
import { createHash, createHmac } from "node:crypto";
import { type Authorize, authorizeByToken } from "../../src/mod.ts";
import type { Right, Truth } from "./account.ts";
import type { Connection } from "./connection.ts";
import type { Plan, Step } from "./plan.ts";
import type { World } from "./world.ts";

/** What a connection was opened with. */
export interface Grant {
  /** What it may see for as long as it counts; without it what its user may see at the time. */
  readonly frozen: { readonly right: Right } | undefined;
  /** When it ends, in milliseconds since 1970. */
  readonly endsAt: number | undefined;
  /** When it was seen to have ended. */
  endedAt?: number;
}

interface Asked {
  readonly req: { header(name: string): string | undefined };
}

const USERS = ["ann", "bob"] as const;
const SECRET = "the secret of a simulation";
const PUBLISHER_KEY = "the key of the publisher";
const NOTHING: Grant = { frozen: undefined, endsAt: undefined };

/** Who may see what, as servers and clients know it. */
export class Access {
  readonly #world: World;
  readonly #truth: Truth;
  readonly #plan: Plan;
  readonly #connections: ReadonlySet<Connection>;
  /** The grants that may still end. */
  readonly #grants = new Set<Grant>();
  /** The keys by their user: the one that servers accept, and the one that its clients have. */
  readonly #keys = new Map<string, { server: string; client: string }>();
  readonly #grantsOfKeys = new Map<string, Grant>();
  /** What was answered for good, by the number of the connection. */
  readonly #final = new Map<string, Grant>();
  #connectionsMade = 0;
  /** When the clock was set back last. */
  #setBackAt = -Infinity;

  constructor(world: World, truth: Truth, plan: Plan, connections: ReadonlySet<Connection>) {
    this.#world = world;
    this.#truth = truth;
    this.#plan = plan;
    this.#connections = connections;
    for (const user of USERS) this.#keys.set(user, { server: `${user}-1`, client: `${user}-1` });
  }

  /** Returns what a client sends with a request, and a function that returns what that is worth once it was answered. */
  bring(user: string): { readonly headers: Readonly<Record<string, string>>; readonly grantOf: () => Grant } {
    const { access } = this.#plan;
    const isPublisher = user === "all";
    if (!this.#plan.hasUsers || isPublisher) {
      return { headers: { "X-Api-Key": PUBLISHER_KEY }, grantOf: () => NOTHING };
    }
    if (access === "keys") {
      const key = this.#keys.get(user)!.client;
      const grant = this.#grantOfKey(key);
      return { headers: { "X-Api-Key": key }, grantOf: () => grant };
    }
    if (access === "tokens") return this.#bringToken(user);
    const number = `${++this.#connectionsMade}`;
    const headers = { "X-User": user, "X-Connection": number };
    return { headers, grantOf: () => this.#final.get(number) ?? NOTHING };
  }

  #grantOfKey(key: string): Grant {
    const grant = this.#grantsOfKeys.get(key) ?? { frozen: undefined, endsAt: undefined };
    this.#grantsOfKeys.set(key, grant);
    return grant;
  }

  /** Issues a token for what the user may see now. */
  #bringToken(user: string): ReturnType<Access["bring"]> {
    const right = this.#truth.rightOf(user);
    if (right === undefined) return { headers: {}, grantOf: () => NOTHING };
    const { wall } = this.#world;
    const exp = Math.min(wall + this.#plan.tokenMs, this.#truth.expiryOf(user) ?? Infinity) / 1000;
    const { types, subjects } = right;
    const claims = { exp, scope: "events:read", ...(types && { types }), ...(subjects && { subjects }) };
    const grant = this.#grant(right, exp * 1000);
    return { headers: { Authorization: `Bearer ${tokenOf(claims)}` }, grantOf: () => grant };
  }

  /** Makes a grant that stays as it is until it ends. */
  #grant(right: Right, endsAt: number | undefined): Grant {
    const grant: Grant = { frozen: { right }, endsAt };
    if (endsAt !== undefined) {
      this.#grants.add(grant);
      this.#world.after(Math.max(0, endsAt - this.#world.wall) + 100, () => this.expire());
    }
    return grant;
  }

  /** Makes what a server asks about requests; `undefined` if all may do everything. */
  createAuthorize(): Authorize | undefined {
    const { hasUsers, access, authorizeMs } = this.#plan;
    if (!hasUsers) return undefined;
    const byToken = access === "keys"
      ? authorizeByToken({ publishKeys: [PUBLISHER_KEY], keys: () => this.#readKeys() })
      : access === "tokens"
      ? authorizeByToken({ publishKeys: [PUBLISHER_KEY], jwtSecret: SECRET, leeway: 0 })
      : (c: Asked) => this.#answer(c);
    return async (c) => {
      const answer = await byToken(c);
      if (authorizeMs > 0) await this.#world.sleep(authorizeMs);
      return answer;
    };
  }

  /** Returns the keys as a file has them that is written anew at each change. */
  #readKeys() {
    return USERS.flatMap((user) => {
      const right = this.#truth.rightOf(user);
      if (right === undefined) return [];
      const hash = `sha256:${createHash("sha256").update(this.#keys.get(user)!.server).digest("hex")}`;
      return [{
        name: user,
        hash,
        rights: ["read"] as const,
        ...right,
        expiresAt: this.#truth.expiryOf(user),
      }];
    });
  }

  /** Answers with the right of a user, as it is when that is asked. */
  #answer(c: Asked) {
    const user = c.req.header("X-User");
    if (user === undefined) return true;
    const isFinal = this.#plan.access === "final";
    const right = this.#truth.rightOf(user);
    if (right === undefined) return false;
    const expiresAt = this.#truth.expiryOf(user);
    if (isFinal) this.#final.set(c.req.header("X-Connection")!, this.#grant(right, expiresAt));
    const { types, subjects } = right;
    const rest = { isFinal, ...(subjects && { subjects }), ...(expiresAt !== undefined && { expiresAt }) };
    if (types?.length === 1) return { types, ...rest };
    const filter = (event: { readonly type: string }) => types!.includes(event.type);
    return { ...rest, ...(types && { filter }) };
  }

  /** What a connection was allowed to see at any moment in this time. */
  rightsIn(user: string, grant: Grant, from: number, to: number): Right[] {
    this.expire();
    const { frozen, endsAt, endedAt } = grant;
    // A clock that is set back lets it count again, unless a server has looked meanwhile.
    const isRevived = endsAt !== undefined && endedAt !== undefined && this.#setBackAt >= endedAt;
    const rights = endedAt !== undefined && endedAt < from && !isRevived
      ? []
      : frozen === undefined
      ? this.#truth.rightsIn(user, from, to)
      : [frozen.right];
    return endedAt !== undefined && endedAt <= to ? [...rights, undefined] : rights;
  }

  /** Ends the grants whose time has come. */
  expire(): void {
    for (const grant of this.#grants) if (grant.endsAt! <= this.#world.wall) this.#end(grant);
  }

  /** Notes that the clock was set. */
  clockWasSet(ms: number): void {
    if (ms < 0) this.#setBackAt = this.#world.now;
    this.expire();
  }

  #end(grant: Grant): void {
    this.#grants.delete(grant);
    const { now } = this.#world;
    grant.endedAt = now;
    this.#expectEnds((connection) => connection.grant === grant && this.#setBackAt < now);
  }

  /** Gives a user another key: the one before counts no more, and clients have the new one after some time. */
  renewKey({ user, lagMs }: Step & { do: "new key" }): void {
    const keys = this.#keys.get(user)!;
    const [name, number] = keys.server.split("-");
    this.#end(this.#grantOfKey(keys.server));
    keys.server = `${name}-${Number(number) + 1}`;
    this.#world.after(lagMs, () => keys.client = keys.server);
  }

  /** Changes what a user may see. */
  permit({ user, right, endsMs }: Step & { do: "permit" }): void {
    const world = this.#world;
    const expiresAt = endsMs === undefined || right === undefined ? undefined : world.wall + endsMs;
    this.#truth.allow(user, right, expiresAt);
    if (this.#isFrozen) return;
    if (right === undefined) return this.#expectEndOf(user);
    if (expiresAt === undefined) return;
    world.after(endsMs! + 100, () => {
      if (this.#truth.rightOf(user) === undefined) this.#expectEndOf(user);
    });
  }

  /** Whether streams that are open do not notice what a user may see now. */
  get #isFrozen(): boolean {
    return this.#plan.access === "final" || this.#plan.access === "tokens";
  }

  #expectEndOf(user: string): void {
    const { now } = this.#world;
    this.#expectEnds(({ peer }) =>
      peer.user === user &&
      this.#truth.rightsIn(user, now + 0.001, this.#world.now).every((right) => right === undefined)
    );
  }

  /** Checks that no stream that may carry nothing is open after a heartbeat. */
  #expectEnds(isOver: (connection: Connection) => boolean): void {
    const world = this.#world;
    const { now } = world;
    world.after(this.#truth.heartbeatMs + this.#truth.slackMs, () => {
      for (const connection of this.#connections) {
        const { peer, isServed, owedSince, openedAt } = connection;
        if (!isServed || owedSince === undefined || openedAt > now || !isOver(connection)) continue;
        world.fail(peer.name, "the stream is open a heartbeat after the permission ended");
      }
    });
  }
}

/** Signs claims: a JSON Web Token (RFC 7519). */
function tokenOf(claims: unknown): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${text}.${createHmac("sha256", SECRET).update(text).digest("base64url")}`;
}
