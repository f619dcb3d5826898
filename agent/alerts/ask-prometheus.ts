import type { ActiveAlert } from '../../installer/model/alert.ts';
import { request } from '../net/request.ts';

const TIMEOUT_SECONDS = 10;
/** Room for some thousands of alerts. */
const LARGEST_ANSWER = 4 * 1024 ** 2;

interface Answer {
  readonly status: string;
  readonly data: {
    readonly alerts: readonly {
      readonly labels: Readonly<Record<string, string>>;
      readonly annotations: Readonly<Record<string, string>>;
      readonly state: 'pending' | 'firing';
      readonly activeAt: string;
    }[];
  };
}

export interface PrometheusAlerts {
  readonly firing: readonly ActiveAlert[];
  /** Keys of conditions that hold and have not held long enough. */
  readonly pending: ReadonlySet<string>;
}

/** The alerts of now. @throws Error when Prometheus does not answer, or not with alerts */
export async function askPrometheus(address: string, port: number): Promise<PrometheusAlerts> {
  const { status, body } = await request({
    url: new URL(`http://${address}:${port}/api/v1/alerts`),
    method: 'GET',
    timeoutSeconds: TIMEOUT_SECONDS,
    largestAnswer: LARGEST_ANSWER,
  });
  if (status !== 200) throw new Error(`it answered ${status}`);
  const { data } = JSON.parse(body) as Answer;
  const keyOf = (labels: Readonly<Record<string, string>>): string =>
    JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
  const firing = data.alerts.filter(({ state }) => state === 'firing');
  return {
    firing: firing.map(({ labels, annotations, activeAt }) => ({
      key: keyOf(labels),
      name: labels['alertname'] ?? '',
      severity: labels['severity'] ?? 'warn',
      summary: annotations['summary'] ?? '',
      runbook: annotations['runbook'] ?? '',
      since: new Date(activeAt).toISOString(),
    })),
    pending: new Set(
      data.alerts.filter(({ state }) => state === 'pending').map(({ labels }) => keyOf(labels)),
    ),
  };
}
