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
import { createLegend, type Legend, type Scope, shortNumber } from "./legend.ts";
import { isKnownAt, type Known } from "./past.ts";
import { peaksOf, type Rates, type Series } from "./rates.ts";
import { placeInTime } from "./row_text.ts";
import { dragByTouch } from "./touch.ts";
import { createUnknown, type Unknown } from "./unknown.ts";
import type { ChartSpan, TimeRange } from "./view.ts";

/** The chart. */
export interface Chart {
  /** Draws the time before `now`, in milliseconds since 1970, without the step that is incomplete. */
  draw(now: number): void;
  /** Shows which part of the time is unknown, and what the figures are of. */
  know(known: Known, scope: ChartScope): void;
  /** Shows a range that the list is limited to. */
  select(range: TimeRange | undefined): void;
  /** Sets how much of the past is shown. */
  setSpan(span: ChartSpan): void;
  /** Draws in the colours of the theme as it is now. */
  recolour(): void;
  /** Shows a group in the legend, also while it has no event. */
  list(group: EventGroup): void;
}

/** What the figures are of, and whether the page is connected. */
export interface ChartScope extends Pick<Scope, "text" | "asks"> {
  readonly isLive: boolean;
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
const SPAN_TEXTS: Readonly<Record<ChartSpan, string>> = { "5m": "5 min", "1h": "1 h", all: "all" };
/** Number of seconds that are kept one by one. */
export const CHART_SECONDS = 3620;
/** Maximum number of steps of the whole past. */
export const CHART_STEPS = 1000;

/** Number of pixels beside the plot, and those of them to its right. */
const AXIS_PIXELS = 64;
const RIGHT_PIXELS = 24;
/** The widths of times of day on a small window, without seconds and with them, and the space between them. */
const MINUTES_PIXELS = 40;
const SECONDS_PIXELS = 62;

/** The possible distances between the lines of the axis of events; fractions only where it ends below two. */
const INCREMENTS = incrementsOf([1, 10, 100, 1000, 10_000, 100_000]);
const FRACTIONS = incrementsOf([0.001, 0.01, 0.1]);

/** Makes the chart in its place on the page. */
export function createChart(rates: Rates, listener: ChartListener): Chart {
  return new RateChart(rates, listener);
}

class RateChart implements Chart {
  readonly #rates: Rates;
  readonly #listener: ChartListener;
  readonly #place = byId("chart");
  readonly #spans = [...document.querySelectorAll<HTMLButtonElement>("#spans button")];
  readonly #legend: Legend;
  readonly #unknown: Unknown;
  #span: ChartSpan = "5m";
  #series: Series;
  /** Number of events of trouble in all steps. */
  #failures = 0;
  /** The index of the step at the pointer. */
  #pointed: number | undefined;
  #range: TimeRange | undefined;
  #plot: uPlot | undefined;
  #known: Known = { from: -Infinity, to: Infinity, oldest: Infinity, isGone: false, gaps: [] };
  #scope: ChartScope = { text: "", asks: () => true, isLive: true };
  #lastDrawn = 0;
  #isTouched = false;

