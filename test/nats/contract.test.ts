import { natsChannel } from "../../src/nats/mod.ts";
import { contractEvents, testChannel } from "../channel/contract.ts";
import { connectTo, withNats } from "./server.ts";

testChannel(
  "nats",
  (events, use, catalogue = contractEvents) =>
    withNats(async (server) => {
      const connection = await connectTo(server);
      const channel = await natsChannel(connection, catalogue, { history: { events } });
      try {
        await use(channel);
      } finally {
        channel.close();
        await connection.close();
      }
    }),
  false,
);
