import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { sizeText, summaryOf } from "../../src/tribler/summary.ts";
import { triblerPayloads } from "../support/tribler_payloads.ts";

const test = suite("summary");

const SUMMARIES: { [T in keyof typeof triblerPayloads]: string } = {
  events_start: "tribler_started=true version=7.1.5",
  search_result_channel: "Linux – ISOs und mehr (318 torrents, 42 votes), found for “linux isos”",
  search_result_torrent: "debian-9.5.0-amd64-netinst.iso (291 MiB, 1,203 seeders), found for “linux isos”",
  upgrader_started: "The upgrade has begun",
  upgrader_finished: "The upgrade is done",
  upgrader_tick: "Converting torrent 12 of 340…",
  watch_folder_corrupt_torrent: 'half "finished" \\ download.torrent is no torrent',
  new_version_available: "Version 7.2.0 is available",
  tribler_started: "Tribler has started",
  channel_discovered: "Public domain films",
  torrent_discovered: "Night of the Living Dead (1968) (2 files, 4.50 GiB) 9f9165d9…",
  torrent_removed_from_channel: "9f9165d9… was removed from channel a7ecc17c…",
  torrent_finished: "debian-9.5.0-amd64-netinst.iso 59066769…",
  torrent_error: "No space left on device 59066769…",
  tribler_exception: "ValueError: no such thing",
  market_ask: "10.5 BTC for 2048 MB, order 4 of c0fe1d2c…",
  market_bid: "10.5 BTC for 2048 MB, order 5 of c0fe1d2c…",
  market_ask_timeout: "10.5 BTC for 2048 MB, order 4 of c0fe1d2c…, 0 traded",
  market_bid_timeout: "10.5 BTC for 2048 MB, order 4 of c0fe1d2c…, 0.25 traded",
  market_transaction_complete: "10.5 BTC for 2048 MB, a trade of ours, completed",
  market_payment_received: "0.0001 BTC from 1A1zP1eP…",
  market_payment_sent: "512 MB, failed, to mb-to",
  market_iom_input_required: "Bank login asks for User name, TAN: The last TAN was wrong.",
  signal_low_space: "57.7 MiB free of 238 GiB (99.9 % used)",
  credit_mining_error: "Could not join the swarm",
  shutdown: "Shutting down the download manager…",
};

test("summaryOf() writes each of Tribler's events as one readable line", () => {
  for (const [type, event] of Object.entries(triblerPayloads)) {
    assert.is(summaryOf({ type, event }), SUMMARIES[type as keyof typeof SUMMARIES], type);
  }
});

test("summaryOf() writes an unexpected payload key by key", () => {
  assert.is(
    summaryOf({ type: "order_placed", event: { id: "o-1", note: "two words" } }),
    'id=o-1 note="two words"',
  );
  assert.is(summaryOf({ type: "market_ask", event: { price: 10 } }), "price=10");
  assert.is(summaryOf({ type: "toString", event: 7 }), "7");
  assert.is(summaryOf({ type: "shop_closed" }), "");
});

test("summaryOf() keeps within one line of 300 characters", () => {
  const line = summaryOf({ type: "credit_mining_error", event: { message: "a\u202eb\nc\u0007d" } });
  assert.is(line, "a\\u202eb c\\u0007d");
  const long = summaryOf({ type: "upgrader_tick", event: { text: "x".repeat(1_000_000) } });
  assert.is(long, `${"x".repeat(299)}…`);
});

test("sizeText() writes three digits in binary units", () => {
  const sizes: [bytes: number, text: string][] = [
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.00 KiB"],
    [10_240, "10.0 KiB"],
    [1024 * 1023.4, "1023 KiB"],
    [1024 * 1023.9, "1.00 MiB"],
    [305_135_616, "291 MiB"],
    [2 ** 60, "1.00 EiB"],
    [2 ** 80, "1048576 EiB"],
  ];
  for (const [bytes, text] of sizes) assert.is(sizeText(bytes), text);
});

test.run();
