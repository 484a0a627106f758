/**
 * What the channel imports of `@nats-io/jetstream`, on a model of a server: `load.ts` puts it in the place of the package.
 *
 * @module
 */
import type { MsgHdrs } from "@nats-io/nats-core";
import type { JetStreamClient, JetStreamManager, StreamConfig } from "@nats-io/jetstream";
import type { ModelConnection, ModelMessage, ModelMessages } from "./model_connection.ts";

export { DiscardPolicy, JetStreamApiError, RetentionPolicy, StorageType } from "@nats-io/jetstream";

interface Publishing {
  readonly timeout?: number;
  readonly headers?: MsgHdrs;
  readonly msgID?: string;
}

interface Consuming {
  readonly max_messages?: number;
  readonly expires?: number;
  readonly idle_heartbeat?: number;
  readonly callback?: (message: ModelMessage) => void;
}

export function jetstream(given: unknown): JetStreamClient {
  const connection = given as ModelConnection;
  const { server } = connection;
  const client = {
    publish: async (subject: string, data: string, { timeout, headers, msgID }: Publishing = {}) => {
      try {
        return await connection.request(() => server.store(subject, data, headers, msgID), timeout);
      } catch (error) {
        // Nothing listens to the subject: that is what the client makes of it.
        if ((error as Error).name !== "JetStreamApiError") throw error;
        throw Object.assign(new Error("jetstream is not enabled"), { name: "JetStreamNotEnabled" });
      }
    },
    consumers: {
      get: async (_stream: string, { opt_start_seq = 1 }: { readonly opt_start_seq?: number } = {}) => {
        const pending = await connection.request(() => server.from(opt_start_seq).length);
        return consumerAt(connection, opt_start_seq, pending);
      },
    },
  };
  return client as unknown as JetStreamClient;
}

function consumerAt(connection: ModelConnection, first: number, atStart: number) {
  let next = first;
  return {
    info: () => Promise.resolve({ num_pending: atStart }),
    delete: () => Promise.resolve(true),
    consume({ idle_heartbeat, callback }: Consuming): Promise<ModelMessages> {
      const messages = connection.follow(next, Infinity, idle_heartbeat);
      if (callback !== undefined) messages.push = (message) => void (messages.isStopped || callback(message));
      return Promise.resolve(messages);
    },
    fetch({ max_messages = 100, expires = 5000 }: Consuming): Promise<ModelMessages> {
      const messages = connection.follow(next, max_messages, undefined);
      const push = messages.push.bind(messages);
      let left = max_messages;
      messages.push = (message) => {
        next = message.seq + 1;
        push(message);
        if (--left === 0) messages.stop();
      };
      connection.server.clock.after(expires, () => messages.stop());
      return Promise.resolve(messages);
    },
  };
}

export function jetstreamManager(given: unknown): Promise<JetStreamManager> {
  const connection = given as ModelConnection;
  const { server } = connection;
  const manager = {
    streams: {
      info: () => connection.request(() => server.info()),
      add: (config: StreamConfig) => connection.request(() => server.add(config)),
      update: (_name: string, change: Partial<StreamConfig>) =>
        connection.request(() => server.update(change)),
      delete: () =>
        connection.request(() => {
          server.info(); // It throws if there is none.
          server.deleteStream();
          return true;
        }),
      getMessage: (_name: string, { seq }: { readonly seq: number }) =>
        connection.request(() => server.getMessage(seq)),
    },
  };
  return Promise.resolve(manager as unknown as JetStreamManager);
}
