/**
 * Setting a corrupt file aside, and putting it back.
 *
 * @module
 */
import { open, rename, stat, unlink } from "node:fs/promises";
import { codeOf, stampOf } from "./folder_scan.ts";

/** Whether a file still has this stamp. */
export async function isUnchanged(path: string, stamp: string): Promise<boolean> {
  return stampOf(await stat(path, { bigint: true })) === stamp;
}

/**
 * Renames a corrupt file to the first name that is free: `NAME.corrupt`, `NAME.corrupt.1` and so on.
 *
 * @returns that name; `undefined` if the file changed meanwhile
 */
export async function setAside(path: string, stamp: string): Promise<string | undefined> {
  for (let number = 0;; number++) {
    const target = number === 0 ? `${path}.corrupt` : `${path}.corrupt.${number}`;
    if (!await reserve(target)) continue;
    return await replace(path, target, () => isUnchanged(path, stamp)) ? target : undefined;
  }
}

/**
 * Gives a file that was set aside its name again.
 *
 * @returns that name; `undefined` if another file has it
 */
export async function putBack(path: string): Promise<string | undefined> {
  const target = path.replace(/\.corrupt(?:\.\d+)?$/i, "");
  return await reserve(target) && await replace(path, target, () => Promise.resolve(true))
    ? target
    : undefined;
}

/** Reserves a name with an empty file: a rename overwrites, and a free name may not stay free. */
async function reserve(name: string): Promise<boolean> {
  try {
    await (await open(name, "wx")).close();
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  }
}

/** Renames a file to a name that was reserved, if it may still be. Otherwise the name is free again. */
async function replace(path: string, target: string, isAllowed: () => Promise<boolean>): Promise<boolean> {
  try {
    const isReplaced = await isAllowed();
    if (isReplaced) await rename(path, target);
    else await unlink(target);
    return isReplaced;
  } catch (error) {
    await unlink(target).catch(() => {});
    throw error;
  }
}
