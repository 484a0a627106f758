/**
 * The packages of NATS, which are optional peers.
 *
 * @module
 */

/** The codes of the error that a module is missing: of `import()`, and of `require()` in a bundle. */
const MISSING: readonly unknown[] = ["ERR_MODULE_NOT_FOUND", "MODULE_NOT_FOUND"];

/** Whether an error of `import()` says that a package of NATS is not installed. */
export function isPackageMissing(error: unknown): boolean {
  const { code, message } = (error ?? {}) as { readonly code?: unknown; readonly message?: unknown };
  return MISSING.includes(code) && `${message}`.includes("@nats-io/");
}
