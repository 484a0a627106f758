/**
 * Publishing by `POST`: a body of events becomes events of the channel, all or nothing, and once for each key.
 *
 * @module
 */
import type { Context } from "hono";
import type { Draft, Schemas } from "../events/catalogue.ts";
import type { Channel } from "../channel/channel.ts";
import { EventsError } from "../events/errors.ts";
import { disableIdleTimeout, restoreIdleTimeout } from "./runtime.ts";
import { type IdempotencyStore, readIdempotencyKey } from "./idempotency.ts";
import { type BodyLimits, checkCoding, isNdjson, parseBody } from "./parse_body.ts";
import { type BodyReaderOptions, createBodyReader } from "./read_body.ts";
import type { Accepted } from "./routes.ts";

/** Options of {@linkcode publishHandler}. */
export interface PublishHandlerOptions extends BodyLimits, BodyReaderOptions {
  /** The responses to requests with an idempotency key; `undefined` if keys are ignored. */
  readonly idempotencyStore: IdempotencyStore<Accepted> | undefined;
}

/** Makes the handler of `POST`, which answers 202 once the channel has the events, or throws an `EventsError`. */
export function publishHandler<S extends Schemas>(
  channel: Channel<S>,
  options: PublishHandlerOptions,
): (c: Context) => Promise<Response> {
  const { idempotencyStore } = options;
  const readBody = createBodyReader(options);

  async function textOf(c: Context): Promise<string> {
    disableIdleTimeout(c); // Bun would abort a slow body even while it makes progress.
    try {
      return await readBody(c);
    } catch (cause) {
      // A server that shuts down may abort the body itself, as Deno does: that is no error of the client.
      if (!channel.closed) throw cause;
      throw new EventsError("ChannelClosed", "the channel was closed: it takes no more events", { cause });
    } finally {
      restoreIdleTimeout(c);
    }
  }

  async function accept(isLines: boolean, text: string, key: string | undefined): Promise<Accepted> {
    const drafts = parseBody(isLines, text, channel.catalogue, options);
    const ids = await channel.publishBatch(drafts as Draft<S>[], key);
    return { accepted: ids.length, last_id: ids.at(-1)! };
  }

  return async (c) => {
    const key = readIdempotencyKey(c.req.header("Idempotency-Key"));
    checkCoding(c.req.header("Content-Encoding"));
    const text = await textOf(c);
    const isLines = isNdjson(c.req.header("Content-Type"));
    const accepted = key === undefined || idempotencyStore === undefined
      ? await accept(isLines, text, key)
      : await idempotencyStore.run(key, text, () => accept(isLines, text, key));
    return c.json(accepted, 202);
  };
}
