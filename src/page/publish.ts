/**
 * Publishes from the page: by a form made from the schema of the chosen type, or as JSON.
 *
 * @module
 */
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { eventsUrl, openApiUrl } from "./events_url.ts";
import { byId, make, setText } from "./dom.ts";
import { createField } from "./form.ts";
import { addIssue, clearIssues, type Field } from "./form_field.ts";
import { issueText } from "./issue_text.ts";
import type { Key } from "./key.ts";
import type { Schema } from "./schema.ts";

/** The schemas of the API description by their names. */
type Schemas = Readonly<Record<string, Schema>>;

/** The error in the response to events that the server rejects. */
interface Rejection {
  readonly message: string;
  readonly details?: readonly { readonly path: string; readonly message: string }[];
}

/** The beginning of every reference to a schema in the description. */
const SCHEMAS = "#/components/schemas/";
/** What an event may be about. The server checks it, and may derive it from the payload. */
const SUBJECT: Schema = {
  type: "string",
  pattern: "",
  description: "what it is about, such as order/42; may be empty",
};
/** The end of the name of a schema for what is published. */
const DRAFT = ".draft";

/** Makes the dialog for publishing, and the button that opens it. */
export function createPublishing(key: Key): void {
  const dialog = byId<HTMLDialogElement>("publishing");
  const form = byId<HTMLFormElement>("publish-form");
  const chosen = byId<HTMLSelectElement>("publish-type");
  const typed = byId<HTMLInputElement>("publish-any-type");
  const mode = byId<HTMLButtonElement>("publish-mode");
  let schemas: Schemas = {};
  /** The schemas of what can be published, by type. */
  let drafts: ReadonlyMap<string, Schema> = new Map();
  let isOpen = false;
  /** The field of the payload; `undefined` if the type has none. */
  let field: Field | undefined;
  let isJson = false;
  const subject = createSubjectField();

  async function load(): Promise<void> {
    const described = openApiUrl() === "" ? UNDESCRIBED : await fetchSchemas(key);
    if (described === undefined) {
      dialog.close();
      return key.ask();
    }
    schemas = described;
    drafts = draftsIn(schemas);
    isOpen = schemas["Draft"]?.properties !== undefined; // One schema, and no list of them.
    showTypes([...drafts.keys()], isOpen);
    showFields();
  }

  /** Shows the fields of the chosen type, with a value if there is one. */
  function showFields(value?: unknown): void {
    const schema = (isOpen ? schemas["Draft"] : drafts.get(chosen.value))?.properties?.["event"];
    const resolve = (reference: string) => lookUp(schemas, reference);
    field = schema && createField(isJson ? {} : schema, resolve, "event", value);
    byId("publish-fields").replaceChildren(
      field?.element ?? make("p", { className: "note", textContent: "This type has no payload." }),
    );
    form.querySelector<HTMLButtonElement>(".primary")!.disabled = false;
    mode.hidden = field === undefined;
    setText(mode, isJson ? "Fill in a form" : "Write JSON");
    clearResult(form);
  }

  async function publish(): Promise<void> {
    const event = readField(field, form);
    if (event === undefined) return;
    const type = (isOpen ? typed : chosen).value;
    if (type === "") {
      addIssue(byId("publish-issues"), "type", "needed");
      return typed.focus();
    }
    const draft = { type, subject: subject.read() || undefined, event: event.value };
    await send(key, draft, { subject, event: field });
    focusIssue(form);
  }

  byId("publish").onclick = () => {
    dialog.showModal();
    if (schemas["Draft"] === undefined) load().catch(showFailure);
  };
  byId("publishing-close").onclick = () => dialog.close();
  chosen.onchange = () => showFields();
  mode.onclick = () => {
    const event = readField(field, form);
    if (event === undefined) return;
    isJson = !isJson;
    showFields(event.value);
  };
  // Changed fields are not those that the result is about.
  form.oninput = () => showResult("");
  typed.oninput = () => byId("publish-issues").replaceChildren();
  form.onsubmit = (event) => {
    event.preventDefault();
    publish().catch(showFailure);
  };
}

