/**
 * A channel on NATS JetStream: any number of servers deliver the same events, and a reader can resume at any of them.
 *
 * @module
 */
export { natsChannel } from "./nats_channel.ts";
export type { NatsChannel, NatsChannelOptions } from "./channel.ts";
