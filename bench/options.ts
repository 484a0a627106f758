/** The command line. */
import { parseArgs } from "node:util";
import { type Load, LOADS, quick } from "./loads.ts";
import { MORE_SERVERS, SERVERS, type ServerSpec } from "./servers.ts";

export interface Options {
  loads: Load[];
  servers: ServerSpec[];
}

const USAGE = `Fan-out benchmark: events per second, CPU and latency, beside other servers on this machine.

  --only L1,L4          only these loads: ${LOADS.map(({ name }) => name).join(", ")}
  --servers plain,…     only these servers: ${SERVERS.map(({ name }) => name).join(", ")};
                        and when named: ${MORE_SERVERS.map(({ name }) => name).join(", ")}
  --quick               one measurement of half the length instead of several
  --write               writes the tables into docs/benchmarks.md too`;

function pick<Named extends { name: string }>(
  names: string | undefined,
  from: Named[],
  all: Named[],
): Named[] {
  if (names === undefined) return all;
  return names.split(",").map((name) => {
    const found = from.find((one) => one.name.toLowerCase() === name.trim().toLowerCase());
    if (!found) throw new Error(`"${name}" is none of ${from.map((one) => one.name).join(", ")}`);
    return found;
  });
}

/** What to run, or the text to print instead. Throws an Error that names what it does not know. */
export function readOptions(args: string[]): Options | string {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: "string" },
      servers: { type: "string" },
      quick: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return USAGE;
  const loads = pick(values.only, LOADS, LOADS);
  const servers = pick(values.servers, [...SERVERS, ...MORE_SERVERS], SERVERS);
  return { loads: values.quick ? loads.map(quick) : loads, servers };
}
