/**
 * Local times as people write them: a time of day, and a date with or without one.
 *
 * @module
 */

const DAY_TIME = /^([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?$/;
const LOCAL_TIME = /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ]([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?)?$/;
const HOUR_MS = 3_600_000;

/**
 * Returns when it was this time of day for the last time: `14:30`, `14:30:05`, `noon`, `midnight`; `undefined` for a text that
 * is none.
 *
 * @param now the current time, in milliseconds since 1970
 */
export function lastTimeOfDay(text: string, now: number): number | undefined {
  const digits = { noon: "12:00", midnight: "00:00" }[text.toLowerCase()] ?? text;
  const [, hours, minutes, seconds = "0"] = DAY_TIME.exec(digits) ?? [];
  if (hours === undefined) return undefined;
  const time = new Date(now);
  const setClock = () => {
    const first = time.setHours(Number(hours), Number(minutes), Number(seconds), 0);
    // A clock that is set back by an hour shows the same again.
    const again = first + HOUR_MS;
    return again <= now && new Date(again).getHours() === Number(hours) ? time.setTime(again) : first;
  };
  if (setClock() <= now) return time.getTime();
  // The day first: a clock that skips this time today does not skip it yesterday.
  time.setDate(new Date(now).getDate() - 1);
  return setClock();
}

/** Reads a date with or without a time of day; `undefined` for another text, and for a day that does not exist. */
export function localTime(text: string): number | undefined {
  const [, year, month, day, ...clock] = LOCAL_TIME.exec(text) ?? [];
  if (year === undefined) return undefined;
  const [hours = 0, minutes = 0, seconds = 0] = clock.map((part) => Number(part ?? 0));
  const time = new Date(Number(year), Number(month) - 1, Number(day), hours, minutes, seconds);
  return time.getMonth() === Number(month) - 1 && time.getDate() === Number(day) ? time.getTime() : undefined;
}
