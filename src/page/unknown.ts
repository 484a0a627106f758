/**
 * What the chart does not know: the time before the events that were asked for, times in which events were lost, and the time
 * since the connection was lost.
 * It is hatched, because an empty chart would say that nothing happened.
 *
 * @module
 */
/// <reference lib="dom" />
import { button, make, setText } from "./dom.ts";
import type { ChartSpan } from "./view.ts";

/** Where the parts of a plot are, in pixels from its left edge. */
export interface Parts {
  /** The oldest event of the server. */
  readonly oldest: number;
  /** The two ends of what is known. */
  readonly from: number;
  readonly to: number;
  /** The stretches in between in which events were lost. */
  readonly gaps: readonly { readonly from: number; readonly to: number }[];
}

/** The hatched parts of the chart. */
export interface Unknown {
  /** Shows them over a plot, which shows this much of the past; `undefined` if no more of it can be asked for. */
  show(plot: HTMLElement, parts: Parts, span: ChartSpan | undefined): void;
}

const LABELS: Readonly<Record<ChartSpan, string>> = { "5m": "Load 5 min", "1h": "Load 1 h", all: "Load all" };
/** The least number of pixels between the button and what is known. */
const MARGIN = 6;

/**
 * Makes them in the section of the chart.
 *
 * @param onLoad called when what is not known is to be asked for
 */
export function createUnknown(section: HTMLElement, onLoad: () => void): Unknown {
  const strips: HTMLElement[] = [];
  const load = button("", onLoad);
  load.className = "load";
  section.append(load);

  function stripAt(index: number): HTMLElement {
    const strip = strips[index] ??= make("div", { className: "unknown" });
    if (!strip.isConnected) load.before(strip);
    return strip;
  }

  return {
    show: (plot, { oldest, from, to, gaps }, span) => {
      const outer = section.getBoundingClientRect();
      const { left, top, width, height } = plot.getBoundingClientRect();
      const x = left - outer.left - section.clientLeft;
      const y = top - outer.top - section.clientTop;
      const unknown = [{ from: oldest, to: from }, ...gaps, { from: to, to: width }];
      for (const strip of strips.slice(unknown.length)) strip.hidden = true;
      for (const [i, { from: start, to: end }] of unknown.entries()) {
        const strip = stripAt(i);
        strip.hidden = end - start < 1;
        const place = { left: x + start, top: y, width: end - start, height };
        for (const [name, value] of Object.entries(place)) strip.style.setProperty(name, `${value}px`);
      }
      load.hidden = span === undefined;
      if (span === undefined) return;
      setText(load, LABELS[span]);
      load.hidden = from - oldest < load.offsetWidth + 2 * MARGIN;
      // At the older end: what is unknown gets shorter each second, and its middle moves.
      load.style.left = `${x + oldest + MARGIN}px`;
      load.style.top = `${y + (height - load.offsetHeight) / 2}px`;
    },
  };
}
