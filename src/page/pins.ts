/**
 * Pinned events: they stand below the details, whatever the list shows, and outlive a reload of the tab. Nothing that is at the
 * pointer moves when there is one more of them.
 *
 * @module
 */
/// <reference lib="dom" />
import { byId, make, setText } from "./dom.ts";
import { inOneLine, summaryNodes, typeLine } from "./event_nodes.ts";
import { EventRecord } from "./records.ts";
import { placeInTime } from "./row_text.ts";
import { load, save } from "./storage.ts";

/** The pinned events. */
export interface Pins {
  /** Shows on the button of the details whether their event is pinned. */
  mark(): void;
  /** Pins a record, or removes its pin. */
  toggle(record: EventRecord): void;
}

/** Maximum number of pinned events. */
const MAX_PINS = 20;

/**
 * Makes the pins in their place on the page.
 *
 * @param onOpen called with a pinned record that was clicked
 * @param shown returns the record whose details are open
 */
export function createPins(
  onOpen: (record: EventRecord) => void,
  shown: () => EventRecord | undefined,
): Pins {
  const place = byId("pins");
  const button = byId("pin");
  const stored = load<unknown>("sessionStorage", "pins");
  let pinned: readonly EventRecord[] = Array.isArray(stored) ? stored.map(readRecord) : [];

  const isSame = (one: EventRecord, other: EventRecord) => one.json === other.json;

  function draw(): void {
    place.hidden = pinned.length === 0;
    setText(byId("pins-title"), `Pinned: ${pinned.length}`);
    place.lastElementChild!.replaceChildren(...pinned.map((record) => {
      const open = make(
        "button",
        { type: "button", className: "pinned" },
        make("span", { className: "type" }, ...typeLine(record.type)),
        make("span", { className: "time", textContent: placeInTime(record.time) }),
        make("span", { className: "summary" }, ...inOneLine(summaryNodes(record))),
      );
      open.onclick = () => onOpen(record);
      const remove = make("button", { type: "button", textContent: "✕", ariaLabel: `Unpin ${record.type}` });
      remove.onclick = () => toggle(record);
      const item = make("li", {}, open, remove);
      item.dataset["group"] = record.group;
      return item;
    }));
  }

  function toggle(record: EventRecord): void {
    const others = pinned.filter((one) => !isSame(one, record));
    pinned = others.length < pinned.length ? others : [record, ...pinned].slice(0, MAX_PINS);
    save("sessionStorage", "pins", pinned.map(({ json }) => json));
    draw();
    mark();
  }

  function mark(): void {
    const record = shown();
    const isPinned = record !== undefined && pinned.some((one) => isSame(one, record));
    button.ariaPressed = `${isPinned}`;
    setText(button, isPinned ? "Unpin" : "Pin");
  }

  draw();
  return { mark, toggle };
}

function readRecord(json: string): EventRecord {
  return new EventRecord(JSON.parse(json), 0, json);
}
