import { readdir, readFile } from "node:fs/promises";
import * as assert from "uvu/assert";
import { flagsIn } from "../../src/cli/command.ts";
import { SERVE_HELP } from "../../src/cli/serve_flags.ts";
import { STATUS } from "../../src/http/refusal.ts";
import { createChannel, defineEvents, eventsEndpoint } from "../../src/mod.ts";
import { renderMetrics } from "../../src/server/metrics.ts";
import { createStats } from "../../src/stream/stats.ts";
import { running, startProgram, whereItListens } from "../support/children.ts";
import { ROOMS } from "../support/rooms.ts";
import { suite } from "../support/suite.ts";
import { ROOT } from "./blocks.ts";

const test = suite("facts on the pages");

const read = (page: string): Promise<string> => readFile(ROOT + page, "utf8");

/** The rows of the tables below a heading, as lists of cells. */
async function rowsOf(page: string, heading: string): Promise<string[][]> {
  const section = (await read(page)).split(/^##+ /m).find((part) => part.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`${page} has no heading ${heading}`);
  return [...section.matchAll(/^\|(.*)\|$/gm)].map(([, row = ""]) =>
    row.split("|").map((cell) => cell.trim())
  );
}

/** What stands in backticks. */
function namesIn(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
}

test("the protocol lists every error of a response with its status", async () => {
  const rows = await rowsOf("docs/protocol.md", "Errors");
  const listed = rows.filter(([status]) => /^\d+$/.test(status!)).map(([status, code]) =>
    `${namesIn(code!)} ${status}`
  );
  const known = Object.entries({ ...STATUS, NotFound: 404, InternalError: 500 });
  assert.equal(listed.sort(), known.map(([code, status]) => `${code} ${status}`).sort());
});

test("the command line lists every flag of serve, and no others", async () => {
  const flags = flagsIn(SERVE_HELP).map(({ name }) => `--${name}`).filter((flag) => flag !== "--help");
  const rows = await rowsOf("docs/command-line.md", "`serve`");
  const listed = rows.flatMap(([cell]) => namesIn(cell!)).filter((name) => name.startsWith("--"));
  assert.equal(listed.sort(), flags.sort());
});

test("the table of limits has the defaults of serve", async () => {
  const rows = (await rowsOf("docs/access-and-limits.md", "Limits")).map(([, , flag, value]) =>
    [namesIn(flag!), value!] as const
  );
  let count = 0;
  for (const [flags, value] of rows) {
    const values = value.replaceAll(/(\d) (?=\d{3})/g, "$1").split(",").map((each) => {
      const [, number, unit] = /^\s*(\d+)(?: (MiB))?/.exec(each) ?? [];
      return Number(number) * (unit === "MiB" ? 2 ** 20 : 1);
    });
    for (const [index, flag] of flags.filter((name) => name.startsWith("--")).entries()) {
      const { summary } = flagsIn(SERVE_HELP).find(({ name }) => flag === `--${name}`)!;
      assert.match(summary, new RegExp(`\\(${values[index]}[),]`), `${flag}: ${values[index]}`);
      count++;
    }
  }
  assert.ok(count >= 10);
});

test("the table of metrics has every metric by its whole name", async () => {
  const channel = createChannel(defineEvents({ tick: null }));
  const text = renderMetrics("0.1.0", channel, eventsEndpoint(channel).stats());
  channel.close();
  const metrics = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name!);
  const listed = (await rowsOf("docs/production.md", "Metrics")).flatMap(([cell]) => namesIn(cell!));
  assert.equal(listed.map((name) => name.replace(/\{.*/, "")).sort(), metrics.sort());
});

test("the table of the log has every reason for the end of a stream", async () => {
  const listed = (await rowsOf("docs/production.md", "Logs")).flatMap(([cell]) => namesIn(cell!));
  assert.equal(listed.sort(), ["reason", "rejected", ...Object.keys(createStats().ended)].sort());
});

test("the tables of options have every option of eventsEndpoint and connect", async () => {
  const files = (await readdir(`${ROOT}src`, { recursive: true })).filter((file) => file.endsWith(".ts"));
  const source = (await Promise.all(files.map((file) => read(`src/${file}`)))).join("\n");
  const tables = [
    ["docs/guide.md", "Options of the endpoint", "EndpointOptions"],
    ["docs/client.md", "Options", "ConnectOptions"],
  ] as const;
  for (const [page, heading, name] of tables) {
    const [, body = ""] = new RegExp(`^export interface ${name}<[^{]*\\{\n([^]*?)^\\}`, "m").exec(source) ??
      [];
    const options = [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, option]) => option!);
    assert.ok(options.length > 5, name);
    const listed = (await rowsOf(page, heading)).slice(2).flatMap(([cell]) => namesIn(cell!));
    assert.equal(listed.sort(), options.sort());
  }
});

test("npm start passes SIGTERM on to the server, and ends with it", async () => {
  const child = startProgram("npm", ["start", "--", "--port", "0", "--catalogue", "examples/shop.json"]);
  await running(child, async () => {
    const { url } = await whereItListens(child);
    await child.stdout.match(/^To reload examples\/shop\.json: kill -HUP \d+$/);
    child.signal("SIGTERM");
    await child.exit();
    await fetch(url).then(() => assert.unreachable("the server is gone"), () => {});
  });
});

test("ARCHITECTURE.md has the table of rooms that the checks enforce", async () => {
  const rows = (await rowsOf("ARCHITECTURE.md", "Rooms")).slice(2).map((
    [room, , rooms],
  ) => [namesIn(room!)[0], namesIn(rooms!)]);
  const enforced = Object.entries(ROOMS).map((
    [name, { rooms }],
  ) => [name, rooms.filter((room) => !room.endsWith(".ts"))]);
  assert.equal(rows, enforced);
});

test("ARCHITECTURE.md says why there is each dependency, and names no others", async () => {
  const { dependencies = {}, peerDependencies } = JSON.parse(await read("package.json"));
  const { imports } = JSON.parse(await read("deno.json"));
  const sources = Object.keys(imports).filter((name) => !name.startsWith("events-endpoint"));
  assert.equal(dependencies, {}, "what is no peer is bundled");
  const listed = (await rowsOf("ARCHITECTURE.md", "Dependencies")).slice(2).flatMap(([cell]) =>
    namesIn(cell!)
  );
  assert.equal(listed.sort(), sources.sort());
  for (const name of Object.keys(peerDependencies)) assert.ok(sources.includes(name), name);
});

test.run();
