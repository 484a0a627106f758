/**
 * Consumers of the stream: each is created for one use, and deleted after it.
 *
 * @module
 */
import type { Consumer, JetStreamClient } from "@nats-io/jetstream";
import type { Requests } from "./requests.ts";

/** Creates a consumer that starts at a sequence number. If its request is rejected first, a late consumer is deleted. */
export async function createConsumer(
  client: JetStreamClient,
  request: Requests["request"],
  stream: string,
  first: number,
): Promise<Consumer> {
  let creating: Promise<Consumer> | undefined;
  try {
    return await request(() => creating = client.consumers.get(stream, { opt_start_seq: first }));
  } catch (error) {
    creating?.then(deleteConsumer, () => {});
    throw error;
  }
}

/** Deletes a consumer. If that fails, the server deletes it when it is idle. */
export function deleteConsumer(consumer: Consumer): void {
  consumer.delete().catch(() => {});
}
