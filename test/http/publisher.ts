/**
 * A server with an endpoint to publish to, its responses to `POST`, and the published events.
 *
 * @module
 */
import { Hono } from "hono";
import * as assert from "uvu/assert";
import * as v from "valibot";
import {
  type Catalogue,
  createChannel,
  defineEvents,
  type EndpointOptions,
  type EventsEndpoint,
  eventsEndpoint,
  type MemoryChannel,
} from "../../src/mod.ts";
import { serving, until, type Wire, within } from "../support/harness.ts";

/** The types that can be published here. */
export type Schemas = {
  readonly tick: v.GenericSchema<{ n: number }>;
  readonly any: v.GenericSchema<unknown>;
  readonly note: v.GenericSchema<{ text: string }>;
  readonly words: v.GenericSchema<string[]>;
  readonly closed: null;
};

export const catalogue: Catalogue<Schemas> = defineEvents({
  tick: v.object({ n: v.number() }),
  any: v.any(),
  note: v.looseObject({ text: v.string() }),
  words: v.array(v.string()),
  closed: null,
});

export const JSON_TYPE: string = "application/json";
export const NDJSON: string = "application/x-ndjson";
export const MIB: number = 1024 * 1024;

/** The response to a `POST`. */
export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** A server with an endpoint that can be published to. */
export interface Publisher {
  readonly channel: MemoryChannel<Schemas>;
  readonly endpoint: EventsEndpoint;
  readonly port: number;
  readonly url: string;
  /** Numbers of requests that have arrived at the endpoint, and that have ended. */
  readonly requests: { begun: number; done: number };
  /** Errors that the endpoint left to the application. */
  readonly problems: unknown[];
  post(body: string | Uint8Array | ReadableStream, contentType?: string): Promise<Answer>;
}

/** Serves an endpoint while `use` runs. */
export async function publishing(
  use: (server: Publisher) => Promise<void>,
  options: EndpointOptions<Schemas> & { history?: { bytes: number } } = {},
): Promise<void> {
  const { history, ...endpointOptions } = options;
  const channel = createChannel(catalogue, history === undefined ? {} : { history });
  const requests = { begun: 0, done: 0 };
  const problems: unknown[] = [];
  const app = new Hono();
  app.use(async (_, next) => {
    requests.begun++;
    await next();
    requests.done++;
  });
  // No heartbeat within any wait: each heartbeat would start the wait again.
  const endpoint = eventsEndpoint(channel, { heartbeat: 60, ...endpointOptions });
  app.route("/events", endpoint);
  app.onError((error, c) => {
    problems.push(error);
    return c.text("the response of the application", 500);
  });
  await serving(app, async (url, port) => {
    const post = async (body: string | Uint8Array | ReadableStream, contentType: string = JSON_TYPE) => {
      const init = {
        method: "POST",
        // As bytes, so that no runtime adds a content type of its own.
        body: (typeof body === "string" ? new TextEncoder().encode(body) : body) as BodyInit,
        headers: contentType === "" ? {} : { "Content-Type": contentType },
        ...(body instanceof ReadableStream ? { duplex: "half" } : {}),
      };
      const response = await within(fetch(`${url}/events`, init), "an answer", 30_000);
      return { status: response.status, text: await within(response.text(), "the answer's body") };
    };
    await use({ channel, endpoint, port, url: `${url}/events`, requests, problems, post });
  });
}

/** Returns the issues in a response, each as its index and its path. */
export function issuesIn({ status, text }: Answer): string[] {
  assert.is(status, 400, text);
  const { error } = JSON.parse(text);
  assert.is(error.handled, true);
  assert.is(error.code, "InvalidEvent");
  assert.type(error.message, "string");
  assert.equal(Object.keys(error), ["handled", "code", "message", "details"]);
  for (const issue of error.details) {
    assert.equal(Object.keys(issue), ["index", "path", "message"]);
    assert.ok(Number.isInteger(issue.index) && issue.index >= 0);
    assert.type(issue.path, "string");
    assert.ok(issue.message.length > 0);
  }
  return error.details.map(({ index, path }: { index: number; path: string }) => `${index} ${path}`);
}

export function messageOf({ text }: Answer): string {
  return JSON.parse(text).error.details[0].message;
}

export function codeOf({ text }: Answer): string {
  return JSON.parse(text).error.code;
}

/** The JSON of the payloads published so far. */
export function published(channel: MemoryChannel<Schemas>): string[] {
  return channel.read(channel.first - 1, Infinity).entries.map((entry) =>
    /^\{"type":"\w+"(?:,"event":(.*))?,"id":"[^"]+","time":"[^"]+"\}$/.exec(entry.json)?.[1] ?? ""
  );
}

export function accepted(channel: MemoryChannel<Schemas>, count: number): Answer {
  return { status: 202, text: `{"accepted":${count},"last_id":"${channel.epoch}-${channel.last}"}` };
}

/** The head of a request, for a bare socket. */
export function head(contentType: string, ...more: string[]): string {
  const lines = ["POST /events HTTP/1.1", "Host: localhost", `Content-Type: ${contentType}`, ...more];
  return lines.join("\r\n") + "\r\n\r\n";
}

export async function statusOn(wire: Wire): Promise<number> {
  await until(() => /^HTTP\/1\.1 \d{3} [^]*\r\n\r\n/.test(wire.received()), "an answer arrives");
  return Number(wire.received().slice(9, 12));
}

/** Sends bytes one at a time, each after the one before has been written. */
export async function trickle(wire: Wire, bytes: Uint8Array): Promise<void> {
  wire.socket.setNoDelay(true);
  for (const byte of bytes) {
    await new Promise<void>((resolve) => wire.socket.write(Uint8Array.of(byte), () => resolve()));
    await new Promise((resolve) => setImmediate(resolve));
  }
}
