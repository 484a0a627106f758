/**
 * `events-endpoint serve --data`: a server that is killed and restarted, and its clients.
 *
 * @module
 */
import { writeFile } from "node:fs/promises";
import * as assert from "uvu/assert";
import { keptSince, post } from "../server/server_process.ts";
import { running, startCli, whereItListens } from "../support/children.ts";
import { suite } from "../support/suite.ts";
import { withFile } from "./channels.ts";
import { killServer, permissionsFor, start } from "./server_kills.ts";

const test = suite("sqlite serve");

const KILLS = 5;

test("serve --data is killed and restarted, and every client goes on without a gap, a repeat or events_lost", () =>
  withFile(async (file) => {
    const load = {
      publishers: 3,
      readersEach: 1,
      browser: false,
      isOver: (kills: number) => kills === KILLS,
      mostMs: 300,
    };
    const { acknowledged, delivered } = await killServer(file, load);
    assert.ok(acknowledged > KILLS * 50 && delivered >= 4 * acknowledged);
  }));

test("serve --data refuses a file that another server has open", () =>
  withFile(async (file) => {
    const first = await start(file, 0);
    await running(first, async () => {
      const second = startCli(["serve", "--port", "0", "--data", file], permissionsFor(file));
      await running(second, async () => {
        assert.is((await second.exit()).code, 1);
        const message =
          `events-endpoint: cannot open ${file}: it is open already, in another process or another channel`;
        assert.ok(
          second.stderr.lines.some((line) => line.startsWith(message)),
          second.stderr.lines.join("\n"),
        );
      });
    });
    await running(await start(file, 0, ["--durability", "power"]), async () => {});
  }));

test("serve --catalogue --data keeps the events of types that a later catalogue has no more, and ?types= selects them", () =>
  withFile(async (file) => {
    const catalogue = `${file}.json`;
    const serving = async (
      types: object,
      signal: "SIGTERM" | "SIGKILL",
      use: (url: string) => Promise<void>,
    ) => {
      await writeFile(catalogue, JSON.stringify(types));
      await running(await start(file, 0, ["--catalogue", catalogue]), async (child) => {
        await use((await whereItListens(child)).url);
        child.signal(signal);
        assert.is((await child.exit()).code, signal === "SIGTERM" ? 0 : null);
      });
    };
    const typesIn = async (url: string, query: string) =>
      (await keptSince(url, `earliest&${query}`)).map(({ type }) => type).slice(1);
    const both = { shop_opened: null, shop_closed: null };
    await serving(both, "SIGKILL", (url) => post(url, { type: "shop_opened" }));
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      await serving({ shop_closed: null }, signal, async (url) => {
        if (signal === "SIGTERM") await post(url, { type: "shop_closed" });
        assert.equal(await typesIn(url, ""), ["shop_opened", "shop_closed"]);
        assert.equal(await typesIn(url, "types=shop_opened"), ["shop_opened"]);
        assert.equal(await typesIn(url, "types=shop_*"), ["shop_opened", "shop_closed"]);
        assert.is((await fetch(`${url}/events?types=shop_open`)).status, 400);
      });
    }
  }));

test.run();
