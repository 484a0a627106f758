/**
 * The script of a page: runs the consumers that its address names, and reports their diaries.
 *
 * @module
 */
import { consume } from "./consumer.ts";

const { location } = globalThis as unknown as { location: { search: string } };
const query = new URLSearchParams(location.search);
const pace = JSON.parse(query.get("pace")!);
const diaries = query.get("indexes")!.split(",").map((index) =>
  consume(query.get("url")!, Number(index), Math.random, pace, new AbortController().signal)
);
const report = await Promise.all(diaries).catch((error) => ({ error: String(error) }));
await fetch("/report", { method: "POST", body: JSON.stringify(report) });
