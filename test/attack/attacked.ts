/**
 * A server that is attacked, and whose state is verified after each attack.
 *
 * @module
 */
import { readdir, readFile, readlink } from "node:fs/promises";
import process from "node:process";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { type AppOptions, createApp } from "../../src/server/app.ts";
import { createSession } from "../../src/tribler/mod.ts";
import { openWire, serving, timersLeftBy, until, type Wire, within } from "../support/harness.ts";
import { onUncaught } from "../support/rejections.ts";
import { type Answer, readAnswers, responseReader, valuesOf } from "../support/http_wire.ts";

/** One malformed input, as bytes on a connection of its own. */
export interface Attack {
  /** Its name, for errors. */
  readonly name: string;
  /** What is sent. */
  readonly bytes: Uint8Array;
  /** Number of responses to wait for; default 1. */
  readonly answers?: number;
  /**
   * What must answer: our application; or also the HTTP server of the runtime, which may reject it in a form of its own, or
   * cut the connection. Default `"us"`.
   */
  readonly by?: "us" | "any";
  /** The `code` of the expected error, or the status of another response; absent: any well-formed response. */
  readonly due?: string | number;
  /** Maximum number of its events that may be accepted; absent: all. */
  readonly accepts?: number;
  /** Whether it opens a stream that stays open: the beginning of that is enough. */
  readonly endless?: boolean;
  /** Whether it is a `HEAD`, whose responses have no body. */
  readonly isHead?: boolean;
  /** The origin whose pages may read the response; absent: no page may. */
  readonly shared?: string;
  /** What the client does after its last byte: waits for the response, ends its side as well, or resets. Default `"wait"`. */
  readonly then?: "wait" | "end" | "reset";
}

/** The server that is attacked. */
export interface Target {
  readonly port: number;
  /** The epoch of its channel, for valid cursors. */
  readonly epoch: string;
  /** Returns the number of open streams, without the two permanent ones. */
  streams(): number;
  /** Sends the bytes, and verifies the response and the state of the server. */
  strike(attack: Attack): Promise<void>;
  /**
   * Verifies that the server works: a stream and a `POST` succeed, and the permanent streams received the accepted events
   * and nothing else.
   *
   * @param accepted number of events accepted since the last call
   * @param most maximum number of them, if a client has disconnected before its response; default `accepted`
   */
  settle(accepted: number, most?: number): Promise<void>;
  /** Publishes `events` events of `size` characters by `POST`, and verifies the state of the server. */
  flood(events: number, size: number): Promise<void>;
}

/** The status of each error `code`. */
const STATUS: Readonly<Record<string, number>> = {
  InvalidEvent: 400,
  InvalidCursor: 400,
  UnknownEventType: 400,
  InvalidParameter: 400,
  Unauthorized: 401,
  CrossSiteRequest: 403,
  ForbiddenHost: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  BodyIncomplete: 400,
  NotAcceptable: 406,
  RequestTimeout: 408,
  PayloadTooLarge: 413,
  UnsupportedMediaType: 415,
  IdempotencyKeyReused: 422,
  TooManyConnections: 503,
};

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const STREAMS = ["application/x-ndjson", "application/jsonl", "application/ndjson", "text/event-stream"];
const SSE_LINE = /^(?:|:|retry: \d+|id: [0-9a-z]+-\d+|event: \w+|data: \{.*\})$/;

/**
 * Serves what `events-endpoint serve` serves while `use` attacks it. After that no subscriber, timer or socket may be left,
 * and no error may have been uncaught or printed.
 */
export async function underAttack(
  use: (target: Target) => Promise<void>,
  options: Partial<AppOptions> = {},
): Promise<void> {
  const problems: unknown[] = [];
  const { error, warn } = console;
  console.error = console.warn = (...args: unknown[]) => void problems.push(...args);
  const stop = onUncaught((...what) => void problems.push(...what));
  try {
    const sockets = await countSockets(process.pid);
    // Node's adapter waits half a second for the rest of a rejected body; our timers are longer.
    assert.is(await timersLeftBy(() => attacked(use, problems, options), 1000), 0, "no timer is left");
    await until(async () => await countSockets(process.pid) <= sockets, "no socket is left");
    assert.equal(problems, []);
  } finally {
    stop();
    Object.assign(console, { error, warn });
  }
}

