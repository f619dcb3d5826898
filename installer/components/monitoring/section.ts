import { z } from 'zod';
import {
  choice,
  decimal,
  duration,
  flag,
  list,
  mapping,
  text,
  wholeNumber,
} from '../../config/fields.ts';
import { name } from '../../config/fields-names.ts';
import { hostName, url } from '../../config/fields-network.ts';

const METRIC_PHRASE = 'the name of a metric: letters, digits, underscores and colons';
const metricName = z
  .string({ error: METRIC_PHRASE })
  .regex(/^[a-zA-Z_:][a-zA-Z0-9_:]*$/, { error: METRIC_PHRASE })
  .meta({ description: 'Name of a metric.', examples: ['node_disk_percent'] });

const probe = mapping(
  {
    name: name({ description: 'Name of the probe.', examples: ['api'] }),
    url: url({ description: 'What is asked.', examples: ['https://app.example.com/health'] }),
    every: duration({ description: 'How often.' }).prefault('1m'),
    expectBody: text({
      description: 'Text that the body has to contain.',
      examples: ['"status":"ok"'],
    }).optional(),
    certExpiryDays: wholeNumber(1, 365, {
      description: 'Fail when the certificate has fewer days left.',
    }).default(14),
  },
  { description: 'A question from the outside.' },
);

const rule = mapping(
  {
    name: name({ description: 'Name of the alert.', examples: ['disk-nearly-full'] }),
    metric: metricName,
    op: choice(['>', '<', '=='], { description: 'Comparison.' }),
    value: z.number({ error: 'a number' }).meta({ description: 'Threshold.', examples: [90] }),
    for: duration({ description: 'How long it has to hold.' }).prefault('5m'),
    severity: choice(['info', 'warn', 'page'], { description: 'Who is told.' }).prefault('warn'),
  },
  { description: 'An alert of your own.' },
);

export const monitoringSection = mapping(
  {
    prometheus: mapping(
      {
        enabled: flag({ description: 'Run Prometheus and the exporters.' }).default(true),
        retention: duration({ description: 'How long metrics are kept.' }).prefault('15d'),
        scrapeInterval: duration({ description: 'How often targets are read.' }).prefault('15s'),
        enhanced: flag({ description: 'More collectors, for more memory.' }).default(false),
      },
      { description: 'Prometheus.' },
    ).prefault({}),
    grafana: mapping(
      {
        enabled: flag({ description: 'Run Grafana, where its image can be had.' }).default(true),
        host: hostName({
          description: 'Its host.',
          examples: ['grafana.example.com'],
          defaultText: 'grafana.<domain>',
        }).optional(),
        adminPassword: choice(['generated'], {
          description: 'Generated once; `holdfast secrets list --show` tells it.',
        }).prefault('generated'),
        dashboards: list(name({ description: 'A dashboard.', examples: ['overview'] }), {
          description: 'Only these dashboards; empty means all that fit.',
        }).default([]),
      },
      { description: 'Grafana.' },
    ).prefault({}),
    customMetrics: mapping(
      {
        pushgateway: flag({ description: 'Run a gateway that jobs push to.' }).default(false),
        namespace: metricName
          .meta({ description: 'Start of every name.', examples: ['acme'] })
          .optional(),
        names: list(metricName, { description: 'Metrics that may be pushed.' }).default([]),
      },
      { description: 'Metrics of short jobs.' },
    ).optional(),
    slo: mapping(
      {
        p95: decimal(0.001, 60, {
          description: 'Response time that 95 % stay under, in seconds.',
          examples: [0.3],
        }).optional(),
        availability: decimal(50, 100, {
          description: 'Share of good answers, in percent.',
          examples: [99.9],
        }).optional(),
      },
      { description: 'What you promise.' },
    ).optional(),
    probes: list(probe, { description: 'Questions from the outside.' }).default([]),
    rules: list(rule, { description: 'Alerts of your own.' }).default([]),
  },
  { description: 'Metrics, dashboards, probes and alert rules.' },
).prefault({});

export type MonitoringInput = z.output<typeof monitoringSection>;
export type Probe = z.output<typeof probe>;
export type AlertRule = z.output<typeof rule>;
