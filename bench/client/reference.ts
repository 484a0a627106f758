/** The reference stream, what every subscriber has to receive: reference.c in JavaScript. See reference.h. */
import { Buffer } from "node:buffer";
import { microseconds } from "../servers/event.ts";

const NEWLINE = 10;
const COLON = 58;

/** How far one connection is. */
export interface Reader {
  number: number;
  /** Bytes of the reference it has received. */
  position: number;
  /** Events of it whose latency is recorded. */
  measured: number;
  inHeartbeat: boolean;
}

/** Up to the end of the line, or to the end of the bytes. */
export function lineEnd(bytes: Buffer, from: number): number {
  return bytes.indexOf(NEWLINE, from) + 1 || bytes.length;
}

export class Reference {
  readonly #sse: boolean;
  readonly #latency: boolean;
  readonly #fault: (text: string) => never;
  #bytes = Buffer.alloc(1 << 20);
  #length = 0;
  readonly #eventEnd: number[] = [];
  readonly #eventAt: number[] = [];
  #latencies: number[] = [];
  heartbeats = 0;

  constructor(sse: boolean, latency: boolean, fault: (text: string) => never) {
    this.#sse = sse;
    this.#latency = latency;
    this.#fault = fault;
  }

  /** How many whole events there are. */
  get events(): number {
    return this.#eventEnd.length;
  }

  get stream(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Where the first so many events end. */
  endOf(events: number): number {
    return events === 0 ? 0 : this.#eventEnd[events - 1] ?? Infinity;
  }

  forgetLatencies(): void {
    this.#latencies = [];
  }

  latencyQuantile(share: number): number {
    const sorted = Float64Array.from(this.#latencies).sort();
    return sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
  }

  /** Body bytes of one connection, cut anywhere; returns whether any of them was not a heartbeat. */
  take(reader: Reader, bytes: Buffer): boolean {
    const before = reader.position;
    for (let i = 0; i < bytes.length;) {
      const known = this.#length - reader.position;
      if (reader.inHeartbeat) { // up to the end of its line
        i = lineEnd(bytes, i);
        if (bytes[i - 1] !== NEWLINE) continue;
        reader.inHeartbeat = false;
        this.heartbeats++;
      } else if (known === 0 && this.#startsHeartbeat(bytes[i]) && this.#atBoundary(reader.position)) {
        reader.inHeartbeat = true;
      } else if (known === 0) { // the first to get here
        const end = lineEnd(bytes, i);
        this.#append(bytes.subarray(i, end));
        reader.position += end - i;
        i = end;
      } else {
        let same = Math.min(known, bytes.length - i);
        if (bytes.compare(this.#bytes, reader.position, reader.position + same, i, i + same) !== 0) {
          same = this.#sameUntilHeartbeat(reader, bytes, i);
          reader.inHeartbeat = true;
        }
        reader.position += same;
        i += same;
      }
    }
    if (this.#latency && reader.position !== before) this.#measure(reader);
    return reader.position !== before;
  }

  /** Whether an event has just ended at this position. */
  #atBoundary(position: number): boolean {
    if (position === 0) return true;
    return this.#bytes[position - 1] === NEWLINE && (!this.#sse || this.#bytes[position - 2] === NEWLINE);
  }

  #startsHeartbeat(byte: number | undefined): boolean {
    return byte === NEWLINE || (this.#sse && byte === COLON);
  }

  #append(line: Buffer): void {
    if (this.#length + line.length > this.#bytes.length) {
      this.#bytes = Buffer.concat([this.#bytes], 2 * (this.#length + line.length));
    }
    line.copy(this.#bytes, this.#length);
    this.#length += line.length;
    if (!this.#atBoundary(this.#length)) return;
    if (this.#latency) {
      const event = this.#bytes.toString("latin1", this.#eventEnd.at(-1) ?? 0, this.#length);
      this.#eventAt.push(Number(/"at":(\d+)/.exec(event)?.[1]));
    }
    this.#eventEnd.push(this.#length);
  }

  /** How many bytes are the same before a heartbeat begins; what differs and is none is a fault. */
  #sameUntilHeartbeat(reader: Reader, bytes: Buffer, from: number): number {
    let same = 0;
    while (bytes[from + same] === this.#bytes[reader.position + same]) same++;
    const at = reader.position + same;
    if (!this.#startsHeartbeat(bytes[from + same]) || !this.#atBoundary(at)) {
      const got = bytes.toString("latin1", from + same, from + same + 60);
      const want = this.#bytes.toString("latin1", at, Math.min(at + 60, this.#length));
      this.#fault(`connection ${reader.number} differs at byte ${at}: got ${got} where others got ${want}`);
    }
    return same;
  }

  #measure(reader: Reader): void {
    const now = microseconds();
    while (reader.measured < this.events && this.endOf(reader.measured + 1) <= reader.position) {
      this.#latencies.push(Math.max(0, now - (this.#eventAt[reader.measured++] ?? 0)));
    }
  }
}