async function attacked(
  use: (target: Target) => Promise<void>,
  problems: unknown[],
  options: Partial<AppOptions>,
): Promise<void> {
  const { apiKey } = options;
  /** The headers that a valid request needs. */
  const admission = apiKey === undefined ? [] : [`X-Api-Key: ${apiKey}`];
  const session = createSession({ version: "0" });
  const { channel } = session;
  let open = 0;
  const app = createApp({
    ...session,
    onConnect: () => {
      const leave = session.onConnect();
      open++;
      return () => {
        open--;
        leave();
      };
    },
  }, { heartbeat: 5, ...options });
  /** The application itself answers with a success, or an error in the shape of the protocol. */
  const watched = {
    fetch: async (request: Request, ...rest: never[]) => {
      const response = await app.fetch(request, ...rest);
      const isJson = response.headers.get("content-type") === "application/json";
      if (response.status >= 300 && !isJson) problems.push(`an answer ${response.status} without a code`);
      return response;
    },
  };
  await serving(watched, async (_, port) => {
    const listeners = [await listen(port, "ndjson", admission), await listen(port, "sse", admission)];
    let settled = channel.last;
    let goods = 0;

    async function settle(accepted: number, most: number = accepted): Promise<void> {
      const text = `good ${++goods}`;
      const body = JSON.stringify({ type: "upgrader_tick", event: { text } });
      const [answer] = await exchange(port, {
        name: "a good POST",
        bytes: post(body, "application/json", "Connection: close", ...admission),
      });
      assert.is(answer?.status, 202, "a good POST is accepted");
      const since = `${channel.epoch}-${channel.last - 1}`;
      const published = channel.last - settled - 1;
      settled = channel.last;
      const account = `${accepted} events were accepted and ${published} published`;
      assert.ok(published >= accepted && published <= most, account);
      const [stream] = await exchange(port, {
        name: "a good stream",
        bytes: get(`/events?follow=false&since=${since}`, "Connection: close", ...admission),
      });
      assert.is(stream?.status, 200, "a good stream is opened");
      const lines = textOf(stream).trimEnd().split("\n").map((line) => JSON.parse(line));
      assert.equal(lines.map(({ type, event }) => [type, event?.text]), [
        ["events_start", undefined],
        ["upgrader_tick", text],
      ]);
      for (const listener of listeners) await listener.reaches(channel.last);
    }

    async function strike(attack: Attack): Promise<void> {
      const answers = await exchange(port, attack);
      const accepted = answers.map((answer) => judge(answer, attack));
      for (const { headers, body } of answers) {
        const text = JSON.stringify(headers) + new TextDecoder().decode(body);
        assert.not.ok(apiKey !== undefined && text.includes(apiKey), "no answer has the key");
      }
      if (attack.by !== "any") {
        assert.ok(answers.every((answer) => isOurs(answer, attack)), "an answer of ours is of our form");
        if (attack.then === undefined) assert.is(answers.length, attack.answers ?? 1, "it is answered");
      }
      const sum = accepted.reduce((sum, count) => sum + count, 0);
      assert.ok(sum <= (attack.accepts ?? Infinity), `${sum} events were accepted`);
      await settle(sum, attack.then === undefined ? sum : attack.accepts);
      assert.equal(problems.splice(0), []);
    }

    async function flood(events: number, size: number): Promise<void> {
      const line = JSON.stringify({ type: "upgrader_tick", event: { text: "x".repeat(size) } }) + "\n";
      const atOnce = Math.max(1, Math.floor(500_000 / line.length));
      for (let left = events; left > 0; left -= atOnce) {
        const body = line.repeat(Math.min(left, atOnce));
        const [answer] = await exchange(port, {
          name: "a flood",
          bytes: post(body, "application/x-ndjson", "Connection: close", ...admission),
        });
        assert.is(answer?.status, 202);
      }
      await settle(events);
    }

    await settle(0);
    await use({ port, epoch: channel.epoch, streams: () => open - listeners.length, strike, settle, flood });
    await settle(0);
    for (const listener of listeners) listener.leave();
    await until(() => open === 0, "no subscriber is left");
    await until(() => channel.stats().readers === 0, "no reader is left");
  });
}

