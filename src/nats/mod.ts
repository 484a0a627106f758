/**
 * A channel on NATS JetStream: as many servers as there are tell the same events, and a reader goes on at any of them.
 *
 * @module
 */
export { natsChannel } from "./channel.ts";
export type { NatsChannel, NatsChannelOptions } from "./channel.ts";
export type { StreamLimits } from "./stream.ts";
