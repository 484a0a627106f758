/**
 * The chart of events per second by group, and its legend, which shows the same in figures.
 *
 * @module
 */
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import uPlot from "uplot";
import { clock } from "../text/event_text.ts";
import { byId, make, setText } from "./dom.ts";
import { EVENT_GROUPS } from "./event_groups.ts";
import type { Rates } from "./rates.ts";

/** The chart. */
export interface Chart {
  /** Draws the seconds before the current one, which is incomplete. */
  draw(now: number): void;
}

/** The possible distances between the lines of the axis of events. */
const STEPS = [1, 10, 100, 1000, 10_000, 100_000].flatMap((power) => [power, 2 * power, 5 * power]);

/** Makes the chart in its place on the page. */
export function createChart(rates: Rates): Chart {
  const place = byId("chart");
  const figures = new Map(EVENT_GROUPS.map((group) => {
    const figure = make("b");
    const item = make("li", {}, make("span", { className: "dot" }), `${group} `, figure);
    item.dataset["group"] = group;
    item.hidden = true; // Until it has an event: not every catalogue has every group.
    byId("legend").append(item);
    return [group, figure];
  }));
  /** The seconds shown, and the one after them, where the last one ends. */
  const times = new Float64Array(rates.seconds + 1);
  /** The index in `times` at the pointer. */
  let pointed: number | undefined;
  let plot: uPlot | undefined;

  /** Returns the counts of each group added to those below it, the topmost first. */
  function stack(): uPlot.AlignedData {
    const sums: Float64Array[] = [];
    let below = new Float64Array(times.length);
    for (const group of EVENT_GROUPS) {
      const sum = below.map((count, i) => count + rates.of(group, times[Math.min(i, rates.seconds - 1)]!));
      sums.unshift(sum);
      below = sum;
    }
    return [times, ...sums];
  }

  /** Writes the figures of the second at the pointer, or else of the last full second. */
  function writeFigures(): void {
    const second = times[Math.min(pointed ?? Infinity, rates.seconds - 1)]!;
    let sum = 0;
    for (const [group, figure] of figures) {
      const count = rates.of(group, second);
      sum += count;
      setText(figure, count.toLocaleString("en"));
      figure.parentElement!.dataset["count"] = `${count}`;
      if (times.some((time) => rates.of(group, time) > 0)) figure.parentElement!.hidden = false;
    }
    const when = pointed === undefined ? "" : ` at ${clock(new Date(second * 1000))}`;
    setText(byId("rates-title"), `${sum.toLocaleString("en")} events/s${when}`);
  }

  function pointAt(index: number | undefined): void {
    pointed = index;
    writeFigures();
  }

  function draw(now: number): void {
    for (let i = 0; i < times.length; i++) times[i] = Math.floor(now / 1000) - rates.seconds + i;
    const data = stack();
    if (plot === undefined) plot = createPlot(place, data, pointAt);
    else plot.setData(data);
    writeFigures();
  }

  new ResizeObserver(() => plot?.setSize(sizeOf(place))).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    plot?.destroy();
    plot = undefined;
    draw(Date.now());
  });
  return { draw };
}

/**
 * Makes the plot.
 *
 * @param data the times, and the stacked counts of each group, the topmost first
 * @param onPoint called with the index of the time at the pointer; `undefined` without a pointer
 */
function createPlot(
  place: HTMLElement,
  data: uPlot.AlignedData,
  onPoint: (index: number | undefined) => void,
): uPlot {
  const times = data[0];
  // The value of a colour in the current theme can be read only from an element that uses it.
  const style = getComputedStyle(place);
  const colour = (name: string) => {
    place.style.color = `var(--${name})`;
    return style.color;
  };
  const axis = {
    stroke: colour("muted"),
    font: `11px ${style.fontFamily}`,
    grid: { stroke: colour("line"), width: 1 },
    ticks: { show: false },
  };
  const paths = uPlot.paths.stepped!({ align: 1 });
  return new uPlot(
    {
      ...sizeOf(place),
      padding: [6, 24, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      scales: {
        x: { time: true, range: () => [times[0]!, times.at(-1)!] },
        y: { range: (_, _min, max) => [0, Math.max(1, max * 1.05)] },
      },
      axes: [
        {
          ...axis,
          size: 22,
          gap: 4,
          space: (_, _axis, _min, _max, length) => length < 500 ? 40 : 70,
          values: (_, ticks) => ticks.map((tick) => timeText(tick, ticks.some((one) => one % 60 !== 0))),
        },
        {
          ...axis,
          size: 40,
          gap: 4,
          space: 24,
          incrs: STEPS,
        },
      ],
      series: [
        {},
        ...EVENT_GROUPS.toReversed().map((group) => ({
          fill: colour(group),
          width: 0,
          paths,
          points: { show: false },
        })),
      ],
      hooks: {
        setCursor: [({ cursor }) => onPoint(cursor.idx ?? undefined)],
      },
    },
    data,
    place,
  );
}

function sizeOf({ clientWidth, clientHeight }: HTMLElement): { width: number; height: number } {
  return { width: Math.max(100, clientWidth), height: Math.max(40, clientHeight) };
}

/** Formats a second since 1970 as the time of day. */
function timeText(second: number, withSeconds: boolean): string {
  return clock(new Date(second * 1000)).slice(0, withSeconds ? undefined : "HH:MM".length);
}
