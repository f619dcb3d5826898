import type { AlertRule, Contribution, FileSpec, Reaction } from '../../model/contribution.ts';
import { formatDuration } from '../../model/units.ts';
import { backupSettings } from '../backups/component.ts';
import type { Collected, Component, ComponentInput } from '../component.ts';
import { dataNetwork, MONITOR_NETWORK } from '../networks.ts';
import { httpHealthTest, imageNeed, requiredImage } from '../platform-image.ts';
import { ownAlerts } from './alerts.ts';
import { exporterFragments, exporterSecrets, exportersOf } from './exporters.ts';
import {
  CONFIG_FOLDER,
  MEASURING_UID,
  PROMETHEUS_PORT,
  PROMETHEUS_SERVICE,
  PROMETHEUS_VOLUME,
} from './places.ts';
import { scrapeJobs } from './scrape-jobs.ts';

const MIB = 1024 ** 2;
const CONFIG_FILE = `${CONFIG_FOLDER}/prometheus.yml`;
/** Seconds. */
const LONGEST_SCRAPE = 10;
/** A container of holdfast reloads without a port that could be asked from elsewhere. */
const HANG_UP = ['sh', '-c', 'kill -HUP 1'] as const;

/** Prometheus and its exporters: nothing of it can be reached from outside. */
export const prometheus: Component = {
  id: 'prometheus',
  enabled: (config) => config.monitoring.prometheus.enabled,
  needs: (config) => ({
    images: [
      imageNeed(config, 'prometheus'),
      ...exportersOf(config).map(({ image }) => imageNeed(config, image)),
    ],
  }),
  collect,
};

function collect(input: ComponentInput, collected: Collected): Contribution {
  const { config, paths } = input;
  const { retention, enhanced } = config.monitoring.prometheus;
  const image = requiredImage(input, 'prometheus');
  const memory = (enhanced ? 768 : 384) * MIB;
  const networks = [
    MONITOR_NETWORK,
    ...collected.scrapes.map(({ service }) => dataNetwork(service)),
  ];
  return {
    fragments: [
      {
        component: 'prometheus',
        template: 'prometheus.yaml.ejs',
        data: {
          image: image.reference,
          user: `${MEASURING_UID}:${MEASURING_UID}`,
          arguments: [
            `--config.file=${CONFIG_FILE}`,
            '--storage.tsdb.path=/prometheus',
            `--storage.tsdb.retention.time=${formatDuration(retention)}`,
            `--web.listen-address=:${PROMETHEUS_PORT}`,
            '--log.level=warn',
          ],
          configFolder: `${paths.stack}/prometheus`,
          volume: PROMETHEUS_VOLUME,
          networks: Object.fromEntries(networks.map((name) => [name, null])),
          networkKinds: Object.fromEntries(networks.map((name) => [name, { internal: true }])),
          healthTest: httpHealthTest(
            image,
            `http://127.0.0.1:${PROMETHEUS_PORT}/-/healthy`,
            'wget',
          ),
          memory,
          // The Go runtime collects harder near this instead of being killed at the limit.
          softMemory: `${Math.floor((memory * 0.8) / MIB)}MiB`,
        },
      },
      ...exporterFragments(input),
    ],
    files: [...configFiles(input, collected), ...exporterSecrets(input)],
    unbackedVolumes: [
      {
        volume: PROMETHEUS_VOLUME,
        reason: 'measurements of the past; a restored server starts its own',
      },
    ],
    reloads: {
      [PROMETHEUS_SERVICE]: {
        test: ['promtool', 'check', 'config', CONFIG_FILE],
        argv: HANG_UP,
      },
    },
    validators: [
      {
        id: 'prometheus',
        folder: 'prometheus',
        image: 'prometheus',
        argv: ['promtool', 'check', 'config', CONFIG_FILE],
        target: CONFIG_FOLDER,
      },
    ],
  };
}

const RELOAD: readonly Reaction[] = [{ kind: 'reload', service: PROMETHEUS_SERVICE }];

function configFiles(input: ComponentInput, collected: Collected): FileSpec[] {
  const { config } = input;
  const scrapeInterval = Math.max(config.monitoring.prometheus.scrapeInterval, 1);
  const file = (path: string, template: string, data: Record<string, unknown>): FileSpec => ({
    path: `prometheus/${path}`,
    component: 'prometheus',
    content: { template: `templates/prometheus/${template}`, data, format: 'yaml' },
    onChange: RELOAD,
  });
  const alerts = [...collected.alerts, ...ownAlerts(config, backupSettings(input, collected))];
  const groups = groupsOf(alerts);
  return [
    file('prometheus.yml', 'prometheus.yml.ejs', {
      rules: groups.map(([component]) => component),
      interval: formatDuration(scrapeInterval),
      timeout: formatDuration(Math.min(scrapeInterval, LONGEST_SCRAPE)),
      jobs: scrapeJobs(exportersOf(config), collected.scrapes),
    }),
    ...groups.map(([component, rules]) =>
      file(`rules/${component}.yml`, 'rules.yml.ejs', { component, rules }),
    ),
  ];
}

function groupsOf(alerts: readonly AlertRule[]): [string, AlertRule[]][] {
  const components = [...new Set(alerts.map(({ component }) => component))].sort();
  return components.map((name) => [name, alerts.filter(({ component }) => component === name)]);
}
