/**
 * The chart of events per second by group, and its legend, which shows the same in figures. A range dragged on it limits the
 * list.
 *
 * @module
 */
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import uPlot from "uplot";
import { byId } from "./dom.ts";
import { EVENT_GROUPS, type EventGroup } from "./event_groups.ts";
import { createLegend } from "./legend.ts";
import type { Rates, Series } from "./rates.ts";
import { placeInTime } from "./row_text.ts";
import type { ChartSpan, TimeRange } from "./view.ts";

/** The chart. */
export interface Chart {
  /** Draws the time before `now`, in milliseconds since 1970, without the step that is incomplete. */
  draw(now: number): void;
  /** Shows a range that the list is limited to. */
  select(range: TimeRange | undefined): void;
  /** Sets how much of the past is shown. */
  setSpan(span: ChartSpan): void;
  /** Draws in the colours of the theme as it is now. */
  recolour(): void;
  /** Shows a group in the legend, also while it has no event. */
  list(group: EventGroup): void;
}

/** Callbacks of the chart. */
export interface ChartListener {
  /** A range was dragged; `undefined` for a click, which ends it. */
  onRange(range: TimeRange | undefined): void;
  onSpan(span: ChartSpan): void;
  /** A group was clicked in the legend. */
  onGroup(group: EventGroup): void;
}

/** The seconds shown by each span, and the length of their steps. */
const SPANS = { "5m": [300, 1], "1h": [3600, 10] } as const;
/** Number of seconds that are kept one by one. */
export const CHART_SECONDS = 3620;
/** Maximum number of steps of the whole past. */
export const CHART_STEPS = 1000;

/** The possible distances between the lines of the axis of events. */
const INCREMENTS = [0.1, 1, 10, 100, 1000, 10_000, 100_000].flatMap((power) => [power, 2 * power, 5 * power]);

/** Makes the chart in its place on the page. */
export function createChart(rates: Rates, { onRange, onSpan, onGroup }: ChartListener): Chart {
  const place = byId("chart");
  const legend = createLegend(rates, onGroup);
  const spans = [...document.querySelectorAll<HTMLButtonElement>("#spans button")];
  for (const button of spans) button.onclick = () => onSpan(button.dataset["span"] as ChartSpan);
  let span: ChartSpan = "5m";
  let series = rates.recent(0, 1, 1);
  /** The index of the step at the pointer. */
  let pointed: number | undefined;
  let range: TimeRange | undefined;
  let plot: uPlot | undefined;

  const writeFigures = () => legend.write(series, pointed, Math.floor(lastDrawn / 1000) - 1);

  let lastDrawn = 0;
  function draw(now: number): void {
    lastDrawn = now;
    const end = Math.floor(now / 1000);
    series = span === "all" ? rates.whole(end) : rates.recent(end, SPANS[span][0], SPANS[span][1]);
    const data = stack(series);
    if (plot === undefined) {
      plot = createPlot(place, data, {
        onPoint: (index) => {
          pointed = index;
          writeFigures();
        },
        onSelect: (left, right) => {
          const at = (x: number) => plot!.posToVal(x, "x") * 1000;
          onRange(right - left < 3 ? undefined : { from: Math.floor(at(left)), to: Math.ceil(at(right)) });
        },
      });
    } else plot.setData(data);
    showRange();
    writeFigures();
  }

  function showRange(): void {
    if (plot === undefined) return;
    const x = (time: number) =>
      Math.max(0, Math.min(plot!.over.clientWidth, plot!.valToPos(time / 1000, "x")));
    const [left, right] = range === undefined ? [0, 0] : [x(range.from), x(range.to)];
    const isDragging = place.querySelector(":active") !== null;
    if (!isDragging) {
      const select = { left, width: right - left, top: 0, height: plot.over.clientHeight };
      plot.setSelect(select, false);
    }
  }

  function recolour(): void {
    plot?.destroy();
    plot = undefined;
    if (lastDrawn > 0) draw(lastDrawn);
  }

  new ResizeObserver(() => {
    plot?.setSize(sizeOf(place));
    showRange();
  }).observe(place);
  return {
    draw,
    recolour,
    select: (now) => {
      range = now;
      showRange();
    },
    setSpan: (now) => {
      span = now;
      for (const button of spans) button.ariaPressed = `${button.dataset["span"] === span}`;
      if (lastDrawn > 0) draw(lastDrawn);
    },
    list: legend.show,
  };
}

/** Returns the rates of each group added to those below it, the topmost first; the last time is the end of the last step. */
function stack({ start, step, length, counts }: Series): uPlot.AlignedData {
  const times = Float64Array.from({ length: length + 1 }, (_, i) => start + i * step);
  const sums: Float64Array[] = [];
  let below = new Float64Array(length + 1);
  for (const group of EVENT_GROUPS) {
    const own = counts.get(group)!;
    below = below.map((sum, i) => sum + own[Math.min(i, length - 1)]! / step);
    sums.unshift(below);
  }
  return [times, ...sums];
}

/** Callbacks of the plot. */
interface PlotListener {
  /** The pointer is at this index of the times; `undefined` without a pointer. */
  onPoint(index: number | undefined): void;
  /** A range was dragged, in pixels. */
  onSelect(left: number, right: number): void;
}

/**
 * Makes the plot.
 *
 * @param data the times, and the stacked rates of each group, the topmost first
 */
function createPlot(
  place: HTMLElement,
  data: uPlot.AlignedData,
  { onPoint, onSelect }: PlotListener,
): uPlot {
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
      cursor: { y: false, drag: { x: true, y: false, setScale: false }, points: { show: false } },
      scales: {
        x: { time: true, range: ({ data: [times] }) => [times[0]!, times.at(-1)!] },
        y: { range: (_, _min, max) => [0, Math.max(1, max * 1.05)] },
      },
      axes: [
        {
          ...axis,
          size: 22,
          gap: 4,
          space: (_, _axis, _min, _max, length) => length < 500 ? 54 : 84,
          values: (_, ticks) => ticks.map((tick) => timeText(tick, ticks.some((one) => one % 60 !== 0))),
        },
        {
          ...axis,
          size: 40,
          gap: 4,
          space: 24,
          incrs: INCREMENTS,
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
        setSelect: [({ select: { left, width } }) => onSelect(left, left + width)],
      },
    },
    data,
    place,
  );
}

function sizeOf({ clientWidth, clientHeight }: HTMLElement): { width: number; height: number } {
  return { width: Math.max(100, clientWidth), height: Math.max(40, clientHeight) };
}

/** Formats a second since 1970 as the time of day, or with its date if that is another day. */
function timeText(second: number, withSeconds: boolean): string {
  const text = placeInTime(second * 1000);
  return text.includes(" ") || withSeconds ? text : text.slice(0, "HH:MM".length);
}
