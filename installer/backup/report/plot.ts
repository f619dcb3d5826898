/** A measured value at a moment; `at` in milliseconds since the epoch. */
export interface PlotPoint {
  readonly at: number;
  readonly value: number;
}

export interface PlotInput {
  /** Begins each axis: `Comes back in`. */
  readonly title: string;
  readonly points: readonly PlotPoint[];
  /** Moments of runs that failed. */
  readonly failures: readonly number[];
  /** What was promised, seconds. */
  readonly limit?: number;
  readonly from: number;
  readonly to: number;
  readonly format: (seconds: number) => string;
}

const WIDTH = 720;
const HEIGHT = 190;
const LEFT = 64;
const RIGHT = 14;
const TOP = 22;
const BOTTOM = 26;
const DAY = 86_400_000;
const STEPS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
];

/** One measure over time as SVG, from zero: a line through the points, the promise dashed, failures as crosses. */
export function plot(input: PlotInput): string {
  const { title, points, failures, limit, from, to, format } = input;
  const highest = Math.max(1, ...points.map(({ value }) => value), limit ?? 0);
  const step = STEPS.find((one) => highest / one <= 4) ?? Math.ceil(highest / 4);
  const top = Math.ceil(highest / step) * step;
  const x = (at: number): string =>
    (LEFT + ((at - from) / (to - from)) * (WIDTH - LEFT - RIGHT)).toFixed(1);
  const y = (value: number): string =>
    (HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM)).toFixed(1);
  const grid = Array.from({ length: Math.round(top / step) + 1 }, (_none, n) => n * step).map(
    (value) =>
      `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(value)}" y2="${y(value)}"/>` +
      `<text class="axis" x="${LEFT - 8}" y="${Number(y(value)) + 4}" text-anchor="end">${format(value)}</text>`,
  );
  const dates = datesBetween(from, to).map(
    (at) =>
      `<text class="axis" x="${x(at)}" y="${HEIGHT - 8}" text-anchor="middle">${dayText(at)}</text>`,
  );
  const line = points.map(({ at, value }) => `${x(at)},${y(value)}`).join(' ');
  const dots = points.map(
    ({ at, value }) =>
      `<circle cx="${x(at)}" cy="${y(value)}" r="3.5"><title>${dayText(at)}: ${format(value)}</title></circle>`,
  );
  const crosses = failures.map(
    (at) =>
      `<path class="failed" d="M${x(at)} ${y(0)}m-4 -9l8 8m0 -8l-8 8"><title>${dayText(at)}: failed</title></path>`,
  );
  const promise =
    limit === undefined
      ? ''
      : `<line class="limit" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(limit)}" y2="${y(limit)}"/>` +
        `<text class="limit" x="${WIDTH - RIGHT}" y="${Number(y(limit)) - 6}" text-anchor="end">promised ${format(limit)}</text>`;
  return [
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}">`,
    ...grid,
    ...dates,
    promise,
    points.length > 1 ? `<polyline points="${line}"/>` : '',
    ...dots,
    ...crosses,
    '</svg>',
  ].join('\n');
}

/** First days of months, or of weeks where there is one month. */
function datesBetween(from: number, to: number): number[] {
  const days = (to - from) / DAY;
  const every = days <= 14 ? 2 : days <= 62 ? 7 : 0;
  if (every > 0) {
    return Array.from(
      { length: Math.floor(days / every) + 1 },
      (_none, n) => from + n * every * DAY,
    );
  }
  const first = new Date(from);
  const months = Math.ceil(days / 28);
  return Array.from({ length: months }, (_none, n) =>
    Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + n, 1),
  ).filter((at) => at >= from && at <= to);
}

function dayText(at: number): string {
  return new Date(at).toLocaleDateString('en-GB', {
    day: 'numeric',
    month: 'short',
    timeZone: 'UTC',
  });
}
