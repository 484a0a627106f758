/**
 * Faults for the tests of NATS: readers and publishers during a fault, requests that are held back or lost, and streams that
 * are replaced.
 *
 * @module
 */
import type { JetStreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import * as assert from "uvu/assert";
import { until } from "../support/harness.ts";
import { sleep } from "../support/hostile_proxy.ts";
import { rejectionsDuring } from "../support/rejections.ts";
import { type Account, openAccount, type Settled } from "./account.ts";
import type { Join, Party } from "./channels.ts";
import { managerOf, withConnection } from "./server.ts";

/** Waits until no channel has a problem. */
export function untilHealthy(parties: readonly Party[]): Promise<void> {
  return untilAll(parties, "healthy", (problem) => problem === undefined);
}

/** Waits until every channel has a problem. */
export function untilUnhealthy(parties: readonly Party[]): Promise<void> {
  return untilAll(parties, "unhealthy", (problem) => problem !== undefined);
}

async function untilAll(
  parties: readonly Party[],
  state: string,
  isReached: (problem: string | undefined) => boolean,
): Promise<void> {
  const problems = () => parties.map(({ channel }) => channel.problem);
  try {
    await until(() => problems().every(isReached), `all channels are ${state}`, 60_000);
  } catch (error) {
    throw new Error(`${(error as Error).message}: ${problems().join("; ")}`, { cause: error });
  }
}

/**
 * Publishes and reads at all channels during a fault, settles the account, and fails on a stray rejection.
 *
 * @param mayRepeat whether an event may be stored twice that was sent again by the same key, because its first publication was
 *   not confirmed
 */
export async function settleDuring(
  parties: readonly Party[],
  fault: (account: Account) => Promise<void>,
  mayRepeat = false,
): Promise<{ readonly lost: number; readonly epochs: number; readonly account: Account }> {
  const account = openAccount(parties);
  let settled: Settled = { lost: 0, epochs: 0, repeated: 0 };
  const rejections = await rejectionsDuring(async () => {
    try {
      await account.progress(50);
      await fault(account);
      await untilHealthy(parties);
      await account.progress(50);
      settled = await account.settle();
    } finally {
      account.abandon();
    }
  });
  assert.equal(rejections, []);
  assert.ok(mayRepeat || settled.repeated === 0, `${settled.repeated} events were received twice`);
  return { ...settled, account };
}

/** Runs `use` with a manager of streams on a connection of its own. */
export function withManager<T>(
  server: { readonly url: string },
  use: (manager: JetStreamManager, connection: NatsConnection) => Promise<T>,
): Promise<T> {
  return withConnection(server, async (connection) => await use(await managerOf(connection), connection));
}

/** Deletes all consumers of the stream. */
export function deleteConsumers(server: { readonly url: string }): Promise<void> {
  return withManager(server, async ({ consumers }) => {
    for await (const { name } of consumers.list("EVENTS")) {
      await consumers.delete("EVENTS", name).catch(() => {}); // A page's ends by itself.
    }
  });
}

/** Deletes the stream, and lets another channel create it again. */
export async function replaceStream(server: { readonly url: string }, join: Join): Promise<Party> {
  await withManager(server, (manager) => manager.streams.delete("EVENTS"));
  await sleep(500); // nats-server 2.9.10 may still be removing the files, and would remove those of the new one.
  return await join();
}

/** Holds back requests, or the responses to them, while it is closed. */
export interface Gate {
  /** Closes it; resolves once it holds one back. */
  close(): Promise<void>;
  open(): void;
}

/** Puts a gate before, or behind, the requests of a connection whose subjects contain a text. */
export function gateOf(
  connection: NatsConnection,
  text: string,
  holds: "requests" | "responses" = "requests",
): Gate {
  const request = connection.request.bind(connection);
  let opened: Promise<void> | undefined;
  let open = () => {};
  let hold = () => {};
  connection.request = async (subject, ...rest) => {
    const early = holds === "responses" ? await request(subject, ...rest) : undefined;
    if (opened !== undefined && subject.includes(text)) {
      hold();
      await opened;
    }
    return early ?? await request(subject, ...rest);
  };
  return {
    close: () => {
      opened = new Promise((resolve) => open = resolve);
      return new Promise((resolve) => hold = resolve);
    },
    open: () => {
      opened = undefined;
      open();
    },
  };
}

/** Loses the next request of a connection whose subject contains a text; resolves when it was sent. */
export function loseNext(connection: NatsConnection, text: string): Promise<void> {
  const request = connection.request.bind(connection);
  return new Promise((resolve) => {
    connection.request = (subject, ...rest) => {
      if (!subject.includes(text)) return request(subject, ...rest);
      connection.request = request;
      resolve();
      return new Promise(() => {});
    };
  });
}
