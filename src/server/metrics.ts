/**
 * The numbers of a channel and its endpoint in Prometheus' text format.
 *
 * It uses no metrics library: those keep counters of their own, and the channel and the endpoint have already counted.
 *
 * @module
 */
import type { Context } from "hono";
import type { EventLog } from "../channel/channel.ts";
import { checkArgument, checkOptions, STRING } from "../events/arguments.ts";
import type { EndpointStats } from "../http/options.ts";
import type { Histogram } from "../stream/histogram.ts";
import type { StreamStats } from "../stream/stats.ts";
import { VERSION } from "../version.ts";
import { type AnyEndpoint, ENDPOINTS } from "./any_endpoint.ts";

/** The media type of the text: Prometheus' exposition format, version 0.0.4. */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

type Labels = Readonly<Record<string, string>>;
type Sample<T> = readonly [labels: Labels, value: T];
/** The streams of each wire format, by its name. */
type Formats = readonly (readonly [format: string, stats: StreamStats])[];

/** Options of {@linkcode metricsHandler}. */
export interface MetricsOptions {
  /** The version in `events_endpoint_info`: that of the application, for example. Default that of this package. */
  readonly version?: string;
}

/**
 * Makes a handler that answers with the numbers of an endpoint and its channel in Prometheus' text format.
 *
 * @param endpoints the endpoint, as `eventsEndpoint` makes it; or several of one channel, whose numbers are added
 * @throws {TypeError} for another argument, and for an option that there is not
 *
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import { createChannel, defineEvents, eventsEndpoint } from "events-endpoint";
 * import { metricsHandler } from "events-endpoint/server";
 *
 * const endpoint = eventsEndpoint(createChannel(defineEvents({ tick: null })));
 * const app = new Hono().route("/events", endpoint).get("/metrics", metricsHandler(endpoint));
 * console.log((await (await app.request("/metrics")).text()).includes("events_endpoint_info")); // true
 * ```
 */
export function metricsHandler(
  endpoints: AnyEndpoint | readonly AnyEndpoint[],
  options: MetricsOptions = {},
): (c: Context) => Response {
  checkArgument("metricsHandler: the endpoint", endpoints, ENDPOINTS);
  checkOptions("metricsHandler", options, { version: STRING });
  return metricsOf([endpoints].flat(), options.version ?? VERSION);
}

/**
 * Makes the handler.
 *
 * @param refusals returns the number of requests that were refused before they came to an endpoint, by code
 */
export function metricsOf(
  endpoints: readonly AnyEndpoint[],
  version: string,
  refusals: () => Counts = () => ({}),
): (c: Context) => Response {
  return (c) => {
    const stats = endpoints.map((endpoint) => endpoint.stats());
    const text = renderMetrics(version, endpoints[0]!.channel, {
      subscribers: stats.reduce((sum, { subscribers }) => sum + subscribers, 0),
      formats: Object.assign({}, ...stats.map(({ formats }) => formats)),
      authorized: stats.reduce((counts, { authorized }) => sum(counts, authorized), {} as Counts),
      refusals: stats.reduce((counts, { refusals }) => sum(counts, refusals), refusals()),
    });
    return c.body(text, { headers: { "Content-Type": METRICS_TYPE } });
  };
}

type Counts = Readonly<Record<string, number>>;

/** Both counts in one, key by key. */
function sum(some: Counts, others: Counts): Counts {
  const keys = [...new Set([...Object.keys(some), ...Object.keys(others)])];
  return Object.fromEntries(keys.map((key) => [key, (some[key] ?? 0) + (others[key] ?? 0)]));
}

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
