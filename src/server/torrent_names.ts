/**
 * The names in a torrent: from bytes in some encoding to text that is safe as a part of a path, as libtorrent cleans it.
 *
 * @module
 */

/** Maximum number of bytes of a name, its extension not counted. */
const MAX_NAME_BYTES = 240;
/** An extension this long, its dot included, is kept of a longer name. */
const MAX_EXTENSION_LENGTH = 10;

/**
 * What has no place in a name: slashes, NUL, and characters that change the direction of writing, which make one name look like
 * another.
 */
const REMOVED = /[\0/\\\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
/** Most names: nothing in them is looked for. */
const PLAIN = /^[\w .,()[\]-]{1,80}$/;
const CONTROL = /\p{Cc}/gu;
/** A drive of Windows: such a path leads out of any folder. */
const DRIVE = /^([A-Za-z]):/;

/** Encodings by names that the WHATWG Encoding Standard does not have. */
const ALIASES: Readonly<Record<string, string>> = {
  cp932: "shift_jis",
  cp936: "gbk",
  cp949: "euc-kr",
  cp950: "big5",
};

// A byte order mark at the start of a name is part of the name.
const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });

/** Turns the bytes of a name into text. */
export type DecodeText = (bytes: Uint8Array) => string;

/**
 * Makes the decoder of a torrent. UTF-8 comes first, whatever the torrent says of itself, because programs that write
 * `encoding` also write UTF-8; then that encoding; at last bytes that are neither become U+FFFD.
 *
 * @param label the value of `encoding`: `GBK`, `Shift_JIS`, `windows-1251`, …
 */
export function createTextDecoder(label: string | undefined): DecodeText {
  const other = label === undefined ? undefined : decoderOf(label.trim().toLowerCase());
  return (bytes) => {
    for (const decoder of [strict, other]) {
      try {
        if (decoder !== undefined) return decoder.decode(bytes);
      } catch {
        // The bytes are not of this encoding.
      }
    }
    return lenient.decode(bytes);
  };
}

function decoderOf(label: string): TextDecoder | undefined {
  try {
    return new TextDecoder(ALIASES[label] ?? label, { fatal: true });
  } catch {
    return undefined; // There is no such encoding here.
  }
}

/** Returns the name of a torrent as the name of a file or folder; empty if nothing is left of it. */
export function cleanName(name: string): string {
  const cleaned = withoutUnsafe(name);
  return /^\.{0,2}$/.test(cleaned) ? "" : cleaned;
}

/** Returns one part of a path; `_` if nothing is left of it. */
export function cleanPart(part: string): string {
  return cleanName(part) || "_";
}

/** Returns a path of cleaned parts, `/` between them: it is relative, and stays in its folder. */
export function cleanPath(parts: readonly string[]): string {
  return parts.map(cleanPart).join("/");
}

function withoutUnsafe(name: string): string {
  if (PLAIN.test(name)) return name;
  const text = name.replace(REMOVED, "").replace(CONTROL, "_").replace(DRIVE, "$1_");
  return shortened(text);
}

/** Cuts a long name, and keeps its extension. */
function shortened(text: string): string {
  if (text.length * 3 <= MAX_NAME_BYTES) return text;
  const encoder = new TextEncoder();
  let bytes = 0;
  let end = 0;
  for (const char of text) {
    bytes += encoder.encode(char).length;
    end += char.length;
    if (bytes >= MAX_NAME_BYTES) break;
  }
  if (end === text.length) return text;
  const dot = text.lastIndexOf(".");
  const hasExtension = dot >= end && text.length - dot <= MAX_EXTENSION_LENGTH;
  return text.slice(0, end) + (hasExtension ? text.slice(dot) : "");
}