/** Opens a permanent stream, which must receive every event once. */
async function listen(port: number, format: string, admission: readonly string[]) {
  const wire = await openWire(port);
  let position = -1;
  let failure: unknown;
  let wake = () => {};
  const push = responseReader((line) => {
    if (format === "sse") assert.match(line, SSE_LINE);
    const text = format === "sse" ? /^data: (.*)/.exec(line)?.[1] : line;
    if (!text) return;
    const { type, id } = JSON.parse(text);
    const here = Number(id.split("-")[1]);
    assert.is(type === "events_start", position === -1);
    if (position !== -1) assert.is(here, position + 1, "every event arrives once");
    position = here;
  });
  wire.socket.on("data", (bytes: Uint8Array) => {
    try {
      push(bytes);
    } catch (error) {
      failure ??= error;
    }
    wake();
  });
  wire.socket.once("close", () => {
    failure ??= new Error("a good stream was cut off");
    wake();
  });
  wire.write(get(`/events?format=${format}`, ...admission));

  async function reaches(last: number): Promise<void> {
    while (position < last && failure === undefined) {
      await within(new Promise<void>((resolve) => wake = resolve), `the event ${last} on a good stream`);
    }
    if (failure !== undefined) throw failure;
    assert.is(position, last, "a good stream delivers the accepted events and nothing else");
  }

  await reaches(0);
  return { reaches, leave: () => void wire.socket.destroy() };
}

/** Sends an attack on a connection of its own. Returns the responses once they have arrived, or the connection is closed. */
export async function exchange(port: number, attack: Attack): Promise<Answer[]> {
  const { bytes, answers: due = 1, isHead = false, endless = false, then = "wait" } = attack;
  const wire = await openWire(port);
  let isOver = false;
  const answered = new Promise<void>((resolve, reject) => {
    const check = () => {
      try {
        const answers = readAnswers(wire.bytes(), isOver, isHead);
        if (isOver || (answers.length >= due && hasArrived(answers[due - 1]!, endless))) resolve();
      } catch (error) {
        reject(error);
      }
    };
    wire.socket.on("data", check);
    wire.socket.once("close", () => {
      isOver = true;
      check();
    });
  });
  try {
    if (then === "reset") {
      await within(Promise.race([flush(wire, bytes), answered]), "the bytes to be sent");
      reset(wire);
    } else {
      wire.write(bytes);
      if (then === "end") wire.socket.end();
    }
    await within(answered, then === "wait" ? "an answer" : "the end of the connection");
    return readAnswers(wire.bytes(), isOver, isHead);
  } finally {
    wire.socket.destroy();
    await within(wire.closed, "the connection to be closed");
  }
}

/** Resets the connection if the runtime can, and closes it otherwise. */
export function reset({ socket }: Wire): void {
  if (typeof socket.resetAndDestroy === "function") socket.resetAndDestroy();
  else socket.destroy();
}

function flush({ socket }: Wire, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => void socket.write(bytes, () => resolve()));
}

/** Whether enough of a response has arrived: all of it, or the beginning of a stream that stays open. */
function hasArrived(answer: Answer, endless: boolean): boolean {
  return answer.isWhole || (endless && isStream(answer) && textOf(answer).includes("events_start"));
}

function isStream(answer: Answer): boolean {
  return answer.status === 200 && STREAMS.includes(valuesOf(answer.headers, "content-type")[0] ?? "");
}

/** Whether the response is one of our application: a success, or an error in the shape of the protocol. */
function isOurs(answer: Answer, { isHead = false }: Attack): boolean {
  if (answer.status < 300) return true;
  if (isHead) return valuesOf(answer.headers, "content-type")[0] === "application/json";
  return errorOf(answer) !== undefined;
}

/** Returns the error in a response; `undefined` if it is not in the shape of the protocol. */
function errorOf(answer: Answer): { code: string } | undefined {
  if (valuesOf(answer.headers, "content-type")[0] !== "application/json") return undefined;
  const { error } = JSON.parse(textOf(answer));
  assert.is(error.handled, true);
  assert.type(error.message, "string");
  assert.is(STATUS[error.code], answer.status, `${error.code} comes with its status`);
  return error;
}

