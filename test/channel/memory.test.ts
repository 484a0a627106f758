import { createChannel } from "../../src/mod.ts";
import { contractEvents, testChannel } from "./contract.ts";

testChannel("memory", (events, use) => use(createChannel(contractEvents, { history: { events } })));
