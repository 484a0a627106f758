/**
 * Readers in a real browser: its own `EventSource`, and the client as it is built for one.
 *
 * Without Chromium the tests are skipped; in CI they fail.
 */
import { readFile } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { fileURLToPath } from "node:url";
import { Hono } from "hono";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { createChannel, defineEvents, eventsEndpoint } from "../../src/mod.ts";
import { running, startScript, whereItListens } from "../support/children.ts";
import { browsing, hasChromium, servePage, serveScript } from "../support/chromium.ts";
import { serving, until, within } from "../support/harness.ts";

const test = suite("browser");
const run = hasChromium ? test : test.skip;

/** Runs `use` with a proxy for a port, which cuts each stream of events after this many bytes. */
async function cutting(
  port: number,
  afterBytes: number,
  use: (port: number) => Promise<void>,
): Promise<void> {
  const proxy: Server = createServer((client) => {
    const server = connect(port, "127.0.0.1");
    let left = Infinity;
    client.on("data", (bytes: Uint8Array) => {
      if (new TextDecoder().decode(bytes).startsWith("GET /events")) left = afterBytes;
      server.write(bytes);
    });
    server.on("data", (bytes: Uint8Array) => {
      // Not before the next bytes come: Chromium drops what the page has not read yet, and would come back for it without end.
      if (left <= 0) return void server.destroy();
      client.write(bytes.subarray(0, Math.min(left, bytes.length)));
      left -= bytes.length;
    });
    for (const [one, other] of [[client, server], [server, client]] as const) {
      one.on("error", () => {});
      one.on("close", () => other.destroySoon());
    }
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  try {
    await use((proxy.address() as { port: number }).port);
  } finally {
    proxy.close();
  }
}

/** The number of the last event, at which the page sends its report. */
const LAST = 60;

/** What a page has received. */
interface Report {
  readonly seen: readonly number[];
  /** How many connections it had, and how many of them resumed. */
  readonly opened: number;
  readonly resumed?: number;
  readonly lost: number;
}

const REPORT = `
  const seen = [];
  let opened = 0, resumed = 0, lost = 0;
  function look({ type, event }) {
    if (type === "events_lost") lost++;
    else seen.push(event.n);
    if (event.n !== ${LAST}) return;
    fetch("/report", { method: "POST", body: JSON.stringify({ seen, opened, resumed, lost }) });
  }`;
const EVENT_SOURCE = `<script>${REPORT}
  const source = new EventSource("/events?types=tick");
  source.onopen = () => opened++;
  for (const type of ["tick", "events_lost"]) {
    source.addEventListener(type, ({ data, lastEventId }) => {
      const event = JSON.parse(data);
      if (event.id !== lastEventId || event.type !== type) lost = NaN;
      look(event);
    });
  }
</script>`;
/** The package sse.js, which is for pages: it reads with an `XMLHttpRequest`. */
const SSE_JS = `<script type="module">${REPORT}
  import { SSE } from "/sse.js";
  const source = new SSE("/events?types=tick&format=sse", { autoReconnect: true, reconnectDelay: 100 });
  source.addEventListener("open", () => opened++);
  for (const type of ["tick", "events_lost"]) {
    source.addEventListener(type, ({ data, id }) => {
      const event = JSON.parse(data);
      if (event.id !== id || event.type !== type) lost = NaN;
      look(event);
    });
  }
</script>`;
const CLIENT = (url: string) =>
  `<script type="module">${REPORT}
  import { connect } from "/js/mod.js";
  const onStatus = (status) => {
    if (status.type !== "open") return;
    opened++;
    if (status.resumed) resumed++;
  };
  const connection = connect("${url}", { types: ["tick"], reconnect: { min: 0.1 }, onStatus });
  for await (const event of connection) {
    if (event.id !== connection.lastId) lost = NaN;
    look(event);
  }
</script>`;

/** Publishes events to a page whose connections are cut, and returns its report. */
async function readThroughCuts(html: string): Promise<{ report: Report; asked: readonly string[] }> {
  const channel = createChannel(defineEvents({ tick: v.object({ n: v.number() }), noise: null }));
  const endpoint = eventsEndpoint(channel, { heartbeat: 0.5 });
  const app = new Hono();
  const reports = servePage<Report>(app, html);
  const asked = await serveScript(app, "src/client/mod.ts");
  app.get("/sse.js", async (c) => {
    const text = await readFile(fileURLToPath(import.meta.resolve("sse.js")), "utf8");
    return c.body(text, 200, { "Content-Type": "text/javascript" });
  });
  app.route("/events", endpoint);
  let report: Report | undefined;
  await serving(app, (_, port) =>
    // Some ten events pass before each cut.
    cutting(port, 3000, (proxyPort) =>
      browsing(`http://127.0.0.1:${proxyPort}/`, async () => {
        await until(() => endpoint.stats().subscribers === 1, "the page has subscribed", 30_000);
        for (let n = 1; n <= LAST; n++) {
          channel.publish("tick", { n });
          channel.publish("noise");
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        report = await reports.next();
      })));
  await until(() => endpoint.stats().subscribers === 0, "the browser has left");
  return { report: report!, asked };
}

const ALL = Array.from({ length: LAST }, (_, i) => i + 1);

run("EventSource receives every event when its connections are cut", async () => {
  const { report } = await readThroughCuts(EVENT_SOURCE);
  assert.equal([report.seen, report.lost], [ALL, 0]);
  assert.ok(report.opened >= 3, `connected ${report.opened} times`);
});

run("sse.js receives every event when its connections are cut", async () => {
  const { report } = await readThroughCuts(SSE_JS);
  assert.equal([report.seen, report.lost], [ALL, 0]);
  assert.ok(report.opened >= 3, `connected ${report.opened} times`);
});

for (const [url, parts] of [["/events", ["mod"]], ["/events?format=sse", ["mod", "sse"]]] as const) {
  run(`connect("${url}") receives every event in a browser when its connections are cut`, async () => {
    const { report, asked } = await readThroughCuts(CLIENT(url));
    assert.equal([report.seen, report.lost], [ALL, 0]);
    assert.ok(report.opened >= 3, `connected ${report.opened} times`);
    assert.is(report.resumed, report.opened - 1);
    // The SSE parser was loaded for SSE alone, and once.
    assert.equal(asked.map((name) => name.replace(/(?:-\w+)?\.js$/, "")), parts);
  });
}

run("connect() disconnects when the user leaves the page, and resumes when the user comes back", async () => {
  const channel = createChannel(defineEvents({ tick: v.object({ n: v.number() }) }));
  const endpoint = eventsEndpoint(channel);
  const app = new Hono();
  const report = (what: string) => `fetch("/report", { method: "POST", body: JSON.stringify(${what}) })`;
  const reports = servePage<unknown>(
    app,
    `<script type="module">
      import { connect } from "/js/mod.js";
      const seen = [];
      // A browser that did not keep the page loads it again.
      const isNew = performance.getEntriesByType("navigation")[0].type === "navigate";
      for await (const event of connect("/events", { since: "earliest" })) {
        seen.push(event.event.n);
        await ${report("seen")};
        if (isNew && event.event.n === 1) location.href = "/elsewhere";
      }
    </script>`,
  );
  await serveScript(app, "src/client/mod.ts");
  let isBack = false;
  app.get("/elsewhere", (c) =>
    c.html(`<script type="module">
      await ${report('"away"')};
      while ((await (await fetch("/back")).json()) === false);
      history.back();
    </script>`));
  app.get("/back", async (c) => {
    await new Promise((resolve) => setTimeout(resolve, 50));
    return c.json(isBack);
  });
  app.route("/events", endpoint);
  await serving(app, (url) =>
    browsing(url, async () => {
      await until(() => endpoint.stats().subscribers === 1, "the page has subscribed", 30_000);
      channel.publish("tick", { n: 1 });
      assert.equal(await reports.next(), [1]);
      assert.is(await reports.next(), "away");
      await until(() => endpoint.stats().subscribers === 0, "the page has left");
      channel.publish("tick", { n: 2 });
      isBack = true;
      let seen = await reports.next();
      if (String(seen) === "1") seen = await reports.next();
      assert.equal(seen, [1, 2]);
    }));
});

run("examples/browser.ts shows events, resumes after a reload, and stops on a click", async () => {
  const permissions = ["--allow-net", "--allow-read", "--allow-env", "--allow-run"]; // As its head comment says.
  await running(startScript("examples/browser.ts", ["0"], { permissions }), async (example) => {
    const { url } = await whereItListens(example);
    const app = new Hono();
    const html = await (await within(fetch(url), "the page")).text();
    const reports = servePage<string[]>(
      app,
      `${html}<script>
        function report() {
          const texts = [...document.querySelectorAll("#status, li")].map((one) => one.textContent);
          return fetch("/report", { method: "POST", body: JSON.stringify(texts) });
        }
        const watch = new MutationObserver(async () => {
          if (document.querySelectorAll("li").length < 2) return;
          watch.disconnect();
          await report();
          if (performance.getEntriesByType("navigation")[0].type !== "reload") return location.reload();
          document.querySelector("#stop").click();
          await report();
        });
        watch.observe(document.querySelector("#events"), { childList: true });
      </script>`,
    );
    app.get("/:file", (c) => fetch(`${url}/${c.req.param("file")}`));
    await serving(app, (origin) =>
      browsing(origin, async () => {
        const [status, ...before] = await reports.next();
        assert.is(status, "connected");
        for (const text of before) assert.match(text, /^tick \{"time":"2\d{3}-\S+Z"\}$/);
        const [resumed, ...after] = await reports.next();
        assert.is(resumed, "going on", "it was loaded again");
        assert.ok(after.at(-1)! > before[0]!);
        assert.is((await reports.next())[0], "closed");
      }));
    assert.equal(example.stderr.lines, []);
  });
});

test.run();
