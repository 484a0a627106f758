/**
 * A strict reader of HTTP/1.1: it tolerates no error of a server.
 *
 * @module
 */
import * as assert from "uvu/assert";

/** A response. */
export interface Answer {
  readonly status: number;
  /** Its header fields in order, the names in lower case. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The part of the body that has arrived. */
  readonly body: Uint8Array;
  /** Whether all of it has arrived. */
  readonly isWhole: boolean;
}

const STATUS_LINE = /^HTTP\/1\.[01] ([1-5]\d\d)(?: [\t\x20-\x7e]*)?$/;
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e]*?)[ \t]*$/;

/**
 * Returns the responses in the bytes that a server has sent so far, without those of status 1xx.
 *
 * @param isOver whether the server has closed the connection
 * @param isHead whether they answer `HEAD`, and have no body
 * @throws {Error} if the bytes are not HTTP/1.1
 */
export function readAnswers(bytes: Uint8Array, isOver: boolean, isHead: boolean = false): Answer[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const answers: Answer[] = [];
  for (let at = 0; at < buffer.length;) {
    const end = buffer.indexOf("\r\n\r\n", at);
    if (end === -1) break;
    const [first, ...lines] = buffer.toString("latin1", at, end).split("\r\n");
    const status = Number(matched(STATUS_LINE, first!)[1]);
    const headers = lines.map((line): [string, string] => {
      const [, name, value] = matched(FIELD, line);
      return [name!.toLowerCase(), value!];
    });
    at = end + 4;
    if (status < 200) continue;
    const { body, length, isWhole } = isHead || status === 204 || status === 304
      ? { body: new Uint8Array(), length: 0, isWhole: true }
      : readBody(buffer.subarray(at), headers, isOver);
    answers.push({ status, headers, body, isWhole });
    at += length;
    if (!isWhole) break;
  }
  return answers;
}

function matched(pattern: RegExp, line: string): RegExpExecArray {
  const match = pattern.exec(line);
  if (match === null) throw new Error(`${JSON.stringify(line)} in an answer is not ${pattern}`);
  return match;
}

/** Reads a body as far as it has arrived. Returns it and the number of its bytes on the wire (RFC 9112, section 6.3). */
function readBody(
  bytes: Uint8Array,
  headers: Answer["headers"],
  isOver: boolean,
): { body: Uint8Array; length: number; isWhole: boolean } {
  const [coding, ...codings] = valuesOf(headers, "transfer-encoding");
  const [length, ...lengths] = valuesOf(headers, "content-length");
  assert.ok(codings.length + lengths.length === 0 && !(coding && length), "a body has one length");
  if (coding !== undefined) {
    assert.is(coding.toLowerCase(), "chunked");
    return readChunks(bytes);
  }
  if (length === undefined) return { body: bytes, length: bytes.length, isWhole: isOver };
  assert.match(length, /^\d+$/);
  const body = bytes.subarray(0, Number(length));
  return { body, length: body.length, isWhole: body.length === Number(length) };
}

/** Reads a body in chunks (RFC 9112, section 7.1), without trailers. */
function readChunks(bytes: Uint8Array): { body: Uint8Array; length: number; isWhole: boolean } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const chunks: Uint8Array[] = [];
  let at = 0;
  let isWhole = false;
  while (!isWhole) {
    const end = buffer.indexOf("\r\n", at);
    if (end === -1) break;
    const line = buffer.toString("latin1", at, end);
    assert.match(line, /^[0-9a-f]+$/i, "the size of a chunk");
    const size = Number.parseInt(line, 16);
    const next = end + 2 + size;
    chunks.push(buffer.subarray(end + 2, next));
    if (next + 2 > buffer.length) break;
    assert.is(buffer.toString("latin1", next, next + 2), "\r\n", "a chunk is as long as it says");
    at = next + 2;
    isWhole = size === 0;
  }
  return { body: Buffer.concat(chunks), length: isWhole ? at : buffer.length, isWhole };
}

/** Returns the values of all header fields of this name. */
export function valuesOf(headers: Answer["headers"], name: string): string[] {
  return headers.filter(([other]) => other === name).map(([, value]) => value);
}

/**
 * Reads a response whose body is in chunks and has no end, and reports its whole lines. It reads each byte once, so a stream
 * may be of any length.
 */
export function responseReader(onLine: (line: string) => void): (bytes: Uint8Array) => void {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let head = "";
  let isInBody = false;
  /** Number of bytes left of the current chunk, with the two of the line end after it. */
  let left = 0;
  let rest = "";

  function onData(bytes: Uint8Array): void {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop()!;
    for (const line of lines) onLine(line);
  }

  function onHead(): void {
    if (!isInBody && head.endsWith("\r\n\r\n")) {
      assert.ok(head.startsWith("HTTP/1.1 200") && /\r\ntransfer-encoding: chunked\r\n/i.test(head), head);
      isInBody = true;
      head = "";
    } else if (isInBody && head.endsWith("\r\n")) {
      assert.match(head, /^[0-9a-f]+\r\n$/i);
      left = Number.parseInt(head, 16) + 2;
      assert.ok(left > 2, "the server never ends the response");
      head = "";
    }
  }

  return (bytes) => {
    for (let at = 0; at < bytes.length;) {
      if (left > 2) {
        const data = bytes.subarray(at, at + left - 2);
        at += data.length;
        left -= data.length;
        onData(data);
      } else if (left > 0) {
        assert.is(bytes[at++], left-- === 2 ? 0x0d : 0x0a, "a chunk is as long as it says");
      } else {
        head += String.fromCharCode(bytes[at++]!);
        onHead();
      }
    }
  };
}
