/**
 * The function that makes a channel on NATS JetStream. It loads the packages of NATS, which may not be installed.
 *
 * @module
 */
import type { NatsConnection } from "@nats-io/nats-core";
import type { Catalogue, Schemas } from "../events/catalogue.ts";
import { EventsError } from "../events/errors.ts";
import type { NatsChannel, NatsChannelOptions } from "./channel.ts";
import { isPackageMissing } from "./packages.ts";

/**
 * Makes a channel on a stream of NATS JetStream. All processes on the same stream share one channel: each delivers the events
 * of all, and accepts the cursors of all.
 *
 * The connection belongs to the caller, who closes it after the channel. It may use any transport, and should reconnect without
 * a limit (`maxReconnectAttempts: -1`). While it is down, open streams continue with the events that this process holds, and
 * publishing is rejected at once.
 *
 * @param connection a connection to nats-server 2.9 or later with JetStream
 * @param catalogue the event types of the channel
 * @throws {EventsError} `ModuleNotLoaded` if the packages of NATS are not installed; `StreamMismatch` if the stream exists and cannot hold a channel; `ChannelUnavailable` if it cannot
 *   be opened
 * @throws {RangeError} if a limit is too small or not a whole number, or a name is not valid in NATS
 *
 * @example
 * ```ts
 * import { connect } from "@nats-io/transport-node";
 * import * as v from "valibot";
 * import { defineEvents } from "events-endpoint";
 * import { natsChannel } from "events-endpoint/nats";
 *
 * const connection = await connect({ servers: "nats://127.0.0.1:4222", maxReconnectAttempts: -1 });
 * const channel = await natsChannel(connection, defineEvents({ tick: v.object({ n: v.number() }) }));
 * await channel.publish("tick", { n: 1 });
 * channel.close();
 * await connection.close();
 * ```
 */
export async function natsChannel<S extends Schemas>(
  connection: NatsConnection,
  catalogue: Catalogue<S>,
  options: NatsChannelOptions = {},
): Promise<NatsChannel<S>> {
  const { openChannel } = await load();
  return await openChannel(connection, catalogue, options);
}

async function load(): Promise<typeof import("./channel.ts")> {
  try {
    return await import("./channel.ts");
  } catch (error) {
    if (!isPackageMissing(error)) throw error;
    const packages = "@nats-io/jetstream @nats-io/nats-core";
    const advice = `npm install ${packages}, and a transport such as @nats-io/transport-node`;
    throw new EventsError(
      "ModuleNotLoaded",
      `natsChannel needs packages that are not installed here: ${advice}`,
    );
  }
}
