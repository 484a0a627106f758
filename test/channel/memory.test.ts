import { createChannel } from "../../src/mod.ts";
import { contractEvents, testChannel } from "./contract.ts";

testChannel(
  "memory",
  (events, use, catalogue = contractEvents) => use(createChannel(catalogue, { history: { events } })),
);
