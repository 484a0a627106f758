/**
 * Endpoints of any catalogue, as the parts of a server take them.
 *
 * @module
 */
import type { EventLog } from "../channel/channel.ts";
import { CATALOGUE, type Expected, FUNCTION } from "../events/arguments.ts";
import type { Catalogue } from "../events/catalogue.ts";
import type { EndpointStats } from "../http/options.ts";

/** An endpoint of any catalogue. */
export interface AnyEndpoint {
  /** The channel whose events it streams. */
  readonly channel: EventLog & { readonly catalogue: Catalogue };
  /** Returns its statistics. */
  stats(): EndpointStats;
}

/** An endpoint. */
export const ENDPOINT: Expected = {
  text: "an endpoint, as eventsEndpoint makes it",
  accepts: (value) => {
    const { channel, stats } = (value ?? {}) as {
      readonly channel?: { readonly catalogue?: unknown };
      stats?: unknown;
    };
    return FUNCTION.accepts(stats) && CATALOGUE.accepts(channel?.catalogue);
  },
};

/** An endpoint, or several. */
export const ENDPOINTS: Expected = {
  text: `${ENDPOINT.text}, or an array of such`,
  accepts: (value) =>
    Array.isArray(value) ? value.length > 0 && value.every(ENDPOINT.accepts) : ENDPOINT.accepts(value),
};
