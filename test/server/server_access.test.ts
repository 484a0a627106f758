import * as assert from "uvu/assert";
import { openLines, openWire, until, within } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { exceptions, exitsCleanly, nextEvent, outcome, post, withServer } from "./server_process.ts";

const test = suite("server access");

test("serve --api-key requires the key, and shows it in no answer, error or log", async () => {
  const KEY = "open-sesame";
  for (const [args, env] of [[["--api-key", KEY], {}], [[], { EVENTS_API_KEY: KEY }]] as const) {
    await withServer(args, async ({ url, child }) => {
      for (const query of ["", "?key=wrong", "?since=nonsense"]) {
        const refused = await within(fetch(`${url}/events${query}`), "a refusal");
        assert.is(refused.status, 401);
        assert.is(refused.headers.get("www-authenticate"), "Bearer");
        assert.not((await refused.text()).includes(KEY));
      }
      for (const query of [`nothing?key=${KEY}`, `events?key=${KEY}&since=x`, `events?key=${KEY}&types=x`]) {
        assert.not((await (await fetch(`${url}/${query}`)).text()).includes(KEY), query);
      }
      assert.is((await fetch(`${url}/healthz`)).status, 200);
      const lines = await openLines(`${url}/events?key=${KEY}`);
      await nextEvent(lines, "events_start");
      await post(url, exceptions(1), { "X-Api-Key": KEY });
      await post(url, exceptions(1), { Authorization: `Bearer ${KEY}` });
      await nextEvent(lines, "tribler_exception");
      await lines.close();
      child.signal("SIGTERM");
      await exitsCleanly(child);
      assert.not(child.stdout.lines.join().includes(KEY));
    }, { env });
  }
  const wrong = await Promise.all([
    outcome(["serve", "--api-key", `${KEY} and more`]),
    outcome(["serve", `--apikey=${KEY}`]),
    outcome(["serve"], { env: { EVENTS_API_KEY: `${KEY} and more` } }),
    outcome(["serve", "--api-key", KEY, "--port", "x"]),
    outcome(["serve", "--api-key", KEY, "--host", "203.0.113.1", "--port", "0"]),
    outcome(["serve", "--help"], { env: { EVENTS_API_KEY: KEY } }),
  ]);
  for (const { stdout, stderr } of wrong) assert.not([...stdout, ...stderr].join("\n").includes(KEY));
});

test("serve --host 0.0.0.0 warns when it has no key, and rejects other names than its own", async () => {
  await withServer(["--host", "0.0.0.0"], async ({ port, child }) => {
    await child.stderr.match(/other machines can reach this server/);
    for (const [host, status] of [["evil.example", 403], ["192.0.2.1", 200], ["localhost", 200]] as const) {
      const wire = await openWire(port);
      wire.write(`HEAD /events HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`);
      await until(() => wire.received().includes("\r\n\r\n"), host);
      assert.match(wire.received(), new RegExp(`^HTTP/1\\.1 ${status} `), host);
      wire.socket.destroy();
    }
  });
  await withServer(["--host", "0.0.0.0", "--api-key", "k"], async ({ url, child }) => {
    assert.is((await fetch(`${url}/healthz`)).status, 200);
    child.signal("SIGTERM");
    await exitsCleanly(child);
  });
});

test.run();
