/**
 * The connection limiter: how many streams may be open at a time, in all and to one client.
 *
 * @module
 */
import { EventsError } from "../events/errors.ts";

/** Counts open streams. */
export interface ConnectionLimiter {
  /** Number of clients that have a stream open and are limited. */
  readonly clients: number;
  /**
   * Checks whether one more stream may open.
   *
   * @param address the client's IP address; `undefined` if it is not known
   * @throws {EventsError} `TooManyConnections`
   */
  check(address: string | undefined): void;
  /**
   * Counts a stream that opens, regardless of the limits: {@linkcode check} comes before it.
   *
   * @returns a function that releases it, to be called once
   */
  acquire(address: string | undefined): () => void;
}

/** The limits. */
export interface ConnectionLimits {
  /** Maximum number of open streams; `null` for no limit. */
  readonly maxConnections: number | null;
  /** Maximum number of open streams to one client address; `null` for no limit. Loopback addresses are exempt. */
  readonly maxConnectionsPerAddress: number | null;
}

/** Makes a limiter. When a limit is reached, new streams get 503; open streams are unaffected. */
export function createConnectionLimiter(
  { maxConnections, maxConnectionsPerAddress }: ConnectionLimits,
): ConnectionLimiter {
  const counts = new Map<string, number>();
  let total = 0;
  /** Releases a stream of a client without a limit: one function for all of them, which saves each stream a closure. */
  const release = () => void total--;

  /** Returns what counts as one client; `undefined` if it is not limited. */
  function clientOf(address: string | undefined): string | undefined {
    if (address === undefined || maxConnectionsPerAddress === null || LOOPBACK.test(address)) {
      return undefined;
    }
    return networkOf(address);
  }

  return {
    get clients() {
      return counts.size;
    },
    check: (address) => {
      if (maxConnections !== null && total >= maxConnections) {
        throw new EventsError(
          "TooManyConnections",
          `the limit of ${maxConnections} open streams is reached: try again later`,
        );
      }
      const client = clientOf(address);
      if (client === undefined || (counts.get(client) ?? 0) < maxConnectionsPerAddress!) return;
      throw new EventsError(
        "TooManyConnections",
        `the limit of ${maxConnectionsPerAddress} open streams to ${client} is reached: close one of them`,
      );
    },
    acquire: (address) => {
      const client = clientOf(address);
      total++;
      if (client === undefined) return release;
      counts.set(client, (counts.get(client) ?? 0) + 1);
      return () => {
        total--;
        const rest = counts.get(client)! - 1;
        if (rest === 0) counts.delete(client);
        else counts.set(client, rest);
      };
    },
  };
}

const LOOPBACK = /^(?:::1|(?:::ffff:)?127(?:\.\d{1,3}){3})$/i;

/**
 * Returns the network of one client: an IPv4 address, or the first 64 bits of an IPv6 address, because a client that has
 * one address of an IPv6 network has all of it (RFC 6177).
 */
export function networkOf(address: string): string {
  const [text = ""] = address.split("%"); // A zone names the interface (RFC 4007, section 11).
  if (!text.includes(":")) return text;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(text); // IPv4 on a socket for both (RFC 4291, 2.5.5.2).
  if (mapped !== null) return mapped[1]!;
  const [head = "", tail] = text.toLowerCase().split("::");
  const groups = head === "" ? [] : head.split(":");
  // "::" stands for all missing zeros.
  if (tail !== undefined) {
    const last = tail === "" ? [] : tail.split(":");
    while (groups.length + last.length < 8) groups.push("0");
    groups.push(...last);
  }
  return `${groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16)).join(":")}::/64`;
}
