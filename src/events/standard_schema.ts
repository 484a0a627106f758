/**
 * Schemas of any library, by what they have in common: Standard Schema, version 1 (https://standardschema.dev). Valibot, Zod
 * and ArkType have it.
 *
 * @module
 */

/** A schema: what it describes, and how it validates. */
export interface StandardSchema<Input = unknown, Output = Input> {
  /** The properties that the standard names. */
  readonly "~standard": {
    /** The version of the standard. */
    readonly version: 1;
    /** The name of the library. */
    readonly vendor: string;
    /** Validates a value. A schema of events does so at once, and not by a promise. */
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    /** The types, which have no value. */
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/** What validation finds: the value, or its issues. */
export type StandardResult<Output = unknown> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

/** One issue, and the way to its place. */
export interface StandardIssue {
  /** What is wrong. */
  readonly message: string;
  /** The keys on the way to it. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** What a schema takes. Only the one property is looked at: schemas of some libraries have deep types. */
export type InferInput<S> = S extends
  { readonly "~standard": { readonly types?: { readonly input: infer Input } | undefined } } ? Input
  : unknown;

/** Whether a value is such a schema. Those of some libraries are functions. */
export function isStandardSchema(value: unknown): value is StandardSchema {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  const standard = (value as Partial<StandardSchema>)["~standard"];
  return standard?.version === 1 && typeof standard.validate === "function";
}

/** The functions of schemas: the property is a getter that makes an object each time. */
const validators = new WeakMap<StandardSchema, StandardSchema["~standard"]["validate"]>();

/**
 * Validates a value. A check that throws has an issue: it did not expect such a value.
 *
 * @returns its issues, none if it fits; `undefined` if the schema answers by a promise
 */
export function validate(schema: StandardSchema, value: unknown): readonly StandardIssue[] | undefined {
  let validator = validators.get(schema);
  if (validator === undefined) {
    validator = schema["~standard"].validate;
    validators.set(schema, validator);
  }
  try {
    const result = validator(value);
    if (!(result instanceof Promise)) return result.issues ?? [];
    result.catch(() => {});
    return parseByZod(schema, value);
  } catch (error) {
    return [{ message: `could not be checked: ${error instanceof Error ? error.message : String(error)}` }];
  }
}

/**
 * Zod answers by a promise also if a synchronous check has thrown: its own method tells the two apart.
 *
 * @returns `undefined` if the schema needs a promise
 * @throws what the check has thrown
 */
function parseByZod(schema: StandardSchema, value: unknown): undefined {
  const { safeParse } = schema as { readonly safeParse?: unknown };
  if (typeof safeParse !== "function") return undefined;
  try {
    safeParse.call(schema, value);
  } catch (error) {
    // The name of the class is gone from a bundle, and Zod 3 has none.
    if (!/synchronous parse/.test((error as Partial<Error> | undefined)?.message ?? "")) throw error;
  }
  return undefined;
}

/** Whether a schema answers by a promise, as far as one value shows it. */
export function isAsync(schema: StandardSchema): boolean {
  return (schema as { readonly async?: unknown }).async === true || validate(schema, undefined) === undefined;
}