/** Verifies a response, and returns the number of events that it says were accepted. */
function judge(answer: Answer, attack: Attack): number {
  const { due, by, isHead = false } = attack;
  const { status, headers, isWhole } = answer;
  assert.ok([501, 503, 505].includes(status) || status < 500, `${status}: ${textOf(answer)}`);
  assert.not.ok(status >= 300 && status < 400, `${status}`);
  assert.equal(valuesOf(headers, "x-injected"), [], "nothing that was sent becomes a header");
  const { shared } = attack;
  assert.equal(valuesOf(headers, "access-control-allow-origin"), shared === undefined ? [] : [shared]);
  const text = textOf(answer);
  assert.not.match(text, /^(?:x-injected:|data: ?injected|event: ?injected)/im);
  assert.not.match(text, /^\s+at |node_modules|\.[cm]?[jt]s:\d/m);
  assert.not.ok(text.includes(ROOT), "no answer has a path of this machine");
  if (isHead) return 0;
  const code = status < 400 ? undefined : errorOf(answer)?.code;
  if (due !== undefined && (by !== "any" || isOurs(answer, attack))) {
    assert.is(typeof due === "string" ? code : status, due, text.slice(0, 500));
  }
  // If it ends with the connection, it may be cut off when the client has ended its side.
  const isCut = attack.then !== undefined && valuesOf(headers, "transfer-encoding").length === 0;
  if (isStream(answer)) checkStream(text, headers, isWhole && !isCut);
  if (status !== 202) return 0;
  const { accepted, last_id } = JSON.parse(text);
  assert.ok(Number.isSafeInteger(accepted) && accepted > 0 && typeof last_id === "string", text);
  return accepted;
}

/** Verifies that a stream is whole lines, each of them well-formed. */
function checkStream(text: string, headers: Answer["headers"], isWhole: boolean): void {
  const isSse = valuesOf(headers, "content-type")[0] === "text/event-stream";
  if (isWhole) assert.ok(text.endsWith(isSse ? "\n\n" : "\n"), "a stream ends on a whole line");
  const lines = text.slice(0, text.lastIndexOf("\n")).split("\n");
  for (const line of lines) if (isSse) assert.match(line, SSE_LINE);
  const events = lines.map((line) => isSse ? /^data: (.*)/.exec(line)?.[1] ?? "" : line)
    .filter((line) => line !== "").map((line) => JSON.parse(line));
  for (const event of events) assert.type(event.type, "string");
  if (isWhole || events.length > 0) assert.is(events[0].type, "events_start");
}

function textOf(answer: Answer | undefined): string {
  return new TextDecoder("utf-8", { fatal: answer?.isWhole ?? false }).decode(answer?.body);
}

/** The open TCP sockets of a process; a runtime has others for itself. */
export async function countSockets(pid: number): Promise<number> {
  const tables = await Promise.all(
    ["tcp", "tcp6"].map((name) => readFile(`/proc/${pid}/net/${name}`, "utf8").catch(() => "")),
  );
  const inodes = new Set(tables.join("\n").split("\n").map((line) => line.trim().split(/ +/)[9]));
  const names = await readdir(`/proc/${pid}/fd`);
  const targets = await Promise.all(names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => "")));
  return targets.filter((target) => inodes.has(/^socket:\[(\d+)\]$/.exec(target)?.[1] ?? "")).length;
}

/** A `GET`; each of the headers is one line. Characters are bytes (Latin-1). */
export function get(target: string, ...headers: string[]): Uint8Array {
  return bytes([`GET ${target} HTTP/1.1`, "Host: localhost", ...headers, "", ""].join("\r\n"));
}

/** A `POST` with its length. */
export function post(body: string | Uint8Array, contentType: string, ...headers: string[]): Uint8Array {
  const content = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const type = contentType === "" ? [] : [`Content-Type: ${contentType}`];
  const lines = ["POST /events HTTP/1.1", "Host: localhost", ...type, `Content-Length: ${content.length}`];
  return bytes([...lines, ...headers, "", ""].join("\r\n"), content);
}

/** Joins bytes, and texts of which each character is a byte. */
export function bytes(...parts: (string | Uint8Array)[]): Uint8Array {
  return Buffer.concat(parts.map((part) => typeof part === "string" ? Buffer.from(part, "latin1") : part));
}
