import type { ScrapeTarget } from '../../model/contribution.ts';
import { PROMETHEUS_PORT, PROMETHEUS_SERVICE } from './places.ts';

export interface ScrapeJob {
  readonly name: string;
  readonly path: string;
  readonly service: string;
  readonly port: number;
  /** Ask DNS for all addresses. */
  readonly replicated: boolean;
  /** Labels of the target's own metrics win over the target's, such as `job` of a backup. */
  readonly keepsLabels: boolean;
  /** Regular expression of metric names that are thrown away; absent keeps all. */
  readonly drop?: string;
  /** Series of one scrape at most; a service that makes up labels must not fill the disk. */
  readonly sampleLimit?: number;
}

/** Figures of exporters about themselves. */
const ABOUT_ITSELF = '(go|promhttp|process)_.*';
const SAMPLE_LIMIT = 20_000;

export function scrapeJobs(
  exporters: readonly { readonly service: string; readonly port: number }[],
  targets: readonly ScrapeTarget[],
): ScrapeJob[] {
  const own = [{ service: PROMETHEUS_SERVICE, port: PROMETHEUS_PORT }, ...exporters].map(
    ({ service, port }): ScrapeJob => ({
      name: service,
      path: '/metrics',
      service,
      port,
      replicated: false,
      keepsLabels: service === 'node-exporter',
      drop: service === PROMETHEUS_SERVICE ? 'go_.*' : ABOUT_ITSELF,
    }),
  );
  const services = targets.map(
    ({ job, path, service, port, replicated }): ScrapeJob => ({
      // Names of services and of exporters may meet.
      name: own.some(({ name }) => name === job) ? `service-${job}` : job,
      path,
      service,
      port,
      replicated,
      keepsLabels: false,
      sampleLimit: SAMPLE_LIMIT,
    }),
  );
  return [...own, ...services];
}
