/**
 * The live page in Chromium, and its server.
 *
 * @module
 */
import type { Locator, Page } from "playwright-core";
import { readServed } from "../../src/cli/served.ts";
import { createChannel } from "../../src/mod.ts";
import { createApp } from "../../src/server/app.ts";
import { type Fetch, listen } from "../../src/server/listen.ts";
import { createSession, type Session } from "../../src/tribler/mod.ts";
import { type Look, visiting } from "../support/chromium.ts";
import { findFreePort, until } from "../support/harness.ts";

export const HASH = "08ada5a7a6183aae1e09d831df6748d566095a10";
export const KEY = "open-sesame+/=~";
/** The sizes of windows: a phone upright and on its side, a tablet, a laptop as it is and at 200 %, a large screen. */
export const SIZES = [[360, 760], [740, 360], [768, 1024], [1440, 900], [720, 450], [2560, 1300]] as const;

/** A page, and its server. */
export interface Stage {
  readonly page: Page;
  readonly session: Session;
  readonly url: string;
  /** Stops the server and starts another one in its place, after a while. */
  restart(session: Session, meanwhile: () => Promise<void>): Promise<void>;
}

export interface StageOptions extends Omit<Look, "url"> {
  readonly apiKey?: string;
  readonly session?: Session;
}

/** Opens the page of a server. */
export async function onStage(options: StageOptions, use: (stage: Stage) => Promise<void>): Promise<void> {
  const { apiKey, session = createSession({ version: "7.1.5" }), ...look } = options;
  const start = (session: Session, port: number) => {
    const { fetch } = createApp(session, { heartbeat: 5, apiKey });
    return listen(fetch as Fetch, { host: "127.0.0.1", port });
  };
  const port = await findFreePort();
  let server: Awaited<ReturnType<typeof start>> | undefined = await start(session, port);
  const url = `http://127.0.0.1:${port}/`;
  try {
    await visiting({ ...look, url }, (page) =>
      use({
        page,
        session,
        url,
        restart: async (session, meanwhile) => {
          await server?.stop(0);
          server = undefined;
          await meanwhile();
          server = await start(session, port);
        },
      }));
  } finally {
    await server?.stop(0);
  }
}

/** What `serve --catalogue` streams. */
export async function hubOf(catalogue: string): Promise<Session> {
  const mounts = [{ dialect: "7.1", path: "/events" }] as const;
  const served = await readServed({ catalogue, mounts, watchFolder: undefined });
  return served.open(createChannel(served.catalogue)) as unknown as Session;
}

/** The element that shows whether the page is connected. */
export const connection = (page: Page): Locator => page.locator("#connection-words");
/** The rows of the list, the newest first. */
export const rows = (page: Page): Locator => page.getByRole("grid").getByRole("row");

/** Waits until an element has this text. */
export async function reads(locator: Locator, text: string | RegExp): Promise<void> {
  const says = async () => (await locator.textContent({ timeout: 1000 }).catch(() => null)) ?? "";
  let last = "";
  await until(
    async () => typeof text === "string" ? (last = await says()) === text : text.test(last = await says()),
    `it reads ${text}`,
    60_000, // 100 000 events, on a machine that does other things beside.
  ).catch((error) => {
    throw new Error(`${error.message}, not ${JSON.stringify(last)}`);
  });
}

/** Waits until the page is connected. */
export async function isLive(page: Page): Promise<void> {
  await reads(connection(page), /^Live/);
}

/** Publishes an event with this text. */
export function tick(session: Session, text: string): void {
  session.emit("upgrader_tick", { text });
}
