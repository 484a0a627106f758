import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { within } from "../support/harness.ts";
import { keptSince, outcome, permissionsFor, post, withFolder, withServer } from "./server_process.ts";

const test = suite("serve, files that are read again");

async function statusOf(url: string, type: string): Promise<number> {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(`${url}/events`, { method: "POST", headers, body: JSON.stringify({ type }) });
  await response.text();
  return response.status;
}

test("serve --catalogue FILE reads the file again at SIGHUP, and keeps what was published", async () => {
  await withFolder(async (folder) => {
    const catalogue = join(folder, "shop.json");
    await writeFile(catalogue, '{"shop_opened": null, "shop_closed": null}');
    const args = ["--catalogue", catalogue];
    const options = { ...permissionsFor(folder), env: { EVENTS_LOG: "text" } };
    await withServer(args, async ({ url, child }) => {
      const [, pid] = await child.stdout.match(/^To reload \S+shop\.json: kill -HUP (\d+)$/);
      assert.is(Number(pid), child.pid);
      await post(url, { type: "shop_opened" });
      await writeFile(catalogue, '{"shop_closed": nil}');
      child.signal("SIGHUP");
      await child.stderr.match(
        /error .*shop\.json:1:17: expected a value: what was read before stays in force/,
      );
      await writeFile(catalogue, '{"shop_closed": null, "shop_sold": null}');
      child.signal("SIGHUP");
      await child.stderr.match(/info read again: catalogue/);
      assert.is(await statusOf(url, "shop_opened"), 400);
      await post(url, { type: "shop_sold" });
      const [start, ...events] = await keptSince(url, "earliest");
      assert.is((start!.event as { name: string }).name, "shop");
      assert.equal(events.map(({ type }) => type), ["shop_opened", "shop_sold"]);
    }, options);
  });
});

test("serve --keys FILE reads the keys again at SIGHUP, and ends the streams of those that are gone", async () => {
  await withFolder(async (folder) => {
    const keys = join(folder, "keys.json");
    const write = async (...names: string[]) => {
      const all = names.map((name) => ({
        name,
        hash: `sha256:${createHash("sha256").update(`${name}-key`).digest("hex")}`,
        rights: ["read"],
      }));
      await writeFile(keys, JSON.stringify(all));
    };
    await write("first");
    const options = { ...permissionsFor(folder), env: { EVENTS_LOG: "text" } };
    await withServer(["--keys", keys, "--heartbeat", "0.5"], async ({ url, child }) => {
      const open = (name: string) => fetch(`${url}/events?key=${name}-key`);
      const stream = await open("first");
      assert.is(stream.status, 200);
      await write("second");
      child.signal("SIGHUP");
      await child.stderr.match(/info read again: keys/);
      assert.ok((await within(stream.text(), "the end of the stream", 10_000)).endsWith("\n"));
      await child.stderr.match(/stream ended reason=unauthorized .* key=first /);
      const [gone, added] = await Promise.all([open("first"), open("second")]);
      assert.equal([gone.status, added.status], [401, 200]);
      await Promise.all([gone.body?.cancel(), added.body?.cancel()]);
    }, options);
  });
});

test("serve --catalogue FILE with a wrong file prints one line, and exits with 2", async () => {
  await withFolder(async (folder) => {
    const catalogue = join(folder, "shop.json");
    await writeFile(catalogue, '{"shop_opened": {"type": "nothing"}}');
    const { code, stderr } = await outcome(["serve", "--port", "0"], {
      ...permissionsFor(folder),
      env: { EVENTS_CATALOGUE: catalogue },
    });
    assert.is(code, 2);
    assert.is(stderr.length, 1, stderr.join("\n"));
    assert.match(stderr[0]!, /shop\.json: shop_opened\.type: does not match any of/);
  });
});

test.run();
