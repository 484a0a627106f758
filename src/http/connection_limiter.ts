/**
 * Places: how many streams may be open at a time, in all and to one client.
 *
 * @module
 */
import { EventsError } from "../events/errors.ts";

/** The places for streams, as they are taken and given back. */
export interface ConnectionLimiter {
  /** How many clients have any. */
  readonly clients: number;
  /**
   * Looks whether there is a place.
   *
   * @param address the client's IP address; `undefined` where nobody knows it
   * @throws {EventsError} `TooManyConnections`
   */
  check(address: string | undefined): void;
  /**
   * Takes a place, whether there is one or not: a look comes before it.
   *
   * @returns gives it back; to be called once
   */
  acquire(address: string | undefined): () => void;
}

/** How many places there are. */
export interface ConnectionLimits {
  /** In all; `null` for any number. */
  readonly maxConnections: number | null;
  /** For each client address; `null` for any number. */
  readonly maxConnectionsPerAddress: number | null;
  /** Whether clients on this machine have as many as there are. */
  readonly exemptLoopback: boolean;
}

/** Makes the places, all free. Who comes when all are taken is refused, and nobody is sent away for them. */
export function createConnectionLimiter(
  { maxConnections, maxConnectionsPerAddress, exemptLoopback }: ConnectionLimits,
): ConnectionLimiter {
  const taken = new Map<string, number>();
  let total = 0;
  /** Gives the place of one who is not counted back: the same for all, as there is one for each open stream. */
  const giveBack = () => void total--;

  /** What counts as one client; none: nobody counts. */
  function clientOf(address: string | undefined): string | undefined {
    if (address === undefined || maxConnectionsPerAddress === null) return undefined;
    if (exemptLoopback && LOOPBACK.test(address)) return undefined;
    return networkOf(address);
  }

  return {
    get clients() {
      return taken.size;
    },
    check: (address) => {
      if (maxConnections !== null && total >= maxConnections) {
        throw new EventsError(
          "TooManyConnections",
          `${maxConnections} streams are open, which is all there may be: come back later`,
        );
      }
      const client = clientOf(address);
      if (client === undefined || (taken.get(client) ?? 0) < maxConnectionsPerAddress!) return;
      throw new EventsError(
        "TooManyConnections",
        `${maxConnectionsPerAddress} streams to ${client} are open, which is all that one address may have: end one of them`,
      );
    },
    acquire: (address) => {
      const client = clientOf(address);
      total++;
      if (client === undefined) return giveBack;
      taken.set(client, (taken.get(client) ?? 0) + 1);
      return () => {
        total--;
        const rest = taken.get(client)! - 1;
        if (rest === 0) taken.delete(client);
        else taken.set(client, rest);
      };
    },
  };
}

const LOOPBACK = /^(?:::1|(?:::ffff:)?127(?:\.\d{1,3}){3})$/i;

/**
 * What one client can have for an address: an IPv4 address, or the first 64 bits of an IPv6 address, because whoever
 * has one of those has the rest of its network too (RFC 6177).
 */
export function networkOf(address: string): string {
  const [text = ""] = address.split("%"); // A zone says by which interface (RFC 4007, section 11).
  if (!text.includes(":")) return text;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(text); // IPv4 on a socket for both (RFC 4291, 2.5.5.2).
  if (mapped !== null) return mapped[1]!;
  const [head = "", tail] = text.toLowerCase().split("::");
  const groups = head === "" ? [] : head.split(":");
  // "::" stands for as many zeros as are missing.
  if (tail !== undefined) {
    const last = tail === "" ? [] : tail.split(":");
    while (groups.length + last.length < 8) groups.push("0");
    groups.push(...last);
  }
  return `${groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16)).join(":")}::/64`;
}
