/**
 * Events as CSV (RFC 4180), for spreadsheets.
 *
 * @module
 */

/** The columns that every event has. */
const COMMON = ["time", "type", "subject", "id"] as const;

/**
 * Writes events as CSV: a row for each, and a column for each value of the payloads, named by its path: `result.size`. Lists
 * stand as JSON in one cell.
 *
 * @param events the dictionaries as JSON
 */
export function csvOf(events: readonly string[]): string {
  const columns = new Map<string, number>(COMMON.map((name, i) => [name, i]));
  const rows = events.map((json) => {
    const event = JSON.parse(json);
    const cells: string[] = COMMON.map((name) => textOf(event[name]));
    addCells(event.event, "event", columns, cells);
    return cells;
  });
  const lines = [[...columns.keys()], ...rows];
  const { size } = columns;
  return lines.map((cells) =>
    Array.from({ length: size }, (_, i) => cellOf(cells[i] ?? "")).join(",") + "\r\n"
  )
    .join("");
}

function addCells(value: unknown, path: string, columns: Map<string, number>, cells: string[]): void {
  if (value === undefined) return;
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    for (const [key, inner] of Object.entries(value)) addCells(inner, `${path}.${key}`, columns, cells);
    return;
  }
  let column = columns.get(path);
  if (column === undefined) columns.set(path, column = columns.size);
  cells[column] = textOf(value);
}

/**
 * Returns a value as text. Text that a spreadsheet would take for a formula gets an apostrophe before it, because names come
 * from strangers (OWASP, CSV Injection).
 */
function textOf(value: unknown): string {
  if (value === undefined) return "";
  if (typeof value !== "string") return JSON.stringify(value);
  return /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
}

function cellOf(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
