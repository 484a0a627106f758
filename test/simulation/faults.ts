/**
 * Faults that the simulator must find: `npm run simulate -- --faults` plants each alone, and counts the seeds until it fails.
 *
 * @module
 */
import { CLIENT, ENDPOINT } from "./faults_of_endpoint.ts";
import { CORE } from "./faults_of_core.ts";
import { FILE, NATS } from "./faults_of_storage.ts";
import type { Change } from "./load.ts";

/** A fault, and what it is. */
export interface Fault extends Change {
  readonly name: string;
}

export const FAULTS: readonly Fault[] = [...CORE, ...ENDPOINT, ...CLIENT, ...FILE, ...NATS];
