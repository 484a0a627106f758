/**
 * The wire format of a response, as its request asks for it, and the headers that go with it.
 *
 * @module
 */
import { EventsError } from "../events/errors.ts";
import { FORMATS, type WireFormat } from "../stream/wire_format.ts";

/** A wire format, under the name that was asked for. */
export interface Negotiated {
  /** The format. */
  readonly format: WireFormat;
  /** The `Content-Type` to answer with. */
  readonly mediaType: string;
}

/**
 * The wire format for a request.
 *
 * @param accept the `Accept` header (RFC 9110, section 12.5.1); parameters other than `q` are not looked at
 * @param name what `?format=` says; it overrides the header
 * @throws {EventsError} `NotAcceptable` with what is to be had; `InvalidParameter` for a format there is none of
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
  const ranges = parseAccept(accept?.trim() || "*/*");
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
    `none of ${JSON.stringify(accept?.slice(0, 128))} is to be had: accept one of ${available}`,
  );
}

/** A part of an `Accept` header. */
interface MediaRange {
  readonly type: string;
  readonly subtype: string;
  readonly quality: number;
}

const QUALITY = /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/;

/** The ranges of an `Accept` header; one that cannot be read asks for nothing. */
function parseAccept(accept: string): MediaRange[] {
  // What stands in quotes is a value of a parameter that is not looked at, and may hold commas and semicolons. Every
  // quote that is opened matches, also one that is never closed: what failed would be tried again from each that follows.
  const unquoted = accept.replace(/"(?:\\.|[^"\\])*(?:"|\\?$)/g, '""');
  return unquoted.split(",").flatMap((part) => {
    const [range = "", ...parameters] = part.toLowerCase().split(";").map((text) => text.trim());
    const [type, subtype] = range.split("/");
    const quality = parameters.find((parameter) => /^q\s*=/.test(parameter))?.replace(/^q\s*=\s*/, "") ?? "1";
    if (!type || !subtype || !QUALITY.test(quality)) return [];
    return [{ type, subtype, quality: Number(quality) }];
  });
}

/** The quality that the most specific of the ranges gives a media type; 0: not wanted. */
function qualityOf(mediaType: string, ranges: readonly MediaRange[]): number {
  const [type, subtype] = mediaType.split("/");
  const exact = ranges.find((range) => range.type === type && range.subtype === subtype);
  const sameType = ranges.find((range) => range.type === type && range.subtype === "*");
  const any = ranges.find((range) => range.type === "*" && range.subtype === "*");
  return (exact ?? sameType ?? any)?.quality ?? 0;
}

/** The headers of a stream, also of one that ends at once. */
export function headersOf(mediaType: string): Record<string, string> {
  return {
    "Content-Type": mediaType,
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept",
  };
}
