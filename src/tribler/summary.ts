/**
 * Tribler's events in one line each, for people.
 *
 * @module
 */
import type { PayloadOf } from "../events/catalogue.ts";
import { printable } from "../text/printable.ts";
import { type DisplayEvent, pairsOf } from "../text/event_text.ts";
import type { TriblerSchemas } from "./events.ts";
import type { Amount, Assets, Payment, Tick } from "./payloads.ts";

/** A summary has no more characters than this. */
const MAX_SUMMARY = 300;

type Sentences = { readonly [T in keyof TriblerSchemas]?: (event: PayloadOf<TriblerSchemas, T>) => string };

const SENTENCES: Sentences = {
  search_result_channel: ({ query, result: { name, torrents, votes } }) =>
    `${name} (${counted(torrents, "torrent")}, ${counted(votes, "vote")}), found for “${query}”`,
  search_result_torrent: ({ query, result: { name, size, num_seeders } }) =>
    `${name} (${sizeText(size)}, ${counted(num_seeders, "seeder")}), found for “${query}”`,
  upgrader_started: () => "The upgrade has begun",
  upgrader_finished: () => "The upgrade is done",
  upgrader_tick: ({ text }) => text,
  watch_folder_corrupt_torrent: ({ name }) => `${name} is no torrent`,
  new_version_available: ({ version }) => `Version ${version} is available`,
  tribler_started: () => "Tribler has started",
  channel_discovered: ({ name, description }) => description === "" ? name : `${name}: ${description}`,
  torrent_discovered: ({ infohash, name, files }) => {
    const size = files.reduce((sum, [, bytes]) => sum + bytes, 0);
    return `${name} (${counted(files.length, "file")}, ${sizeText(size)}) ${short(infohash)}`;
  },
  torrent_removed_from_channel: ({ infohash, dispersy_cid }) =>
    `${short(infohash)} was removed from channel ${short(dispersy_cid)}`,
  torrent_finished: ({ infohash, name }) => `${name} ${short(infohash)}`,
  torrent_error: ({ infohash, error }) => `${error} ${short(infohash)}`,
  tribler_exception: ({ text }) => lastLine(text),
  market_ask: offer,
  market_bid: offer,
  market_ask_timeout: (tick) => `${offer(tick)}, ${tick.traded} traded`,
  market_bid_timeout: (tick) => `${offer(tick)}, ${tick.traded} traded`,
  market_transaction_complete: ({ tx, mine }) =>
    `${tradeText(tx.transferred)}, ${mine ? "a trade of ours" : "a trade of others"}, ${tx.status}`,
  market_payment_received: (payment) => `${paymentText(payment)} from ${short(payment.address_from)}`,
  market_payment_sent: (payment) => `${paymentText(payment)} to ${short(payment.address_to)}`,
  market_iom_input_required: ({ required_input: { name, required_fields, error_text } }) => {
    const fields = required_fields.map(({ text }) => text).join(", ");
    return `${name} asks for ${fields || "nothing"}${error_text ? `: ${error_text}` : ""}`;
  },
  signal_low_space: ({ free, total, percent }) =>
    `${sizeText(free)} free of ${sizeText(total)} (${percent} % used)`,
  credit_mining_error: ({ message }) => message,
  shutdown: (state) => state,
};

/**
 * What an event says, in one line: for the types of Tribler in words, for others `key=value` for each key of the
 * payload. Names come first, sizes are in binary units, hashes are shortened.
 */
export function summaryOf({ type, event }: DisplayEvent): string {
  const text = sentence(type, event) ??
    pairsOf(event).map(([key, value]) => key === undefined ? value : `${key}=${value}`).join(" ");
  const line = printable(text.slice(0, 2 * MAX_SUMMARY));
  return line.length > MAX_SUMMARY ? `${line.slice(0, MAX_SUMMARY - 1)}…` : line;
}

/** Whether Tribler has events of this type. */
export function isTriblerType(type: string): boolean {
  return Object.hasOwn(SENTENCES, type);
}

/** Says in words what an event of Tribler is about; `undefined` for one that is none of Tribler's. */
export function sentence(type: string, payload: unknown): string | undefined {
  if (!isTriblerType(type)) return undefined;
  const write = SENTENCES[type as keyof Sentences] as (payload: unknown) => string;
  try {
    return write(payload);
  } catch {
    return undefined; // Of a release whose events look different.
  }
}

function offer({ assets, order_number, trader_id }: Tick): string {
  return `${tradeText(assets)}, order ${order_number} of ${short(trader_id)}`;
}

/** 10 BTC for 10 MB. */
function tradeText({ first, second }: Assets): string {
  return `${amountText(first)} for ${amountText(second)}`;
}

function amountText({ amount, type }: Amount): string {
  return `${amount} ${type}`;
}

function paymentText({ transferred, success }: Payment): string {
  return `${amountText(transferred)}${success ? "" : ", failed,"}`;
}

/** The last line of a traceback says what went wrong. */
function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1)!.trim();
}

/** Shortens a hash to its beginning, which is enough to distinguish it. */
function short(hash: string): string {
  return hash.length > 12 ? `${hash.slice(0, 8)}…` : hash;
}

function counted(count: number, noun: string): string {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/** A number of bytes in binary units, with three digits: `291 MiB`, `4.50 GiB`. */
export function sizeText(bytes: number): string {
  let size = bytes;
  let unit = 0;
  for (; Math.abs(size) >= 1023.5 && unit < UNITS.length - 1; unit++) size /= 1024;
  const digits = unit === 0 || Math.abs(size) >= 99.95 ? 0 : Math.abs(size) >= 9.995 ? 1 : 2;
  return `${size.toFixed(digits)} ${UNITS[unit]}`;
}
