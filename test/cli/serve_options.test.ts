import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { flagsIn } from "../../src/cli/command.ts";
import { SERVE_HELP, unknownVariables } from "../../src/cli/serve_flags.ts";
import { readServeOptions, type ServeOptions } from "../../src/cli/serve_options.ts";
import { UsageError } from "../../src/cli/usage.ts";

const test = suite("serve options");

/** The flags whose help ends with their default, in brackets. */
function documentedDefaults(): [flag: string, value: string][] {
  return flagsIn(SERVE_HELP).flatMap(({ name, summary }) => {
    const [, value] = /\(([^()]+)\)$/.exec(summary) ?? [];
    return value === undefined ? [] : [[`--${name}`, value]];
  });
}

test("readServeOptions() returns the same when a documented default is given", () => {
  const absent = readServeOptions([], {});
  const defaults = documentedDefaults();
  assert.ok(defaults.length >= 14, `the help names ${defaults.length} defaults`);
  for (const [flag, value] of defaults) {
    if (flag === "--stream") continue; // Rejected without --nats: it names a stream there.
    assert.equal(readServeOptions([flag, value], {}), absent, flag);
    const variable = `EVENTS_${flag.slice(2).toUpperCase().replaceAll("-", "_")}`;
    assert.equal(readServeOptions([], { [variable]: value }), absent, variable);
  }
});

test("serve rejects an empty EVENTS_API_KEY, as it does an empty --api-key", () => {
  const isUsage = (by: string) => (error: unknown) =>
    error instanceof UsageError && error.message.startsWith(`${by} must be`);
  assert.throws(() => readServeOptions([], { EVENTS_API_KEY: "" }), isUsage("EVENTS_API_KEY"));
  assert.throws(() => readServeOptions(["--api-key="], { EVENTS_API_KEY: "k" }), isUsage("--api-key"));
  const { apiKey } = readServeOptions(["--api-key", "k"], { EVENTS_API_KEY: "" }) as ServeOptions;
  assert.is(apiKey, "k");
});

test("serve names the nearest flag for an unknown one, and warns of unknown variables", () => {
  const mistakes = {
    "--heart-beat=5": "--heartbeat",
    "--api-kee=k": "--api-key",
    "--max-conn=5": "--max-connections",
  };
  for (const [flag, nearest] of Object.entries(mistakes)) {
    assert.throws(
      () => readServeOptions([flag], {}),
      (error: unknown) => error instanceof UsageError && error.message.endsWith(`: did you mean ${nearest}?`),
    );
  }
  assert.equal(
    unknownVariables({ EVENTS_APIKEY: "secret", EVENTS_PORT: "1", EVENTS_ZZZZZZZZZ: "", HOME: "/" }),
    [
      "the variable EVENTS_APIKEY has no effect: did you mean EVENTS_API_KEY?",
      "the variable EVENTS_ZZZZZZZZZ has no effect: see --help",
    ],
  );
});

test("serve --keep-age takes seconds or a duration, and --keep-events and --keep-bytes numbers, or off", () => {
  const keep = (...args: string[]) => (readServeOptions(args, {}) as ServeOptions).keep;
  assert.equal(keep(), { events: null, bytes: 2 ** 30, age: null });
  assert.equal(keep("--keep-age", "7d", "--keep-events", "5", "--keep-bytes", "off"), {
    events: 5,
    bytes: null,
    age: 7 * 86400,
  });
  assert.is(keep("--keep-age", "90").age, 90);
  for (const age of ["0", "7 d", "d", "1w", ""]) {
    assert.throws(
      () => keep("--keep-age", age),
      (error: Error) => /^--keep-age takes a number/.test(error.message),
      age,
    );
  }
});

test("serve takes no variable that Kubernetes sets beside a Service called events for its own", () => {
  const env = {
    EVENTS_PORT: "tcp://10.96.0.1:80",
    EVENTS_PORT_80_TCP: "tcp://10.96.0.1:80",
    EVENTS_PORT_80_TCP_ADDR: "10.96.0.1",
    EVENTS_SERVICE_HOST: "10.96.0.1",
    EVENTS_SERVICE_PORT_HTTP: "80",
    EVENTS_FROM_API_KEY: "of forward",
  };
  assert.is((readServeOptions([], env) as ServeOptions).port, 8085);
  assert.equal(unknownVariables(env), []);
  assert.is((readServeOptions([], { EVENTS_PORT: "80" }) as ServeOptions).port, 80);
  assert.equal(unknownVariables({ EVENTS_PROT: "80" }), [
    "the variable EVENTS_PROT has no effect: did you mean EVENTS_PORT?",
  ]);
  assert.is((readServeOptions(["--keep-alive", "350"], {}) as ServeOptions).keepAlive, 350);
});

test("serve --data takes a file, and not NATS beside it", () => {
  const read = (args: string[], env = {}) => readServeOptions(args, env) as ServeOptions;
  assert.equal([read([]).data, read([]).durability], [undefined, "process"]);
  assert.is(read(["--data", "events.db"]).data, "events.db");
  const { data, durability } = read([], { EVENTS_DATA: "a.db", EVENTS_DURABILITY: "power" });
  assert.equal([data, durability], ["a.db", "power"]);
  assert.is(read([], { EVENTS_DATA: "" }).data, undefined);
  const faults = [
    [["--data", ""], "--data takes the path of a file"],
    [["--durability", "disk"], '--durability takes process or power, not "disk"'],
    [["--data", "a", "--nats", "nats://b"], "--data and --nats are two places for the events: give one"],
  ] as const;
  for (const [args, message] of faults) {
    assert.throws(() => read([...args]), (error: Error) => error.message === message);
  }
});

test.run();
