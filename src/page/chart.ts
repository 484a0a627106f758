/**
 * The chart of events per second, by kind, and its legend, which is in figures what the chart shows.
 *
 * @module
 */
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import uPlot from "uplot";
import { clock } from "../text/event_text.ts";
import { byId, make, setText } from "./dom.ts";
import { KINDS } from "./event_groups.ts";
import type { Rates } from "./rates.ts";

/** The chart. */
export interface Chart {
  /** Shows the seconds before this one, which is not over. */
  draw(now: number): void;
}

/** How far lines may be apart on the axis of events. */
const STEPS = [1, 10, 100, 1000, 10_000, 100_000].flatMap((power) => [power, 2 * power, 5 * power]);

/** Makes the chart in its place on the page. */
export function createChart(rates: Rates): Chart {
  const place = byId("chart");
  const figures = new Map(KINDS.map((kind) => {
    const figure = make("b");
    const item = make("li", {}, make("span", { className: "dot" }), `${kind} `, figure);
    item.dataset["kind"] = kind;
    byId("legend").append(item);
    return [kind, figure];
  }));
  /** The seconds that are shown, and the one after them, up to which the last is drawn. */
  const times = new Float64Array(rates.seconds + 1);
  /** Where the pointer is, among the times. */
  let pointed: number | undefined;
  let plot: uPlot | undefined;
  const size = () => ({ width: Math.max(100, place.clientWidth), height: Math.max(40, place.clientHeight) });

  /** The counts of a kind and of those that are stacked below it, the uppermost first. */
  function stack(): uPlot.AlignedData {
    const sums: Float64Array[] = [];
    let below = new Float64Array(times.length);
    for (const kind of KINDS) {
      const sum = below.map((count, i) => count + rates.of(kind, times[Math.min(i, rates.seconds - 1)]!));
      sums.unshift(sum);
      below = sum;
    }
    return [times, ...sums];
  }

  function plotWith(data: uPlot.AlignedData): uPlot {
    // What a colour of the style sheet is in this theme, an element that has it knows.
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
        ...size(),
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
          ...KINDS.toReversed().map((kind) => ({
            fill: colour(kind),
            width: 0,
            paths,
            points: { show: false },
          })),
        ],
        hooks: {
          setCursor: [({ cursor }) => {
            pointed = cursor.idx ?? undefined;
            tell();
          }],
        },
      },
      data,
      place,
    );
  }

  /** Says in figures what the chart shows where the pointer is, or else for the last second that is over. */
  function tell(): void {
    const second = times[Math.min(pointed ?? Infinity, rates.seconds - 1)]!;
    let sum = 0;
    for (const [kind, figure] of figures) {
      const count = rates.of(kind, second);
      sum += count;
      setText(figure, count.toLocaleString("en"));
      figure.parentElement!.dataset["count"] = `${count}`;
    }
    const when = pointed === undefined ? "" : ` at ${clock(new Date(second * 1000))}`;
    setText(byId("rates-title"), `${sum.toLocaleString("en")} events/s${when}`);
  }

  function draw(now: number): void {
    for (let i = 0; i < times.length; i++) times[i] = Math.floor(now / 1000) - rates.seconds + i;
    const data = stack();
    if (plot === undefined) plot = plotWith(data);
    else plot.setData(data);
    tell();
  }

  new ResizeObserver(() => plot?.setSize(size())).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    plot?.destroy();
    plot = undefined;
    draw(Date.now());
  });
  return { draw };
}

/** The time of day of a second since 1970. */
function timeText(second: number, withSeconds: boolean): string {
  return clock(new Date(second * 1000)).slice(0, withSeconds ? undefined : "HH:MM".length);
}
