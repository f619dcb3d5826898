import { counter, type Metric, type Sample } from './text-format.ts';

/** What of an access line counts here; the edge's `AccessLine` has more. */
interface Line {
  readonly host: string;
  readonly service: string;
  readonly status: number;
  readonly seconds: number;
  /** Which guard of the edge ended the request; empty or absent for none. */
  readonly refused?: unknown;
  /** Absent in lines of an earlier version. */
  readonly cache?: string;
}

/** Upper bounds in seconds; the last bucket is without one. */
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Hosts and services come from the config; this is for a day on which they do not. */
const MOST_SERIES = 2_000;

interface Durations {
  /** Not cumulative; one more than there are bounds. */
  readonly buckets: number[];
  sum: number;
}

/** Counters as they are kept over restarts. */
export interface RequestCountsState {
  readonly requests: Readonly<Record<string, number>>;
  readonly durations: Readonly<Record<string, Durations>>;
  /** Absent in what an earlier version kept. */
  readonly refused?: Readonly<Record<string, number>>;
  readonly caches?: Readonly<Record<string, number>>;
}

/** Requests by host, service and class of status, and how long they took by service. */
export class RequestCounts {
  readonly #requests: Map<string, number>;
  readonly #durations: Map<string, Durations>;
  readonly #refused: Map<string, number>;
  readonly #caches: Map<string, number>;

  constructor(state: RequestCountsState = { requests: {}, durations: {} }) {
    this.#requests = new Map(Object.entries(state.requests));
    this.#durations = new Map(Object.entries(state.durations));
    this.#refused = new Map(Object.entries(state.refused ?? {}));
    this.#caches = new Map(Object.entries(state.caches ?? {}));
  }

  /** Counts one line; a line that is none is passed over. */
  add(text: string): void {
    const line = parse(text);
    if (line === undefined) return;
    const codeClass = `${Math.floor(line.status / 100)}xx`;
    const key = JSON.stringify([line.host, line.service, codeClass]);
    if (!this.#requests.has(key) && this.#requests.size >= MOST_SERIES) return;
    this.#requests.set(key, (this.#requests.get(key) ?? 0) + 1);
    if (typeof line.refused === 'string' && line.refused !== '') {
      const refusal = JSON.stringify([line.host, line.refused]);
      this.#refused.set(refusal, (this.#refused.get(refusal) ?? 0) + 1);
    }
    if (line.cache) {
      const cache = JSON.stringify([line.host, line.cache]);
      this.#caches.set(cache, (this.#caches.get(cache) ?? 0) + 1);
    }

    const durations = this.#durations.get(line.service) ?? {
      buckets: Array.from({ length: BOUNDS.length + 1 }, () => 0),
      sum: 0,
    };
    const index = BOUNDS.findIndex((bound) => line.seconds <= bound);
    const bucket = index < 0 ? BOUNDS.length : index;
    durations.buckets[bucket] = (durations.buckets[bucket] ?? 0) + 1;
    durations.sum += line.seconds;
    this.#durations.set(line.service, durations);
  }

  state(): RequestCountsState {
    return {
      requests: Object.fromEntries(this.#requests),
      durations: Object.fromEntries(this.#durations),
      refused: Object.fromEntries(this.#refused),
      caches: Object.fromEntries(this.#caches),
    };
  }

  metrics(): Metric[] {
    const requests = [...this.#requests].map(([key, value]): Sample => {
      const [host = '', service = '', code_class = ''] = JSON.parse(key) as string[];
      return { labels: { host, service, code_class }, value };
    });
    const refused = [...this.#refused].map(([key, value]): Sample => {
      const [host = '', by = ''] = JSON.parse(key) as string[];
      return { labels: { host, by }, value };
    });
    const caches = [...this.#caches].map(([key, value]): Sample => {
      const [host = '', result = ''] = JSON.parse(key) as string[];
      return { labels: { host, result }, value };
    });
    const durations = [...this.#durations].flatMap(([service, one]) => histogram(service, one));
    return [
      counter('holdfast_http_requests_total', 'Requests that nginx answered.', requests),
      counter(
        'holdfast_http_refused_total',
        'Requests that a limit or the web application firewall ended.',
        refused,
      ),
      counter('holdfast_edge_cache_requests_total', 'What the edge caches did.', caches),
      {
        name: 'holdfast_http_request_duration_seconds',
        type: 'histogram',
        help: 'Seconds from the first byte of a request to the last byte of its answer.',
        samples: durations,
      },
    ];
  }
}

function histogram(service: string, { buckets, sum }: Durations): Sample[] {
  const samples: Sample[] = [];
  let total = 0;
  for (const [index, count] of buckets.entries()) {
    total += count;
    const le = String(BOUNDS[index] ?? '+Inf');
    samples.push({ suffix: '_bucket', labels: { service, le }, value: total });
  }
  samples.push({ suffix: '_sum', labels: { service }, value: Number(sum.toFixed(3)) });
  samples.push({ suffix: '_count', labels: { service }, value: total });
  return samples;
}

function parse(text: string): Line | undefined {
  try {
    const line = JSON.parse(text) as Line;
    const isWhole =
      typeof line.host === 'string' &&
      typeof line.service === 'string' &&
      typeof line.status === 'number' &&
      typeof line.seconds === 'number';
    return isWhole ? line : undefined;
  } catch {
    return undefined;
  }
}
