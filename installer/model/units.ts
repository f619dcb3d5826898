/** Words for time, size, zone and schedule as they stand in config.yaml. All pure. */

const SECONDS_PER: Readonly<Record<string, number>> = {
  s: 1,
  m: 60,
  h: 3_600,
  d: 86_400,
  w: 7 * 86_400,
  // A month and a year are fixed spans here: what they bound (retention, lifecycles) counts days.
  M: 30 * 86_400,
  y: 365 * 86_400,
};

const BYTES_PER: Readonly<Record<string, number>> = {
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
};

/** Seconds in `30s 5m 1h 7d 8w 12M 7y`; undefined when the text is not a duration. */
export function parseDuration(text: string): number | undefined {
  return parseQuantity(text, /^(\d{1,9})([smhdwMy])$/, SECONDS_PER);
}

/** Bytes in `512k 10m 4g 1t` (powers of 1024); undefined when the text is not a size. */
export function parseSize(text: string): number | undefined {
  return parseQuantity(text, /^(\d{1,9})([kmgt])$/, BYTES_PER);
}

/** The shortest duration word for a whole number of seconds, such as `90m` for 5400. */
export function formatDuration(seconds: number): string {
  return formatQuantity(seconds, ['d', 'h', 'm', 's'], SECONDS_PER);
}

/** The shortest size word for a number of bytes; bytes that are no whole KiB are rounded up to one. */
export function formatSize(bytes: number): string {
  const whole = Math.ceil(bytes / 1024) * 1024;
  return formatQuantity(whole, ['g', 'm', 'k'], BYTES_PER);
}

function parseQuantity(
  text: string,
  form: RegExp,
  unitValues: Readonly<Record<string, number>>,
): number | undefined {
  const [, digits, unit] = form.exec(text) ?? [];
  if (digits === undefined || unit === undefined) return undefined;
  const value = Number(digits) * (unitValues[unit] ?? Number.NaN);
  return Number.isSafeInteger(value) ? value : undefined;
}

function formatQuantity(
  value: number,
  units: readonly string[],
  unitValues: Readonly<Record<string, number>>,
): string {
  const smallest = units.at(-1) ?? '';
  const unit =
    value === 0 ? smallest : units.find((candidate) => value % (unitValues[candidate] ?? 1) === 0);
  const chosen = unit ?? smallest;
  return `${value / (unitValues[chosen] ?? 1)}${chosen}`;
}

/**
 * The IANA zone, such as `Europe/Paris` or `UTC`, as this Node itself spells it: `TZ`, which the agent sets, is UTC for
 * `europe/paris`. Undefined when there is none. Offsets (`+02:00`) are no zones.
 */
export function timeZoneNamed(name: string): string | undefined {
  if (!/^[A-Za-z][A-Za-z0-9_+\-/]*$/.test(name)) return undefined;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

interface CronField {
  readonly from: number;
  readonly to: number;
  readonly names?: readonly string[];
}

const MONTH_FIELD: CronField = { from: 1, to: 12, names: MONTHS };

const CRON_FIELDS: readonly CronField[] = [
  { from: 0, to: 59 },
  { from: 0, to: 23 },
  { from: 1, to: 31 },
  MONTH_FIELD,
  { from: 0, to: 7, names: WEEKDAYS },
];

/** Whether the text is a cron schedule of five fields (minute hour day month weekday), as cron(5) has them, that ever comes. */
export function isCron(text: string): boolean {
  const words = text.trim().split(/\s+/);
  if (words.length !== CRON_FIELDS.length) return false;
  const isWellFormed = CRON_FIELDS.every((field, index) =>
    (words[index] ?? '').split(',').every((part) => isCronPart(part, field)),
  );
  return isWellFormed && hasPossibleDay(words[2] ?? '', words[3] ?? '');
}

const DAYS_OF_MONTH = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** The 31st of February never comes, whatever the weekday says. */
function hasPossibleDay(days: string, months: string): boolean {
  const first = Math.min(...days.split(',').map((part) => Number(/^\d+/.exec(part)?.[0] ?? 1)));
  const longest = DAYS_OF_MONTH.filter((_, index) =>
    months.split(',').some((part) => {
      if (part.startsWith('*')) return true;
      const ends = (part.split('/')[0] ?? '').split('-');
      const [low = 1, high = low] = ends.map((end) => cronNumber(end, MONTH_FIELD));
      return low <= index + 1 && index + 1 <= high;
    }),
  );
  return first <= Math.max(...longest);
}

function isCronPart(part: string, field: CronField): boolean {
  const [, range = '', step] = /^([^/]+)(?:\/(\d{1,2}))?$/.exec(part) ?? [];
  if (range === '') return false;
  if (step !== undefined && (Number(step) < 1 || Number(step) > field.to)) return false;
  if (range === '*') return true;
  const ends = range.split('-').map((end) => cronNumber(end, field));
  const [low, high = low] = ends;
  if (ends.length > 2 || low === undefined || high === undefined) return false;
  // A step needs a range: `5/10` means different things to different crons.
  if (step !== undefined && ends.length === 1) return false;
  return low <= high;
}

function cronNumber(word: string, field: CronField): number | undefined {
  const named = field.names?.indexOf(word.toLowerCase()) ?? -1;
  if (named >= 0) return named + (field.names === MONTHS ? 1 : 0);
  if (!/^\d{1,2}$/.test(word)) return undefined;
  const value = Number(word);
  return value >= field.from && value <= field.to ? value : undefined;
}
