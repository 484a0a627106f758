/**
 * The channel on a cluster of NATS servers.
 *
 * @module
 */
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { AcknowledgedLoss } from "./account.ts";
import { joining } from "./channels.ts";
import { settleDuring, untilHealthy } from "./faults.ts";
import { withCluster } from "./server.ts";

const test = suite("nats cluster");

test("natsChannel() misses no event while the nodes of a cluster are killed one at a time", async () => {
  // A new leader of nats-server before 2.11 may not know yet what the one before it has stored (nats-server #6485): it
  // stores again what is sent again, and now and then gives a number that was given and acknowledged to another event.
  for (let tries = 1;; tries++) {
    try {
      return await killOneByOne();
    } catch (error) {
      if (!(error instanceof AcknowledgedLoss) || tries === 3) throw error;
      console.error(`${error.message}: retried with another cluster`);
    }
  }
});

function killOneByOne(): Promise<void> {
  return withCluster((servers) =>
    joining(servers[0]!, async (join) => {
      const options = { replicas: 3 };
      const parties = [await join(options), await join(options, servers[1]), await join(options, servers[2])];
      const { epoch } = parties[0]!.channel;
      const { lost, epochs } = await settleDuring(parties, async (account) => {
        for (const server of servers) {
          await server.kill();
          await account.progress(100, 60_000);
          await server.restart();
          await untilHealthy(parties);
          await account.progress(100, 60_000);
          if (parties.some(({ channel }) => channel.epoch !== epoch)) {
            throw new AcknowledgedLoss("the stream lost acknowledged events");
          }
        }
      }, true);
      assert.equal([lost, epochs], [0, 0]);
    })
  );
}

test.run();
