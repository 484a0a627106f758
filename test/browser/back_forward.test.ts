/**
 * A page in the back/forward cache of a real browser (HTML 7.4.6), with the client as it is built for one.
 *
 * Without Chromium the test is skipped; in CI it fails.
 *
 * @module
 */
import { Hono } from "hono";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { createChannel, defineEvents, eventsEndpoint } from "../../src/mod.ts";
import { browsing, hasChromium, servePage, serveScript } from "../support/chromium.ts";
import { serving, until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";

const test = suite("browser: back and forward");

/**
 * Reports each event, and that the page is shown again. It goes to another page after the first event. With `ignore` in its
 * address its `fetch` ignores the signal.
 */
const PAGE = `<script type="module">
  import { connect } from "/js/mod.js";
  const report = (value) => fetch("/report", { method: "POST", body: JSON.stringify(value) });
  addEventListener("pageshow", ({ persisted }) => persisted && report("shown"));
  const fetchOf = (url, { signal, ...init }) => fetch(url, init);
  const options = location.search === "?ignore" ? { fetch: fetchOf } : {};
  const connection = connect("/events", { ...options, reconnect: { max: 0.1 } });
  for await (const { event } of connection) {
    await report(event.n);
    if (event.n === 1) setTimeout(() => location.href = "/other");
  }
</script>`;
/** Goes back once the test allows it. */
const OTHER = `<script type="module">
  await fetch("/go");
  history.back();
</script>`;

for (const [query, when] of [["", ""], ["?ignore", ", with a fetch that ignores its signal"]] as const) {
  (hasChromium ? test : test.skip)(
    `connect() disconnects a page that is left, and resumes when it is shown again${when}`,
    async () => {
      const channel = createChannel(defineEvents({ tick: v.object({ n: v.number() }) }));
      const endpoint = eventsEndpoint(channel, { heartbeat: 60 });
      const app = new Hono().route("/events", endpoint);
      const reports = servePage<unknown>(app, PAGE);
      await serveScript(app, "src/client/mod.ts");
      let mayGo = () => {};
      const going = new Promise<void>((resolve) => mayGo = resolve);
      app.get("/other", (c) => c.html(OTHER));
      app.get("/go", async (c) => {
        await going;
        return c.body(null, 204);
      });
      await serving(app, (origin) =>
        browsing(`${origin}/${query}`, async () => {
          await until(() => endpoint.stats().subscribers === 1, "the page has connected", 60_000);
          channel.publish("tick", { n: 1 });
          assert.is(await reports.next(), 1);
          await until(() => endpoint.stats().subscribers === 0, "the page has disconnected");
          channel.publish("tick", { n: 2 });
          mayGo();
          assert.equal([await reports.next(), await reports.next()].sort(), [2, "shown"]);
          assert.is(endpoint.stats().subscribers, 1);
        }));
    },
  );
}

test.run();
