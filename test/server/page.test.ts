/**
 * The live page as it is served.
 *
 * @module
 */
import * as assert from "uvu/assert";
import { createApp } from "../../src/server/app.ts";
import { PAGE_ASSETS } from "../../src/server/page_assets.ts";
import { createSession } from "../../src/tribler/mod.ts";
import { openWire, serving, within } from "../support/harness.ts";
import { suite } from "../support/suite.ts";

const test = suite("page as served");

const KEY = "open-sesame+/=~";

test("serve answers with the files of the page, a strict policy, and gzip or 304 when that is accepted", async () => {
  const app = createApp(createSession({ version: "7.1.5" }), { heartbeat: 5 });
  for (const { path, type, text } of PAGE_ASSETS) {
    const response = await app.request(path);
    assert.is(response.status, 200, path);
    assert.is(response.headers.get("content-type"), type);
    assert.is(await response.text(), text);
    const policy = response.headers.get("content-security-policy")!.split("; ");
    for (
      const line of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"]
    ) {
      assert.ok(policy.includes(line), line);
    }
    for (const name of ["base-uri", "form-action", "frame-ancestors"]) {
      assert.ok(policy.includes(`${name} 'none'`));
    }
    assert.not.match(policy.join(), /unsafe|https?:|\*|data:/);
    const headers = ["cache-control", "x-content-type-options", "referrer-policy", "vary"];
    assert.equal(
      headers.map((name) => response.headers.get(name)),
      ["no-cache", "nosniff", "no-referrer", "Accept-Encoding"],
    );

    for (
      const [accept, isPacked] of [
        ["gzip", true],
        ["br, GZIP;q=0.5", true],
        ["x-gzip", true],
        ["gzip;q=0", false],
        ["gzip;q=0.000, br", false],
        ["identity", false],
        ["notgzip", false],
      ] as const
    ) {
      const packed = await app.request(path, { headers: { "Accept-Encoding": accept } });
      assert.is(packed.headers.get("content-encoding"), isPacked ? "gzip" : null, accept);
      const bytes = new Uint8Array(await packed.arrayBuffer());
      assert.equal([bytes[0] === 0x1f, bytes.length < text.length || path === "/page.svg"], [
        isPacked,
        isPacked || path === "/page.svg",
      ]);
    }

    const tag = response.headers.get("etag")!;
    const again = await app.request(path, { headers: { "If-None-Match": `"other", ${tag}` } });
    assert.equal([again.status, again.headers.get("etag"), await again.text()], [304, tag, ""]);
    assert.is((await app.request(path, { headers: { "If-None-Match": '"other"' } })).status, 200);
    const head = await app.request(path, { method: "HEAD" });
    assert.equal([head.status, head.headers.get("etag"), await head.text()], [200, tag, ""]);
  }
  const [html] = PAGE_ASSETS;
  assert.not.match(html!.text, /<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|https?:\/\/|\/\/\w/);
});

test("serve requires no key for the page, and the same names as for everything else", async () => {
  const open = createApp(createSession({ version: "7.1.5" }), { heartbeat: 5 });
  const locked = createApp(createSession({ version: "7.1.5" }), { heartbeat: 5, apiKey: KEY });
  for (const { path } of PAGE_ASSETS) {
    const foreign = { headers: { Host: "evil.example" } };
    assert.equal(
      [(await open.request(path)).status, (await open.request(path, foreign)).status],
      [200, 403],
      path,
    );
    assert.equal([(await locked.request(path)).status, (await locked.request(path, foreign)).status], [
      200,
      200,
    ]);
    assert.is((await locked.request(path, { method: "POST" })).status, 401);
  }
  const closing = createSession({ version: "7.1.5" });
  closing.channel.close();
  assert.is((await createApp(closing, { heartbeat: 5 }).request("/")).status, 503);
});

test("serve sends the whole page over a socket", async () => {
  const app = createApp(createSession({ version: "7.1.5" }), { heartbeat: 5 });
  await serving(app, async (url, port) => {
    for (const { path, text } of PAGE_ASSETS) {
      assert.is(await (await within(fetch(url + path), path)).text(), text);
    }
    const wire = await openWire(port);
    wire.write("GET / HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n");
    await within(wire.closed, "the answer");
    assert.match(wire.received(), /^HTTP\/1.1 200 OK\r\n/);
    assert.match(wire.received(), /^content-encoding: gzip\r$/im);
  });
});

test.run();
