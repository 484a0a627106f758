/**
 * Publishing by `POST`: a body of events becomes events of the channel, all or nothing, and once for each key.
 *
 * @module
 */
import type { Context } from "hono";
import type { Catalogue, Draft, Schemas } from "../events/catalogue.ts";
import type { Channel } from "../channel/channel.ts";
import { EventsError } from "../events/errors.ts";
import { subjectMatcher } from "../events/subject.ts";
import { checkEvent, checkSubject } from "../events/validate.ts";
import type { Permission } from "./authorize.ts";
import { disableIdleTimeout, restoreIdleTimeout } from "./runtime.ts";
import { type IdempotencyStore, readIdempotencyKey } from "./idempotency.ts";
import { type BodyLimits, checkCoding, isNdjson, parseBody, type RawDraft } from "./parse_body.ts";
import { type BodyReaderOptions, createBodyReader } from "./read_body.ts";
import type { Accepted } from "./routes.ts";

/** What a request may publish. */
type Allowed = Pick<Permission, "types" | "subjects">;

/** Options of {@linkcode publishHandler}. */
export interface PublishHandlerOptions extends BodyLimits, BodyReaderOptions {
  /** The responses to requests with an idempotency key; `undefined` if keys are ignored. */
  readonly idempotencyStore: IdempotencyStore<Accepted> | undefined;
}

/**
 * Makes the handler of `POST`, which answers 202 once the channel has the events, or throws an `EventsError`. Its second
 * argument says which types and subjects the request may publish.
 */
export function publishHandler<S extends Schemas>(
  channel: Channel<S>,
  options: PublishHandlerOptions,
): (c: Context, allowed?: Allowed) => Promise<Response> {
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

  /** Returns no promise if the channel has the events at once: each `await` costs as much as parsing a small event. */
  function accept(
    isLines: boolean,
    text: string,
    key: string | undefined,
    allowed: Allowed,
  ): Accepted | Promise<Accepted> {
    const { catalogue } = channel;
    const sent = parseBody(isLines, text, catalogue, options);
    if (allowed.types !== undefined) checkTypes(sent, allowed.types);
    const { subjects } = allowed;
    const drafts = subjects === undefined ? sent : withAllowedSubjects(catalogue, sent, subjects);
    const published = channel.publishBatch(drafts as Draft<S>[], key);
    return Array.isArray(published) ? acceptedOf(published) : published.then(acceptedOf);
  }

  return async (c, allowed = {}) => {
    const key = readIdempotencyKey(c.req.header("Idempotency-Key"));
    checkCoding(c.req.header("Content-Encoding"));
    const text = await textOf(c);
    const isLines = isNdjson(c.req.header("Content-Type"));
    const run = () => accept(isLines, text, key, allowed);
    const accepted = key === undefined || idempotencyStore === undefined
      ? run()
      : idempotencyStore.run(key, text, run);
    return c.json(accepted instanceof Promise ? await accepted : accepted, 202);
  };
}

function acceptedOf(ids: readonly string[]): Accepted {
  return { accepted: ids.length, last_id: ids.at(-1)! };
}

/** @throws {EventsError} `Forbidden` if the type of an event is not allowed */
function checkTypes(drafts: readonly RawDraft[], patterns: readonly string[]): void {
  const isAllowed = subjectMatcher(patterns);
  for (const [index, { type }] of drafts.entries()) {
    if (typeof type !== "string" || isAllowed(type)) continue;
    const name = JSON.stringify(type.slice(0, 128));
    throw new EventsError(
      "Forbidden",
      `event ${index}: these credentials do not allow to publish events of the type ${name}`,
    );
  }
}

/**
 * Checks that all events may be published, and returns them with the subjects that were checked: the channel rejects an event
 * for which the catalogue derives another one then. Events that do not fit the catalogue are left to the channel.
 *
 * @throws {EventsError} `Forbidden` if the subject of an event is not allowed
 */
function withAllowedSubjects(
  catalogue: Catalogue,
  drafts: readonly RawDraft[],
  patterns: readonly string[],
): RawDraft[] {
  const isAllowed = subjectMatcher(patterns);
  return drafts.map((draft, index) => {
    const { type, subject: given, event } = draft;
    if (checkEvent(catalogue, type, event, index).length > 0) return draft;
    const checked = checkSubject(catalogue, type as string, given, event);
    if ("message" in checked) return draft;
    const { subject } = checked;
    if (isAllowed(subject)) return { type, subject, event };
    const about = subject === undefined ? "without a subject" : `about ${JSON.stringify(subject)}`;
    throw new EventsError(
      "Forbidden",
      `event ${index}: these credentials do not allow to publish events ${about}`,
    );
  });
}
