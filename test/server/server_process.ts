/**
 * The server of the command, as a child process, and what the tests of it share.
 *
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import {
  type Child,
  type ChildOptions,
  type Exit,
  running,
  startCli,
  whereItListens,
} from "../support/children.ts";
import { type Dictionary, type Lines, openLines, within } from "../support/harness.ts";

export const FIXTURES: string = fileURLToPath(
  new URL("../../node_modules/webtorrent-fixtures/fixtures/", import.meta.url),
);
export const GET = "GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

export interface Served {
  readonly url: string;
  readonly port: number;
  readonly child: Child;
}

/** Runs `use` beside `events-endpoint serve --port 0 …`. */
export async function withServer(
  args: readonly string[],
  use: (server: Served) => Promise<void>,
  options?: ChildOptions,
): Promise<void> {
  await running(startCli(["serve", "--port", "0", ...args], options), async (child) => {
    await use({ ...await whereItListens(child), child });
  });
}

/** Runs the command to its end. */
export async function outcome(args: readonly string[], options?: ChildOptions): Promise<Exit & Printed> {
  return await running(startCli(args, options), async (child): Promise<Exit & Printed> => {
    return { ...await child.exit(), stdout: child.stdout.lines, stderr: child.stderr.lines };
  });
}

export interface Printed {
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
}

export async function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<void> {
  const response = await within(
    fetch(`${url}/events`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    }),
    "the answer to a POST",
  );
  const answer = await response.text();
  assert.is(response.status, 202, answer);
}

export function exceptions(count: number, bytes = 0): { type: string; event: { text: string } }[] {
  const text = "x".repeat(bytes);
  return Array.from(
    { length: count },
    (_, n) => ({ type: "tribler_exception", event: { text: `${n}${text}` } }),
  );
}

export function texts(events: readonly { type: string; event?: { text: string } }[]): string[] {
  return events.filter(({ type }) => type === "tribler_exception").map(({ event }) => event?.text ?? "");
}

/** Waits for the next event, and checks its type. Heartbeats do not extend the wait. */
export async function nextEvent(lines: Lines, type: string, ms?: number): Promise<Dictionary> {
  const event = await within(lines.event(), type, ms);
  assert.is(event.type, type);
  return event;
}

/** Reads the events that are kept, `events_start` included. */
export async function keptSince(url: string, since: string): Promise<Dictionary[]> {
  const lines = await openLines(`${url}/events?since=${since}&follow=false`);
  return await within(lines.rest(), "the end of what is kept");
}

/** Runs `use` with a new folder, and removes the folder. */
export async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "events-endpoint-"));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export function permissionsFor(folder: string): ChildOptions {
  return { permissions: [`--allow-read=${folder}`, `--allow-write=${folder}`] };
}

/** Checks that the child exits within 5 s, with code 0 and nothing on stderr. */
export async function exitsCleanly(child: Child): Promise<void> {
  const exit = await child.exit(5000);
  assert.equal({ ...exit, stderr: child.stderr.lines }, { code: 0, signal: null, stderr: [] });
}