/** Reads the payload from its field; `undefined` also if some input is not JSON, which the field then shows. */
function readField(field: Field | undefined, form: HTMLFormElement): { readonly value: unknown } | undefined {
  clearResult(form);
  try {
    return { value: field?.read() };
  } catch {
    focusIssue(form);
    return undefined;
  }
}

/** Returns the types that the server describes. */
export async function typesOf(key: Key): Promise<readonly string[]> {
  if (openApiUrl() === "") return [];
  return [...draftsIn(await fetchSchemas(key) ?? {}).keys()];
}

/** Shows the types that can be published; if they may have any name, a text field in place of the list. */
function showTypes(types: readonly string[], isOpen: boolean): void {
  const list = byId("publish-type");
  list.replaceChildren(...types.map((type) => make("option", { textContent: type })));
  list.hidden = isOpen;
  byId("publish-any-type").hidden = !isOpen;
}

/** What stands for the schemas of a server that does not describe them: any type with any JSON. */
const UNDESCRIBED: Schemas = { Draft: { properties: { event: {} } } };

/** Returns the schemas that the server describes; `undefined` if it requires a key. */
async function fetchSchemas(key: Key): Promise<Schemas | undefined> {
  const response = await fetch(openApiUrl(), { headers: keyHeaders(key) });
  if (response.status === 401) return undefined;
  if (!response.ok) throw new Error(`the server answers ${response.status}`);
  return (await response.json()).components.schemas;
}

/** Returns what a reference leads to: a schema, or one in it (RFC 6901). */
function lookUp(schemas: Schemas, reference: string): Schema | undefined {
  const keys = reference.slice(SCHEMAS.length).split("/").map((key) =>
    decodeURIComponent(key).replaceAll("~1", "/").replaceAll("~0", "~")
  );
  return keys.reduce<unknown>(
    (found, key) => (found as Readonly<Record<string, unknown>> | undefined)?.[key],
    schemas,
  ) as Schema | undefined;
}

/** Returns the schemas of what can be published, by type. */
function draftsIn(schemas: Schemas): ReadonlyMap<string, Schema> {
  const drafts = Object.entries(schemas).filter(([name]) => name.endsWith(DRAFT));
  return new Map(drafts.map(([, schema]) => [String(schema.properties?.["type"]?.const), schema]));
}

function keyHeaders(key: Key): Record<string, string> {
  return key.value === undefined ? {} : { "X-Api-Key": key.value };
}

/** Makes the field for what an event is about, in its place. */
function createSubjectField(): Field {
  const field = createField(SUBJECT, () => undefined, "subject");
  byId("publish-subject").replaceChildren(field.element);
  return field;
}

/** Publishes an event, and shows what the server answers, each issue at its field. */
async function send(key: Key, draft: object, fields: Parameters<typeof showRejection>[1]): Promise<void> {
  showResult("Publishing");
  const response = await post(key, draft);
  const answer = await response.json();
  if (response.ok) return showResult(`Published as ${answer.last_id}`);
  if (response.status === 401) key.ask();
  showRejection(answer.error, fields);
}

async function post(key: Key, event: unknown): Promise<Response> {
  return await fetch(eventsUrl(), {
    method: "POST",
    headers: { "Content-Type": "application/json", ...keyHeaders(key) },
    body: JSON.stringify(event),
  });
}

function showResult(text: string): void {
  setText(byId("publish-result"), text);
}

/** Shows each issue at its field, and below the fields those that belong to none. */
function showRejection(
  { message, details = [] }: Rejection,
  fields: Readonly<Record<string, Field | undefined>>,
): void {
  for (const { path, message } of details) {
    const [key = ""] = path.split(".", 1);
    const field = fields[key];
    const text = issueText(message);
    if (field !== undefined) field.showIssue(path.slice(key.length + 1), text);
    else byId("publish-issues").append(make("li", { textContent: `${path}: ${text}` }));
  }
  const amount = details.length === 1 ? "one issue" : `${details.length} issues`;
  showResult(`Not published: ${details.length === 0 ? message : amount}`);
}

function showFailure(error: unknown): void {
  showResult(`The server cannot be reached: ${(error as Error).message}`);
}

function clearResult(form: HTMLFormElement): void {
  clearIssues(form);
  showResult("");
}

function focusIssue(form: HTMLFormElement): void {
  form.querySelector<HTMLElement>("[aria-invalid]")?.focus();
}
