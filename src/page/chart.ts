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
import { createLegend, type Scope } from "./legend.ts";
import type { Known } from "./past.ts";
import { peaksOf, type Rates, type Series } from "./rates.ts";
import { placeInTime } from "./row_text.ts";
import { dragByTouch } from "./touch.ts";
import { createUnknown } from "./unknown.ts";
import type { ChartSpan, TimeRange } from "./view.ts";

/** The chart. */
export interface Chart {
  /** Draws the time before `now`, in milliseconds since 1970, without the step that is incomplete. */
  draw(now: number): void;
  /** Shows which part of the time is unknown, and what the figures are of. */
  know(known: Known, scope: Omit<Scope, "failures">): void;
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
  /** What is unknown of a span was asked for. */
  onLoad(span: ChartSpan): void;
}

/** The seconds shown by each span, and the length of their steps. */
const SPANS = { "5m": [300, 1], "1h": [3600, 10] } as const;
const SPAN_TEXTS: Readonly<Record<ChartSpan, string>> = { "5m": "in 5 min", "1h": "in 1 h", all: "in all" };
/** Number of seconds that are kept one by one. */
export const CHART_SECONDS = 3620;
/** Maximum number of steps of the whole past. */
export const CHART_STEPS = 1000;

/** Number of pixels beside the plot, and those of them to its right. */
const AXIS_PIXELS = 64;
const RIGHT_PIXELS = 24;

/** The possible distances between the lines of the axis of events. */
const INCREMENTS = [0.001, 0.01, 0.1, 1, 10, 100, 1000, 10_000, 100_000].flatMap((
  power,
) => [power, 2 * power, 5 * power]);

/** Makes the chart in its place on the page. */
export function createChart(rates: Rates, { onRange, onSpan, onGroup, onLoad }: ChartListener): Chart {
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
  let known: Known = { from: -Infinity, to: Infinity, oldest: Infinity };
  let scope: Omit<Scope, "failures"> = { text: "", asks: () => true, isLive: true };
  const unknown = createUnknown(place.parentElement!, () => onLoad(span));

  /** Number of events of trouble in all steps. */
  let failures = 0;

  const writeFigures = () => {
    const second = Math.floor(lastDrawn / 1000) - 1;
    legend.write(series, pointed, second, {
      ...scope,
      failures: `${failures.toLocaleString("en")} ${SPAN_TEXTS[span]}`,
    });
  };

  let lastDrawn = 0;
  function draw(now: number): void {
    lastDrawn = now;
    const end = Math.floor(now / 1000);
    const start = Number.isFinite(known.oldest) ? Math.floor(known.oldest / 1000) : end;
    const all = span === "all" ? rates.whole(end, start) : rates.recent(end, SPANS[span][0], SPANS[span][1]);
    failures = sumOf(all.counts.get("trouble")!);
    // A step that is narrower than a pixel may not be drawn at all.
    series = peaksOf(all, Math.max(50, (place.clientWidth - AXIS_PIXELS) * devicePixelRatio));
    const data = stack(series);
    if (plot === undefined) {
      plot = createPlot(place, data, {
        onDraw: showPlaces,
        onPoint: (index) => {
          pointed = index;
          writeFigures();
        },
        onSelect: (left, right) => {
          const at = (x: number) => plot!.posToVal(x, "x") * 1000;
          onRange(right - left < 3 ? undefined : { from: Math.floor(at(left)), to: Math.ceil(at(right)) });
        },
      });
      dragByTouch(plot.over, {
        onDrag: (left, right) => setSelect(left, right),
        onEnd: (left, right) => plot!.setSelect({ left, width: right - left, top: 0, height: heightOf() }),
        onCancel: showRange,
      });
    } else plot.setData(data);
    writeFigures();
  }

  const heightOf = () => plot!.over.clientHeight;
  const setSelect = (left: number, right: number) =>
    plot!.setSelect({ left, width: right - left, top: 0, height: heightOf() }, false);
  /** Returns how far from the left edge of the plot a time is, in pixels. */
  const positionOf = (time: number) =>
    Math.max(0, Math.min(plot!.over.clientWidth, plot!.valToPos(time / 1000, "x")));

  /** Shows what has a place in time. It is called when the plot was drawn: before that its scale is an older one. */
  function showPlaces(): void {
    showRange();
    if (plot === undefined) return;
    const at = { oldest: positionOf(known.oldest), from: positionOf(known.from), to: positionOf(known.to) };
    unknown.show(plot.over, at, span);
  }

  function showRange(): void {
    if (plot === undefined) return;
    const [left, right] = range === undefined ? [0, 0] : [positionOf(range.from), positionOf(range.to)];
    const isDragging = place.querySelector(":active") !== null;
    if (!isDragging) setSelect(left, right);
  }

  function recolour(): void {
    plot?.destroy();
    plot = undefined;
    if (lastDrawn > 0) draw(lastDrawn);
  }

  new ResizeObserver(() => {
    plot?.setSize(sizeOf(place));
  }).observe(place);
  return {
    draw,
    know: (now, of) => {
      const isSame = now.from === known.from && now.to === known.to && now.oldest === known.oldest;
      known = now;
      scope = of;
      if (!isSame && lastDrawn > 0) draw(lastDrawn);
    },
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

function sumOf(counts: ArrayLike<number>): number {
  return Array.from(counts).reduce((sum, count) => sum + count, 0);
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
  /** It was drawn. */
  onDraw(): void;
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
  { onDraw, onPoint, onSelect }: PlotListener,
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
      padding: [6, RIGHT_PIXELS, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: true, y: false, setScale: false }, points: { show: false } },
      scales: {
        x: { time: true, range: ({ data: [times] }) => [times[0]!, times.at(-1)!] },
        y: { range: (_, _min, max) => [0, max > 0 ? max * 1.05 : 2] },
      },
      axes: [
        {
          ...axis,
          size: 22,
          gap: 4,
          space: (_, _axis, _min, _max, length) => length < 500 ? 48 : 84,
          values: (_, ticks) => ticks.map((tick) => timeText(tick, ticks.some((one) => one % 60 !== 0))),
        },
        {
          ...axis,
          size: AXIS_PIXELS - RIGHT_PIXELS,
          gap: 4,
          space: (_, _axis, _min, _max, length) => length < 70 ? 14 : 24,
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
        draw: [onDraw],
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
