/**
 * Publishes from the page: by a form made from the schema of the chosen type, or as JSON.
 *
 * @module
 */
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { eventsUrl } from "./events_url.ts";
import { byId, make, setText } from "./dom.ts";
import { clearFaults, createField, type Field } from "./form.ts";
import type { Key } from "./key.ts";
import type { Schema } from "./schema.ts";

/** The schemas of the API description by their names. */
type Schemas = Readonly<Record<string, Schema>>;

/** The error response for an event that the server rejects. */
interface Refusal {
  readonly message: string;
  readonly details?: readonly { readonly path: string; readonly message: string }[];
}

/** The beginning of every reference to a schema in the description. */
const SCHEMAS = "#/components/schemas/";

/** Makes the dialog for publishing, and the button that opens it. */
export function createPublishing(key: Key): void {
  const dialog = byId<HTMLDialogElement>("publishing");
  const form = byId<HTMLFormElement>("publish-form");
  const chosen = byId<HTMLSelectElement>("publish-type");
  const place = byId("publish-fields");
  const mode = byId<HTMLButtonElement>("publish-mode");
  const result = byId("publish-result");
  let schemas: Schemas = {};
  /** The field of the payload; `undefined` if the type has none. */
  let field: Field | undefined;
  let isJson = false;

  const resolve = (reference: string) => schemas[reference.slice(SCHEMAS.length)];
  const headers = () => ({ ...(key.value && { "X-Api-Key": key.value }) });

  async function load(): Promise<void> {
    const response = await fetch("openapi.json", { headers: headers() });
    if (response.status === 401) {
      dialog.close();
      return key.ask();
    }
    if (!response.ok) throw new Error(`the server answers ${response.status}`);
    schemas = (await response.json()).components.schemas;
    const types = Object.keys(schemas).filter((name) => name.endsWith(".draft")).map((name) =>
      name.slice(0, -".draft".length)
    );
    chosen.replaceChildren(...types.map((type) => make("option", { textContent: type })));
    showFields();
  }

  /** Shows the fields of the chosen type, with a value if there is one. */
  function showFields(value?: unknown): void {
    const schema = schemas[`${chosen.value}.draft`]?.properties?.["event"];
    field = schema && createField(isJson ? {} : schema, resolve, "event", value);
    place.replaceChildren(
      field?.element ?? make("p", { className: "note", textContent: "This type has no payload." }),
    );
    mode.hidden = field === undefined;
    setText(mode, isJson ? "Fill in a form" : "Write JSON");
    clear();
  }

  function clear(): void {
    clearFaults(form);
    setText(result, "");
  }

  /** Reads the payload from the fields; `undefined` also if some input is not JSON, which the fields then show. */
  function read(): { readonly value: unknown } | undefined {
    clear();
    try {
      return { value: field?.read() };
    } catch {
      focusFault();
      return undefined;
    }
  }

  async function send(): Promise<void> {
    const event = read();
    if (event === undefined) return;
    const body = JSON.stringify({ type: chosen.value, event: event.value });
    setText(result, "Publishing");
    const response = await fetch(eventsUrl(), {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers() },
      body,
    });
    if (response.ok) {
      const { last_id } = await response.json();
      return setText(result, `Published as ${last_id}`);
    }
    if (response.status === 401) key.ask();
    const { error } = await response.json() as { error: Refusal };
    show(error);
  }

  /** Shows every issue at its field, and those of no field below them. */
  function show({ message, details = [] }: Refusal): void {
    const others = byId("publish-faults");
    for (const { path, message } of details) {
      if (field !== undefined && path === "event") field.fault("", message);
      else if (field !== undefined && path.startsWith("event.")) {
        field.fault(path.slice("event.".length), message);
      } else others.append(make("li", { textContent: `${path}: ${message}` }));
    }
    const amount = details.length === 1 ? "one fault" : `${details.length} faults`;
    setText(result, details.length === 0 ? `Not published: ${message}` : `Not published: ${amount}`);
    focusFault();
  }

  function focusFault(): void {
    form.querySelector<HTMLElement>("[aria-invalid]")?.focus();
  }

  function fail(error: unknown): void {
    setText(result, `The server cannot be reached: ${(error as Error).message}`);
  }

  byId("publish").onclick = () => {
    dialog.showModal();
    if (chosen.options.length === 0) load().catch(fail);
  };
  byId("publishing-close").onclick = () => dialog.close();
  chosen.onchange = () => showFields();
  mode.onclick = () => {
    const event = read();
    if (event === undefined) return;
    isJson = !isJson;
    showFields(event.value);
  };
  form.onsubmit = (event) => {
    event.preventDefault();
    send().catch(fail);
  };
}
