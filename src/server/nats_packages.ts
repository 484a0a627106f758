/**
 * The packages of NATS, which are installed for `--nats` alone.
 *
 * In the bundled command its modules take them from here (`src/cli/build.ts`). With imports of their own, no bundler could make one
 * file of the command where the packages are not installed, or such a file would not start.
 *
 * @module
 */
import { isPackageMissing } from "../nats/packages.ts";

/** What was loaded, by the name of the package. */
export const natsPackages: Record<string, unknown> = {};

/**
 * Loads the packages.
 *
 * @throws {Error} if they are not installed: what to install
 */
export async function loadNatsPackages(): Promise<void> {
  // Within `try`, as bundlers look for it: there an `import()` of what is not installed is no error to them.
  try {
    natsPackages["@nats-io/jetstream"] = await import("@nats-io/jetstream");
    natsPackages["@nats-io/nats-core"] = await import("@nats-io/nats-core");
    natsPackages["@nats-io/transport-node"] = await import("@nats-io/transport-node");
  } catch (error) {
    if (!isPackageMissing(error)) throw error;
    const packages = "@nats-io/jetstream @nats-io/nats-core @nats-io/transport-node";
    throw new Error(`--nats needs packages that are not installed here: npm install ${packages}`);
  }
}
