import { natsChannel } from "../../src/nats/mod.ts";
import { contractEvents } from "../channel/contract.ts";
import { testModel } from "../channel/model.ts";
import { connectTo, withNats } from "./server.ts";

testModel("nats", 25, (use) =>
  withNats(async (server) => {
    const connection = await connectTo(server);
    let streams = 0;
    try {
      await use(async (held, _, use) => {
        const stream = `MODEL${++streams}`;
        const open = () =>
          natsChannel(connection, contractEvents, {
            stream,
            history: { events: held },
            keep: { bytes: 2 ** 24 },
          });
        let channel = await open();
        const reopen = async () => {
          channel.close();
          return channel = await open();
        };
        try {
          await use({ channel, kept: Infinity, canErase: false, reopen });
        } finally {
          channel.close();
        }
      });
    } finally {
      await connection.close();
    }
  }));
