import stringWidth from "string-width";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { flagsIn } from "../../src/cli/command.ts";
import { COMMANDS } from "../../src/cli/commands.ts";
import { completionOf } from "../../src/cli/completion.ts";
import { manualPage } from "../../src/cli/manual.ts";
import { createChannel, defineEvents } from "../../src/mod.ts";
import { createApp } from "../../src/server/app.ts";
import { jsonSchema } from "../../src/server/json_schema.ts";
import { running, startCli, startProgram } from "../support/children.ts";
import { serving } from "../support/harness.ts";
import { suite } from "../support/suite.ts";

const test = suite("conventions");

async function outcome(args: readonly string[]) {
  return await running(startCli(args), async (child) => {
    const { code } = await child.exit();
    return [code, ...child.stdout.lines, ...child.stderr.lines];
  });
}

test("every command has a help with examples and its flags, of at most 100 columns", async () => {
  for (const { name, load } of COMMANDS) {
    const { help } = await load();
    assert.match(help, new RegExp(`^events-endpoint ${name}\\b`));
    assert.match(help, new RegExp(`^ {2}.*\\b${name} ?`, "m"), name);
    assert.is(flagsIn(help).at(-1)!.name, "help");
    for (const line of help.split("\n")) assert.ok(stringWidth(line) <= 100, line);
  }
});

test("completion completes commands and their flags", async () => {
  const words = (await completionOf("bash", COMMANDS)) + `
    complete_it() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _events_endpoint; echo "\${COMPREPLY[@]}"; }
    complete_it events-endpoint ta
    complete_it events-endpoint tail --ou
    complete_it events-endpoint serve --keep-a
    complete_it events-endpoint completion z`;
  await running(startProgram("bash", ["-c", words]), async (child) => {
    assert.is((await child.exit()).code, 0);
    assert.equal(child.stdout.lines, ["tail", "--output", "--keep-age --keep-alive", "zsh"]);
  });
  const [zsh, fish] = [await completionOf("zsh", COMMANDS), await completionOf("fish", COMMANDS)];
  assert.match(zsh, /^#compdef events-endpoint\n/);
  assert.match(zsh, /'\*--subject\[only events about this/);
  assert.match(zsh, /'--output\[append the events to this file, a dictionary a line\]:FILE:_files'/);
  assert.match(
    fish,
    /^complete -c events-endpoint -n '__fish_seen_subcommand_from tail' -l output -r -d 'append /m,
  );
});

test("manualPage() has the help of every command", async () => {
  const page = await manualPage();
  assert.match(page, /^\.TH EVENTS-ENDPOINT 1 /);
  for (const { name } of COMMANDS) assert.match(page, new RegExp(`^\\.SS ${name}$`, "m"));
  assert.match(page, /^ {2}\\-\\-keep\\-alive SECONDS/m);
  assert.not.match(page, /^'/m);
});

test("types prints the types of a server, and with --json their schemas", async () => {
  const shop = defineEvents({
    order_placed: v.object({ id: v.string(), total: v.number(), note: v.optional(v.string()) }),
    shop_closed: null,
  });
  const channel = createChannel(shop);
  const source = { channel, version: "1.0.0", startPayload: () => ({}), onConnect: () => () => {} };
  const app = createApp(source, { heartbeat: 5 });
  await serving(app, async (url) => {
    assert.equal(await outcome(["types", `${url}/events`]), [
      0,
      "order_placed  id=string  total=number  note?=string",
      "shop_closed",
    ]);
    const [code, ...lines] = await outcome(["types", `${url}/events`, "--json"]);
    const schemas = JSON.parse(lines.join("\n"));
    assert.equal([code, schemas.shop_closed, schemas.order_placed.required], [0, null, ["id", "total"]]);
  });
});

test("types --json prints a schema as serve --catalogue took it, with its references to itself", async () => {
  const node = {
    type: "object",
    properties: { price: { $ref: "#/$defs/money" }, next: { $ref: "#" } },
    $defs: { money: { type: "number", minimum: 0 } },
  };
  const channel = createChannel(defineEvents({ "a/node": jsonSchema(node) }));
  const source = { channel, version: "1.0.0", startPayload: () => ({}), onConnect: () => () => {} };
  await serving(createApp(source, { heartbeat: 5 }), async (url) => {
    assert.equal(await outcome(["types", `${url}/events`]), [0, "a/node  price?=number  next?=object"]);
    const [, ...lines] = await outcome(["types", `${url}/events`, "--json"]);
    assert.equal(JSON.parse(lines.join("\n")), { "a/node": node });
  });
});

test("an unknown command, flag or shell gets the nearest name", async () => {
  assert.equal(await outcome(["tial"]), [2, 'events-endpoint: unknown command "tial": did you mean tail?']);
  assert.equal(await outcome(["completion", "fis"]), [
    2,
    'events-endpoint: completion takes bash, zsh, fish, not "fis": did you mean fish?',
  ]);
});

test.run();