  constructor(rates: Rates, listener: ChartListener) {
    this.#rates = rates;
    this.#listener = listener;
    this.#series = rates.recent(0, 1, 1);
    this.#legend = createLegend(rates, listener.onGroup);
    this.#unknown = createUnknown(this.#place.parentElement!, () => listener.onLoad(this.#span));
    for (const button of this.#spans) {
      button.onclick = () => listener.onSpan(button.dataset["span"] as ChartSpan);
    }
    new ResizeObserver(() => this.#plot?.setSize(sizeOf(this.#place))).observe(this.#place);
  }

  draw(now: number): void {
    this.#lastDrawn = now;
    const end = Math.floor(now / 1000);
    const { oldest } = this.#known;
    const span = this.#span;
    const all = span === "all"
      ? this.#rates.whole(end, Number.isFinite(oldest) ? Math.floor(oldest / 1000) : end)
      : this.#rates.recent(end, SPANS[span][0], SPANS[span][1]);
    this.#failures = sumOf(all.counts.get("trouble")!);
    // A step that is narrower than a pixel may not be drawn at all.
    const pixels = (this.#place.clientWidth - AXIS_PIXELS) * devicePixelRatio;
    this.#series = peaksOf(all, Math.max(50, pixels));
    const data = stack(this.#series);
    if (this.#plot === undefined) this.#plot = this.#makePlot(data);
    else this.#plot.setData(data);
    this.#writeFigures();
  }

  know(known: Known, scope: ChartScope): void {
    const isSame = isSameKnown(known, this.#known) && scope.isLive === this.#scope.isLive;
    this.#known = known;
    this.#scope = scope;
    if (!isSame) this.#redraw();
  }

  select(range: TimeRange | undefined): void {
    this.#range = range;
    this.#showRange();
  }

  setSpan(span: ChartSpan): void {
    this.#span = span;
    for (const button of this.#spans) button.ariaPressed = `${button.dataset["span"] === span}`;
    this.#redraw();
  }

  recolour(): void {
    this.#plot?.destroy();
    this.#plot = undefined;
    this.#redraw();
  }

  list(group: EventGroup): void {
    this.#legend.show(group);
  }

  #redraw(): void {
    if (this.#lastDrawn > 0) this.draw(this.#lastDrawn);
  }

  #writeFigures(): void {
    const { from, oldest, isGone } = this.#known;
    const isWhole = from / 1000 <= this.#series.start || (from <= oldest && !isGone);
    const span = isWhole ? SPAN_TEXTS[this.#span] : lengthText((this.#lastDrawn - from) / 1000);
    const failures = span === "" ? undefined : { count: this.#failures, time: span };
    const second = Math.floor(this.#lastDrawn / 1000) - 1;
    const { start, step } = this.#series;
    const isKnown = this.#pointed === undefined
      ? this.#scope.isLive
      : isKnownAt(this.#known, (start + (this.#pointed + .5) * step) * 1000);
    this.#legend.write(this.#series, this.#pointed, second, { ...this.#scope, failures, isKnown });
  }

  #makePlot(data: uPlot.AlignedData): uPlot {
    const plot = createPlot(this.#place, data, {
      onDraw: () => this.#showPlaces(),
      onPoint: (index) => {
        this.#pointed = index;
        this.#writeFigures();
      },
      onSelect: (left, right) => {
        const at = (x: number) => plot.posToVal(x, "x") * 1000;
        const range = { from: Math.floor(at(left)), to: Math.ceil(at(right)) };
        this.#listener.onRange(right - left < 3 ? undefined : range);
      },
    });
    dragByTouch(plot.over, {
      onDrag: (left, right) => {
        this.#isTouched = true;
        setSelect(plot, left, right, false);
      },
      onEnd: (left, right) => {
        this.#isTouched = false;
        setSelect(plot, left, right, true);
      },
      onCancel: () => {
        this.#isTouched = false;
        this.#showRange();
      },
    });
    return plot;
  }

  /** Shows what has a place in time. It is called when the plot was drawn: before that its scale is an older one. */
  #showPlaces(): void {
    this.#showRange();
    const plot = this.#plot;
    if (plot === undefined) return;
    const { oldest, from, to, isGone, gaps } = this.#known;
    const parts = {
      oldest: positionOf(plot, isGone ? -Infinity : oldest),
      from: positionOf(plot, from),
      to: positionOf(plot, to),
      gaps: gaps.map((gap) => ({ from: positionOf(plot, gap.from), to: positionOf(plot, gap.to) })),
    };
    this.#unknown.show(plot.over, parts, isGone || !this.#scope.isLive ? undefined : this.#span);
  }

  #showRange(): void {
    const plot = this.#plot;
    if (plot === undefined || this.#isTouched || this.#place.querySelector(":active") !== null) return;
    if (this.#range === undefined) return setSelect(plot, 0, 0, false);
    setSelect(plot, positionOf(plot, this.#range.from), positionOf(plot, this.#range.to), false);
  }
}

function incrementsOf(powers: readonly number[]): number[] {
  return powers.flatMap((power) => [power, 2 * power, 5 * power]);
}

/** Shows a selected range, in pixels; `reports` calls what listens to it. */
function setSelect(plot: uPlot, left: number, right: number, reports: boolean): void {
  plot.setSelect({ left, width: right - left, top: 0, height: plot.over.clientHeight }, reports);
}

function isSameKnown(one: Known, other: Known): boolean {
  return one.from === other.from && one.to === other.to && one.oldest === other.oldest &&
    one.isGone === other.isGone && one.gaps.at(-1)?.to === other.gaps.at(-1)?.to;
}

/** Returns how far from the left edge of a plot a time is, in pixels. */
function positionOf({ over, valToPos }: uPlot, time: number): number {
  return Math.max(0, Math.min(over.clientWidth, valToPos(time / 1000, "x")));
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
          space: (_, _axis, min, max, length) => {
            if (length >= 500 || timeText(min, false).includes(" ")) return 84; // A time of another day has its date.
            // Steps of half a minute and less have seconds.
            return (max - min) * MINUTES_PIXELS / length > 30 ? MINUTES_PIXELS : SECONDS_PIXELS;
          },
          values: (_, ticks) => ticks.map((tick) => timeText(tick, ticks.some((one) => one % 60 !== 0))),
        },
        {
          ...axis,
          size: AXIS_PIXELS - RIGHT_PIXELS,
          gap: 4,
          space: (_, _axis, _min, _max, length) => length < 70 ? 14 : 24,
          values: (_, ticks) => ticks.map(shortNumber),
          incrs: (_, _axis, _min, max) => max < 2 ? [...FRACTIONS, ...INCREMENTS] : INCREMENTS,
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

/** Formats a number of seconds, rounded down; empty for less than one. */
function lengthText(seconds: number): string {
  const [length, unit] = seconds < 60 ? [1, "s"] : seconds < 3600 ? [60, "min"] : [3600, "h"];
  return seconds < 1 ? "" : `${Math.floor(seconds / length)} ${unit}`;
}

/** Formats a second since 1970 as the time of day, or with its date if that is another day. */
function timeText(second: number, withSeconds: boolean): string {
  const text = placeInTime(second * 1000);
  return text.includes(" ") || withSeconds ? text : text.slice(0, "HH:MM".length);
}
