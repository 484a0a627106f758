import { createChannel } from "../../src/mod.ts";
import { contractEvents } from "./contract.ts";
import { testModel } from "./model.ts";

// What memory holds is all that there is.
testModel(
  "memory",
  300,
  (use) =>
    use((_, kept, use) => use({ channel: createChannel(contractEvents, { keep: { events: kept } }), kept })),
);
