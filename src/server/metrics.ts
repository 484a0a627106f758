/**
 * The numbers of a channel and its endpoint in Prometheus' text format.
 *
 * No library of metrics stands behind it: those count for themselves, and here everything has been counted.
 *
 * @module
 */
import type { EventLog } from "../channel/channel.ts";
import type { EndpointStats } from "../http/options.ts";
import type { Histogram } from "../stream/histogram.ts";

/** The media type of the text: Prometheus' exposition format, version 0.0.4. */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

type Labels = Readonly<Record<string, string>>;

/**
 * The metrics as text. Their labels are bounded: formats, reasons and codes are few, types are those of the
 * catalogue, and version and epoch stay for the life of the process.
 */
export function renderMetrics(version: string, channel: EventLog, endpoint: EndpointStats): string {
  const { events, bytes, published } = channel.stats();
  const formats = Object.entries(endpoint.formats);
  const lines: string[] = [];

  function family(
    kind: "counter" | "gauge" | "histogram",
    name: string,
    help: string,
  ): (line: string) => void {
    lines.push(`# HELP events_endpoint_${name} ${help}`, `# TYPE events_endpoint_${name} ${kind}`);
    return (line) => lines.push(`events_endpoint_${name}${line}`);
  }

  function gauge(name: string, help: string, samples: Iterable<[labels: Labels, value: number]>): void {
    const add = family("gauge", name, help);
    for (const [labels, value] of samples) add(`${labelled(labels)} ${value}`);
  }

  function counter(name: string, help: string, samples: Iterable<[labels: Labels, value: number]>): void {
    const add = family("counter", `${name}_total`, help);
    for (const [labels, value] of samples) add(`${labelled(labels)} ${value}`);
  }

  function histogram(
    name: string,
    help: string,
    samples: Iterable<[labels: Labels, value: Histogram]>,
  ): void {
    const add = family("histogram", name, help);
    for (const [labels, { bounds, counts, sum }] of samples) {
      let count = 0;
      for (const [bucket, inBucket] of counts.entries()) {
        count += inBucket;
        add(`_bucket${labelled({ ...labels, le: `${bounds[bucket] ?? "+Inf"}` })} ${count}`);
      }
      add(`_sum${labelled(labels)} ${sum}`);
      add(`_count${labelled(labels)} ${count}`);
    }
  }

  /** One sample for each value of a label. */
  function by(
    label: string,
    values: Readonly<Record<string, number>>,
    more: Labels = {},
  ): [Labels, number][] {
    return Object.entries(values).map(([value, number]) => [{ ...more, [label]: value }, number]);
  }

  gauge("info", "The version that runs, and the epoch of its cursors.", [[
    { version, epoch: channel.epoch },
    1,
  ]]);
  gauge("degraded", "Whether something keeps the server from taking or telling events.", [[
    {},
    channel.problem === undefined ? 0 : 1,
  ]]);
  counter("published_events", "Events published.", by("type", published));
  gauge("history_events", "Events kept for those who resume.", [[{}, events]]);
  gauge("history_bytes", "Size of the JSON of the events kept.", [[{}, bytes]]);
  gauge(
    "subscribers",
    "Streams that are open.",
    formats.map(([format, { subscribers }]) => [{ format }, subscribers]),
  );
  counter(
    "ended_streams",
    "Streams that are over.",
    formats.flatMap(([format, { ended }]) => by("reason", ended, { format })),
  );
  counter(
    "deliveries",
    "Events handed to subscribers, each once for every subscriber.",
    formats.map(([format, { deliveries }]) => [{ format }, deliveries]),
  );
  counter(
    "sent_bytes",
    "Bytes handed to subscribers.",
    formats.map(([format, { bytes }]) => [{ format }, bytes]),
  );
  for (
    const [name, help, of] of [
      ["losses", "Number of events_lost sent to subscribers.", "times"],
      ["lost_events", "Events reported as lost to subscribers, as far as the number is known.", "events"],
    ] as const
  ) {
    counter(
      name,
      help,
      formats.flatMap(([format, { lost }]) =>
        Object.entries(lost).map(([reason, loss]): [Labels, number] => [{ format, reason }, loss[of]])
      ),
    );
  }
  counter("refusals", "Requests that were refused.", by("code", endpoint.refusals));
  histogram(
    "batch_events",
    "Events that went out together.",
    formats.map(([format, { batches }]) => [{ format }, batches]),
  );
  histogram(
    "publish_to_write_seconds",
    "Time from the publication of a batch's first event until the batch was handed to every subscriber.",
    formats.map(([format, { latency }]) => [{ format }, latency]),
  );
  return lines.join("\n") + "\n";
}

function labelled(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}
