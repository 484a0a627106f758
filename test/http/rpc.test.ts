import { Hono } from "hono";
import { hc } from "hono/client";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { connect } from "../../src/client/mod.ts";
import { createChannel, defineEvents, eventsEndpoint } from "../../src/mod.ts";
import { serving, within } from "../support/harness.ts";

const test = suite("http: hc");

const catalogue = defineEvents({ tick: v.object({ n: v.number() }), stopped: null });

test("hc() publishes, reads and names the routes of eventsEndpoint()", async () => {
  const app = new Hono().route("/events", eventsEndpoint(createChannel(catalogue)));
  await serving(app, async (url) => {
    const { events } = hc<typeof app>(url);
    const accepted = await events.$post({ json: { type: "tick", event: { n: 1 } } });
    assert.is(accepted.status, 202);
    const body = await accepted.json();
    assert.is("accepted" in body && body.accepted, 1);
    await events.$post({ json: [{ type: "stopped" }], header: { "Idempotency-Key": "k" } });

    const response = await events.$get({ query: { since: "earliest", follow: "false", types: "tick" } });
    const lines = (await response.text() as string).trim().split("\n").map((line) => JSON.parse(line).type);
    assert.equal(lines, ["events_start", "tick"]);

    await events.$post({ json: { type: "stopped", subject: "shop" } });
    const about = await events.$get({
      query: { since: "earliest", follow: "false", subject: ["shop", "order/*"] },
    });
    assert.is((await about.text() as string).match(/"subject":"shop"/g)?.length, 1);

    const refused = await events.$get({ query: { since: "nonsense" } });
    assert.is(refused.status, 400);
    const failure = await refused.json();
    assert.is(failure.error.code, "InvalidCursor");

    for await (const event of connect(events.$url(), { catalogue, since: "earliest" })) {
      assert.equal([event.type, event.event], ["tick", { n: 1 }]);
      break;
    }
  });
});

test("hc() receives the error of POST /events as it is typed", async () => {
  const app = new Hono().route("/events", eventsEndpoint(createChannel(catalogue), { publish: false }));
  await serving(app, async (url) => {
    const response = await within(
      hc<typeof app>(url).events.$post({ json: { type: "stopped" } }),
      "a response",
    );
    assert.is(response.status, 405);
    if (response.status === 202) throw new Error("unreachable");
    const { error } = await response.json();
    assert.equal(Object.keys(error), ["handled", "code", "message"]);
    assert.is(error.code, "MethodNotAllowed");
  });
});

test.run();
