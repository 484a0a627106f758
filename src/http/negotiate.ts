/**
 * Content negotiation: the wire format of a stream, and the headers that go with it.
 *
 * @module
 */
import { type Accept, parseAccept } from "hono/utils/accept";
import { EventsError } from "../events/errors.ts";
import { FORMATS, type WireFormat } from "../stream/wire_format.ts";

/** A wire format, and the media type that the request asked for. */
export interface Negotiated {
  /** The format. */
  readonly format: WireFormat;
  /** The `Content-Type` of the response. */
  readonly mediaType: string;
}

/**
 * Selects the wire format for a request, of those that a client may choose from.
 *
 * @param accept the `Accept` header (RFC 9110, section 12.5.1); parameters other than `q` are ignored
 * @param name the value of `?format=`; it overrides the header
 * @throws {EventsError} `NotAcceptable` with the available media types; `InvalidParameter` for an unknown format
 */
export function negotiate(accept: string | undefined, name: string | undefined): Negotiated {
  const formats = FORMATS.filter((format) => !name || format.name === name);
  if (formats.length === 0) {
    const names = FORMATS.map((format) => format.name).join(" or ");
    throw new EventsError(
      "InvalidParameter",
      `format must be ${names}, not ${JSON.stringify(name?.slice(0, 128))}`,
    );
  }
  const ranges = readRanges(accept?.trim() || "*/*");
  let best: Negotiated | undefined;
  let bestQuality = 0;
  for (const format of formats) {
    for (const mediaType of format.mediaTypes) {
      const quality = qualityOf(mediaType, ranges);
      if (quality > bestQuality) {
        bestQuality = quality;
        best = { format, mediaType };
      }
    }
  }
  if (best !== undefined) return best;
  if (name) return { format: formats[0]!, mediaType: formats[0]!.mediaTypes[0] };
  const available = FORMATS.flatMap(({ mediaTypes }) => mediaTypes).join(", ");
  throw new EventsError(
    "NotAcceptable",
    `cannot answer with any of ${JSON.stringify(accept?.slice(0, 128))}: accept one of ${available}`,
  );
}

/** The values that RFC 9110 (section 12.4.2) allows. */
const QUALITY = /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/;

/** Reads the ranges of an `Accept` header. Hono reads a malformed quality as 1, so a range with one is dropped here. */
function readRanges(accept: string): Accept[] {
  return parseAccept(accept.toLowerCase()).filter(({ params: { q } }) => q === undefined || QUALITY.test(q));
}

/** Returns the quality that the most specific of the ranges gives a media type; 0 if it is not acceptable. */
function qualityOf(mediaType: string, ranges: readonly Accept[]): number {
  for (const type of [mediaType, mediaType.replace(/\/.*/, "/*"), "*/*"]) {
    const range = ranges.find((range) => range.type === type);
    if (range !== undefined) return range.q;
  }
  return 0;
}

/** Returns the headers of a stream, also of one that ends at once. */
export function headersOf(mediaType: string): Record<string, string> {
  return {
    "Content-Type": mediaType,
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept",
  };
}
