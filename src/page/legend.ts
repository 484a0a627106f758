/**
 * The legend of the chart: the rate of each group in figures, as buttons that choose the types of the group.
 *
 * @module
 */
/// <reference lib="dom" />
import { byId, make, setText } from "./dom.ts";
import { EVENT_GROUPS, type EventGroup, groupLabel } from "./event_groups.ts";
import type { Rates, Series } from "./rates.ts";
import { placeInTime } from "./row_text.ts";

/** The legend. */
export interface Legend {
  /** Shows a group from now on, after those that are there, also while it has no event. */
  show(group: EventGroup): void;
  /**
   * Writes the figures.
   *
   * @param pointed the index of the step at the pointer; `undefined` for the last second
   * @param second the last second
   * @param scope what is counted
   */
  write(series: Series, pointed: number | undefined, second: number, scope: Scope): void;
}

/** What the figures are of. */
export interface Scope {
  /** In words, after "events/s"; empty for all events. */
  readonly text: string;
  /** Whether the events of a group were asked for: those of others are unknown, not none. */
  asks(group: EventGroup): boolean;
  /**
   * How many events of trouble there were, and in which time that the chart knows; `undefined` if it knows none. They are rare: a
   * second later their rate says that there are none.
   */
  readonly failures: { readonly count: number; readonly time: string } | undefined;
  /** Whether the page knows the step at the pointer, or without a pointer the last second. */
  readonly isKnown: boolean;
}

/** Makes the legend in its place on the page. */
export function createLegend(rates: Rates, onGroup: (group: EventGroup) => void): Legend {
  const entries = new Map(EVENT_GROUPS.map((group) => {
    const amount = make("span");
    const unit = make("span");
    const figure = make("b", {}, amount, unit);
    const name = make("bdi");
    const choose = make("button", { type: "button" }, make("span", { className: "dot" }), name, " ", figure);
    choose.onclick = () => onGroup(group);
    const item = make("li", {}, choose);
    item.dataset["group"] = group;
    return [group, { amount, unit, name, choose, item }];
  }));

  function show(group: EventGroup): void {
    const { item, name, choose } = entries.get(group)!;
    if (item.isConnected) return;
    byId("legend").append(item); // Those that stand there stay at the pointer.
    setText(name, groupLabel(group));
    choose.title = `Only the types of ${groupLabel(group)}`;
  }

  show("trouble"); // That there is none is an answer too.
  return {
    show,
    write: (series, pointed, second, scope) => {
      const step = pointed === undefined ? undefined : Math.min(pointed, series.length - 1);
      const { isKnown } = scope;
      let sum = 0;
      for (const [group, { amount, unit, item }] of entries) {
        const counts = series.counts.get(group)!;
        const rate = step === undefined ? rates.of(group, second) : counts[step]! / series.step;
        sum += rate;
        const isCounted = isKnown && scope.asks(group);
        const isRate = group !== "trouble" || step !== undefined;
        const number = isRate ? rate : scope.failures?.count;
        const isShown = isCounted && number !== undefined;
        setText(amount, isShown ? shortNumber(number) : "–");
        setText(unit, !isShown ? "" : isRate ? "/s" : ` in ${scope.failures!.time}`);
        item.dataset["none"] = `${!isShown || number === 0}`;
      }
      const amount = isKnown ? rateText(sum) : "–";
      const unit = amount === "1" ? "event" : "events";
      const title = step === undefined
        ? `${amount} ${unit}/s${scope.text}`
        : `${amount}/s at ${placeInTime((series.start + step * series.step) * 1000)}`;
      setText(byId("rates-title"), title);
    },
  };
}

/** Writes a number in few characters: thousands as "1.2k". */
export function shortNumber(number: number): string {
  return number < 1000 ? rateText(number) : `${rateText(number / 1000)}k`;
}

/** Writes a rate with two digits where it is below ten. */
function rateText(rate: number): string {
  if (rate === 0 || rate >= 9.95 || Number.isInteger(rate)) return Math.round(rate).toLocaleString("en");
  return rate < 0.01 ? "<0.01" : rate.toPrecision(rate < 1 ? 1 : 2);
}
