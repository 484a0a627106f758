/**
 * Publishing by `POST`: a body of events becomes events of the channel, all or nothing, and once for each key.
 *
 * @module
 */
import type { Context } from "hono";
import type { Draft, Schemas } from "../events/catalogue.ts";
import type { Channel } from "../channel/channel.ts";
import type { OnClose } from "../channel/on_close.ts";
import { EventsError } from "../events/errors.ts";
import { disableIdleTimeout, restoreIdleTimeout } from "./runtime.ts";
import { type IdempotencyStore, readIdempotencyKey } from "./idempotency.ts";
import { type BodyLimits, checkCoding, isNdjson, parseBody } from "./parse_body.ts";
import { readBody } from "./read_body.ts";
import type { Accepted } from "./routes.ts";

/** Options of {@linkcode publishHandler}. */
export interface PublishHandlerOptions extends BodyLimits {
  /** Maximum number of bytes of a body. */
  readonly maxBodyBytes: number;
  /** Maximum number of milliseconds until the next piece of a body arrives. */
  readonly bodyTimeoutMs: number;
  /** The responses to requests with an idempotency key; `undefined` if keys are ignored. */
  readonly idempotencyStore: IdempotencyStore<Accepted> | undefined;
  /** Reports that the channel was closed. */
  readonly onClose: OnClose;
}

/** Makes the handler of `POST`, which answers 202 once the channel has the events, or throws an `EventsError`. */
export function publishHandler<S extends Schemas>(
  channel: Channel<S>,
  options: PublishHandlerOptions,
): (c: Context) => Promise<Response> {
  const { maxBodyBytes, bodyTimeoutMs, idempotencyStore, onClose } = options;

  async function textOf(c: Context): Promise<string> {
    // If middleware has read the body, Hono has kept it.
    const body = c.req.raw.bodyUsed ? new Response(await c.req.arrayBuffer()).body : c.req.raw.body;
    disableIdleTimeout(c); // Bun would abort a slow body even while it makes progress.
    try {
      return await readBody(body, c.req.header("Content-Length"), maxBodyBytes, bodyTimeoutMs, onClose);
    } catch (cause) {
      // A server that shuts down may abort the body itself, as Deno does: that is no error of the client.
      if (!channel.closed) throw cause;
      throw new EventsError("ChannelClosed", "the channel was closed: it takes no more events", { cause });
    } finally {
      restoreIdleTimeout(c);
    }
  }

  return async (c) => {
    const key = readIdempotencyKey(c.req.header("Idempotency-Key"));
    checkCoding(c.req.header("Content-Encoding"));
    const text = await textOf(c);
    const isLines = isNdjson(c.req.header("Content-Type"));
    const accept = async (): Promise<Accepted> => {
      const drafts = parseBody(isLines, text, channel.catalogue, options);
      const ids = await channel.publishBatch(drafts as Draft<S>[], key);
      return { accepted: ids.length, last_id: ids.at(-1)! };
    };
    const isKept = key !== undefined && idempotencyStore !== undefined;
    return c.json(isKept ? await idempotencyStore.run(key, text, accept) : await accept(), 202);
  };
}
