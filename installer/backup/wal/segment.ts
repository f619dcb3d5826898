/** Positions in the WAL as numbers of bytes: exact up to 8 PiB of WAL. */

const HALF = 2 ** 32;

/** `1/6B3A2F8` as a number. @throws RangeError */
export function parseLsn(text: string): number {
  const [, high, low] = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text) ?? [];
  if (high === undefined || low === undefined) throw new RangeError(`not a WAL position: ${text}`);
  return Number.parseInt(high, 16) * HALF + Number.parseInt(low, 16);
}

export function lsnText(lsn: number): string {
  const high = Math.floor(lsn / HALF);
  return `${high.toString(16).toUpperCase()}/${(lsn % HALF).toString(16).toUpperCase()}`;
}

export interface Segment {
  readonly timeline: number;
  /** Counted from the beginning of the WAL. */
  readonly index: number;
}

/** By the first eight digits of the name of a segment, of the beginning of one, or of a history. */
export function timelineOf(name: string): number {
  return Number.parseInt(name.slice(0, 8), 16);
}

/** @throws RangeError */
export function parseSegment(name: string, segmentBytes: number): Segment {
  const [, timeline, high, low] = /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})$/.exec(name) ?? [];
  if (timeline === undefined || high === undefined || low === undefined) {
    throw new RangeError(`not a WAL segment: ${name}`);
  }
  const perHalf = HALF / segmentBytes;
  return {
    timeline: Number.parseInt(timeline, 16),
    index: Number.parseInt(high, 16) * perHalf + Number.parseInt(low, 16),
  };
}

export function segmentName({ timeline, index }: Segment, segmentBytes: number): string {
  const perHalf = HALF / segmentBytes;
  return [timeline, Math.floor(index / perHalf), index % perHalf].map(hex8).join('');
}

/** The segment that holds a position. */
export function segmentAt(lsn: number, segmentBytes: number): number {
  return Math.floor(lsn / segmentBytes);
}

function hex8(value: number): string {
  return value.toString(16).toUpperCase().padStart(8, '0');
}
