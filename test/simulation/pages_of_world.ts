/**
 * The pages of the channels of a simulation, which it counts when they are closed. `load.ts` puts it in the place of the module.
 *
 * @module
 */
import { createPages as create, type Pages, type PagesOptions } from "../../src/channel/pages.ts";

export { type Fetched, type HeldLog, type Pages, readHeld } from "../../src/channel/pages.ts";

const made: Pages[] = [];

export function createPages(options: PagesOptions): Pages {
  const pages = create(options);
  made.push(pages);
  return pages;
}

/** Returns the number of pages that are kept, and forgets about them. */
export function countPages(): number {
  return made.splice(0).reduce((sum, { size }) => sum + size, 0);
}
