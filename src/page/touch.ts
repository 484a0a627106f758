/**
 * Drags by a finger or a pen: the chart itself listens to a mouse. The page scrolls by a drag up or down, as `touch-action` says.
 *
 * @module
 */
/// <reference lib="dom" />

/** Callbacks of a drag. Places are pixels from the left edge of the element. */
export interface DragListener {
  onDrag(left: number, right: number): void;
  onEnd(left: number, right: number): void;
  /** The browser scrolls the page in its place. */
  onCancel(): void;
}

/** Listens to drags by touch on an element. */
export function dragByTouch(element: HTMLElement, { onDrag, onEnd, onCancel }: DragListener): void {
  let start: number | undefined;

  const placeOf = ({ clientX }: PointerEvent) => {
    const { left, width } = element.getBoundingClientRect();
    return Math.max(0, Math.min(width, clientX - left));
  };
  const report = (to: (left: number, right: number) => void, event: PointerEvent) => {
    if (start === undefined) return;
    const place = placeOf(event);
    to(Math.min(start, place), Math.max(start, place));
  };

  element.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse" || !event.isPrimary) return;
    start = placeOf(event);
    element.setPointerCapture(event.pointerId);
  });
  element.addEventListener("pointermove", (event) => report(onDrag, event));
  element.addEventListener("pointerup", (event) => {
    report(onEnd, event);
    start = undefined;
  });
  element.addEventListener("pointercancel", () => {
    if (start === undefined) return;
    start = undefined;
    onCancel();
  });
}
