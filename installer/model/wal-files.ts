/** Names of files as a WAL receiver leaves them. */

/** 24 hex digits: timeline, upper and lower half of the position. */
const SEGMENT = /^[0-9A-F]{24}$/;
const PARTIAL = /^([0-9A-F]{24})\.partial$/;
const HISTORY = /^[0-9A-F]{8}\.history$/;

export function isSegment(name: string): boolean {
  return SEGMENT.test(name);
}

/** The segment that is still being received, by the name that it will have. */
export function partialOf(name: string): string | undefined {
  return PARTIAL.exec(name)?.[1];
}

/** Says where a timeline left the one before it. */
export function isTimelineHistory(name: string): boolean {
  return HISTORY.test(name);
}

export function isWalFile(name: string): boolean {
  return isSegment(name) || isTimelineHistory(name) || partialOf(name) !== undefined;
}

/** When each file was last written, by its name; milliseconds since the epoch. */
export type WriteTimes = Readonly<Record<string, number>>;

/** Whether a file was written since. Any other time tells: the clock may have been put back in between. */
export function wasWritten(name: string, mtimeMs: number, before: WriteTimes | undefined): boolean {
  return before?.[name] !== mtimeMs;
}
