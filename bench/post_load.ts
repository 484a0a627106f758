/** The load client of publishing by `POST`: connections that are kept open, each with one request at a time. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Child } from "./child.ts";

const CONNECTIONS = 32;

/** An event of some 200 bytes, as it is sent. */
export const EVENT: {
  readonly type: "tick";
  readonly event: {
    readonly n: number;
    readonly infohash: string;
    readonly name: string;
    readonly trackers: string[];
  };
} = {
  type: "tick",
  event: {
    n: 100_000,
    infohash: "08ada5a7a6183aae1e09d831df6748d566095a10",
    name: "Sintel, the durian open movie project, in 1080p and more",
    trackers: ["udp://tracker.opentrackr.org:1337/announce"],
  },
};
export const LINE: string = JSON.stringify(EVENT);

/** What is sent in each request, and what every response contains. */
export interface Body {
  readonly title: string;
  readonly contentType: string;
  readonly text: string;
  readonly events: number;
}

/** The client, which is compiled, and the folder for it and its requests. */
export class PostLoad {
  readonly #folder = mkdtempSync(join(tmpdir(), "bench-publish-"));
  readonly #binary = join(this.#folder, "posts");

  constructor() {
    const source = fileURLToPath(new URL("client/posts.c", import.meta.url));
    const { status, stderr } = spawnSync("cc", ["-O2", "-o", this.#binary, source], { encoding: "utf8" });
    if (status !== 0) throw new Error(`the load client is in C, and there is no C compiler: ${stderr}`);
  }

  /**
   * Sends requests for some time.
   *
   * @param isCounted whether every response says how many events it accepted
   */
  async post(
    port: number,
    body: Body,
    ms: number,
    isCounted: boolean,
  ): Promise<{ readonly events: number; readonly seconds: number }> {
    const head = `POST /events HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: ${body.contentType}\r\n` +
      `Content-Length: ${Buffer.byteLength(body.text)}\r\n\r\n`;
    const file = join(this.#folder, "request");
    writeFileSync(file, head + body.text);
    const expected = isCounted ? `"accepted":${body.events}` : "";
    const command = [this.#binary, `${port}`, `${CONNECTIONS}`, `${ms}`, file, expected];
    const client = new Child("load client", command, "client");
    try {
      const { requests, seconds } = await client.next<{ requests: number; seconds: number }>(60);
      return { events: requests * body.events, seconds };
    } finally {
      await client.end();
    }
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }
}
