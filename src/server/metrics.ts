/**
 * The numbers of a channel and its endpoint in Prometheus' text format.
 *
 * It uses no metrics library: those keep counters of their own, and the channel and the endpoint have already counted.
 *
 * @module
 */
import type { EventLog } from "../channel/channel.ts";
import type { EndpointStats } from "../http/options.ts";
import type { Histogram } from "../stream/histogram.ts";
import type { StreamStats } from "../stream/stats.ts";

/** The media type of the text: Prometheus' exposition format, version 0.0.4. */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

type Labels = Readonly<Record<string, string>>;
type Sample<T> = readonly [labels: Labels, value: T];
/** The streams of each wire format, by its name. */
type Formats = readonly (readonly [format: string, stats: StreamStats])[];

/**
 * Renders the metrics as text. Their labels are bounded: formats, reasons and codes are few, types are those of the
 * catalogue, and version and epoch stay for the life of the process.
 */
export function renderMetrics(version: string, channel: EventLog, endpoint: EndpointStats): string {
  const formats = Object.entries(endpoint.formats);
  const lines = [
    ...serverMetrics(version, channel),
    ...channelMetrics(channel),
    ...streamMetrics(formats),
    ...lossMetrics(formats),
    ...counter("refusals", "Rejected requests, by error code.", by("code", endpoint.refusals)),
    ...counter(
      "authorized_requests",
      "Requests for events that were authorized, by the name of their key.",
      by("key", endpoint.authorized),
    ),
    ...batchMetrics(formats),
  ];
  return lines.join("\n") + "\n";
}

function serverMetrics(version: string, { epoch, problem }: EventLog): string[] {
  const info = [[{ version, epoch }, 1]] as const;
  const degraded = [[{}, problem === undefined ? 0 : 1]] as const;
  return [
    ...gauge("info", "The version that runs, and the epoch of its cursors.", info),
    ...gauge("degraded", "1 while something keeps the server from accepting or sending events.", degraded),
  ];
}

function channelMetrics(channel: EventLog): string[] {
  const { events, bytes, published } = channel.stats();
  return [
    ...counter("published_events", "Events published.", by("type", published)),
    ...gauge("history_events", "Events kept in the history.", [[{}, events]]),
    ...gauge("history_bytes", "Size of the JSON of the events kept.", [[{}, bytes]]),
  ];
}

function streamMetrics(formats: Formats): string[] {
  const ended = formats.flatMap(([format, { ended }]) => by("reason", ended, { format }));
  return [
    ...gauge("subscribers", "Open streams.", byFormat(formats, ({ subscribers }) => subscribers)),
    ...counter("ended_streams", "Streams that ended, by reason.", ended),
    ...counter(
      "deliveries",
      "Events handed to subscribers, each once for every subscriber.",
      byFormat(formats, ({ deliveries }) => deliveries),
    ),
    ...counter("sent_bytes", "Bytes handed to subscribers.", byFormat(formats, ({ bytes }) => bytes)),
  ];
}

function lossMetrics(formats: Formats): string[] {
  const byReason = (of: "times" | "events") =>
    formats.flatMap(([format, { lost }]) =>
      Object.entries(lost).map(([reason, loss]): Sample<number> => [{ format, reason }, loss[of]])
    );
  return [
    ...counter("losses", "Number of events_lost sent to subscribers.", byReason("times")),
    ...counter(
      "lost_events",
      "Events reported as lost to subscribers, as far as the number is known.",
      byReason("events"),
    ),
  ];
}

function batchMetrics(formats: Formats): string[] {
  return [
    ...histogram(
      "batch_events",
      "Number of events handed out together.",
      byFormat(formats, ({ batches }) => batches),
    ),
    ...histogram(
      "publish_to_write_seconds",
      "Time from the publication of a batch's first event until the batch was handed to every subscriber.",
      byFormat(formats, ({ latency }) => latency),
    ),
  ];
}

/** Makes one sample for each wire format. */
function byFormat<T>(formats: Formats, valueOf: (stats: StreamStats) => T): Sample<T>[] {
  return formats.map(([format, stats]) => [{ format }, valueOf(stats)]);
}

/** Makes one sample for each value of a label. */
function by(label: string, values: Readonly<Record<string, number>>, more: Labels = {}): Sample<number>[] {
  return Object.entries(values).map(([value, number]) => [{ ...more, [label]: value }, number]);
}

function gauge(name: string, help: string, samples: readonly Sample<number>[]): string[] {
  return family("gauge", name, help, samples.map(([labels, value]) => `${labelled(labels)} ${value}`));
}

function counter(name: string, help: string, samples: readonly Sample<number>[]): string[] {
  const lines = samples.map(([labels, value]) => `${labelled(labels)} ${value}`);
  return family("counter", `${name}_total`, help, lines);
}

function histogram(name: string, help: string, samples: readonly Sample<Histogram>[]): string[] {
  const lines = samples.flatMap(([labels, { bounds, counts, sum }]) => {
    let count = 0;
    const buckets = counts.map((inBucket, i) => {
      count += inBucket;
      return `_bucket${labelled({ ...labels, le: `${bounds[i] ?? "+Inf"}` })} ${count}`;
    });
    return [...buckets, `_sum${labelled(labels)} ${sum}`, `_count${labelled(labels)} ${count}`];
  });
  return family("histogram", name, help, lines);
}

/** Writes a family of metrics; each line begins after the name that they share. */
function family(
  kind: "counter" | "gauge" | "histogram",
  name: string,
  help: string,
  lines: readonly string[],
) {
  const fullName = `events_endpoint_${name}`;
  const head = [`# HELP ${fullName} ${help}`, `# TYPE ${fullName} ${kind}`];
  return [...head, ...lines.map((line) => `${fullName}${line}`)];
}

function labelled(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}
