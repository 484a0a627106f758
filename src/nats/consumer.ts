/**
 * Consumers: each is made for one purpose, and deleted after it.
 *
 * @module
 */
import type { Consumer, JetStreamClient } from "@nats-io/jetstream";
import type { Requests } from "./requests.ts";

/** Makes a consumer of a stream that begins with a sequence number. It is not left behind where it comes too late. */
export async function makeConsumer(
  client: JetStreamClient,
  ask: Requests["ask"],
  stream: string,
  first: number,
): Promise<Consumer> {
  let making: Promise<Consumer> | undefined;
  try {
    return await ask(() => making = client.consumers.get(stream, { opt_start_seq: first }));
  } catch (error) {
    making?.then(deleteConsumer, () => {});
    throw error;
  }
}

/** Deletes a consumer. It may be gone, or the server be away: then it ends by itself. */
export function deleteConsumer(consumer: Consumer): void {
  consumer.delete().catch(() => {});
}
