import type { Contribution, FileSpec, Notice } from '../../model/contribution.ts';
import type { Component, ComponentInput } from '../component.ts';
import { appNetwork, MONITOR_NETWORK } from '../networks.ts';
import { availableImage, httpHealthTest, imageNeed, requiredImage } from '../platform-image.ts';
import { PROMETHEUS_PORT, PROMETHEUS_SERVICE } from '../prometheus/places.ts';
import type { Config } from '../sections.ts';
import { type DashboardSource, dashboardsOf } from './dashboards.ts';
import { placed } from './layout.ts';
import { GRAFANA_ADMIN_SECRET as ADMIN_SECRET, GRAFANA_SERVICE as SERVICE } from './password.ts';

const PORT = 3000;
/** `grafana` of the official image. */
const UID = 472;
const VOLUME = 'grafana-data';
/** Rendered files, in the container. */
const FOLDER = '/etc/grafana/holdfast';

/** Grafana, where its official image can be had: Debian has none. */
export const grafana: Component = {
  id: 'grafana',
  enabled: ({ monitoring }) => monitoring.grafana.enabled && monitoring.prometheus.enabled,
  needs: (config) => ({
    images: [{ ...imageNeed(config, 'grafana'), optional: true }],
    hosts: [
      {
        host: config.monitoring.grafana.host,
        usedBy: 'monitoring.grafana.host',
        ...(config.monitoring.grafana.isHostWritten ? {} : { isUnasked: true }),
      },
    ],
    secrets: [
      {
        name: ADMIN_SECRET,
        generate: { kind: 'password', bytes: 24 },
        optional: false,
        usedBy: 'monitoring.grafana',
      },
    ],
  }),
  contribute(input): Contribution {
    if (availableImage(input, 'grafana') === undefined) return { notices: [leftOut(input)] };
    return {
      routes: [
        {
          host: input.config.monitoring.grafana.host,
          path: '/',
          service: SERVICE,
          port: PORT,
          strip: false,
          websocket: true,
          rawBody: false,
          allowFrom: [],
        },
      ],
      notices: unknownDashboards(input.config),
    };
  },
  collect(input): Contribution {
    return availableImage(input, 'grafana') === undefined ? {} : container(input);
  },
};

function leftOut({ images }: ComponentInput): Notice {
  const found = images.platform.grafana;
  const why = found !== undefined && 'unavailable' in found ? found.unavailable : 'no image';
  return {
    code: 'grafana-left-out',
    text: `Grafana is left out: ${why}. Metrics and alerts work without it. Once a registry can be reached: holdfast apply --refresh-images`,
  };
}

function container(input: ComponentInput): Contribution {
  const { config, paths } = input;
  const image = requiredImage(input, 'grafana');
  const passwordFile = `${paths.secretMounts}/${SERVICE}/${ADMIN_SECRET}`;
  return {
    fragments: [
      {
        component: 'grafana',
        template: 'grafana.yaml.ejs',
        data: {
          image: image.reference,
          // The group of the official image.
          user: `${UID}:0`,
          host: config.monitoring.grafana.host,
          address: `https://${config.monitoring.grafana.host}/`,
          passwordFile,
          configFolder: `${paths.stack}/grafana`,
          volume: VOLUME,
          networks: { [MONITOR_NETWORK]: null, [appNetwork(SERVICE)]: null },
          networkKinds: {
            [MONITOR_NETWORK]: { internal: true },
            [appNetwork(SERVICE)]: { internal: false },
          },
          healthTest: httpHealthTest(image, `http://127.0.0.1:${PORT}/api/health`, 'wget'),
        },
      },
    ],
    files: [
      {
        path: passwordFile,
        component: 'grafana',
        content: { text: input.secret(ADMIN_SECRET).reveal() },
        secret: true,
        mode: 0o400,
        uid: UID,
        gid: UID,
        onChange: [{ kind: 'restart', service: SERVICE }],
      },
      ...provisioning(),
      ...chosenDashboards(config).map(dashboardFile),
    ],
    unbackedVolumes: [
      {
        volume: VOLUME,
        reason: 'users and dashboards made by hand; what holdfast provisions comes back by itself',
      },
    ],
  };
}

/** Grafana reads these at its start only. */
function provisioning(): FileSpec[] {
  const file = (path: string, data: Record<string, unknown>): FileSpec => ({
    path: `grafana/provisioning/${path}`,
    component: 'grafana',
    content: { template: `templates/grafana/${path}.ejs`, data, format: 'yaml' },
    onChange: [{ kind: 'restart', service: SERVICE }],
  });
  return [
    file('datasources/prometheus.yaml', { url: `http://${PROMETHEUS_SERVICE}:${PROMETHEUS_PORT}` }),
    file('dashboards/holdfast.yaml', { folder: `${FOLDER}/dashboards` }),
  ];
}

/** Dashboards are read again by Grafana itself when they change. */
function dashboardFile({ id, title, panels }: DashboardSource): FileSpec {
  return {
    path: `grafana/dashboards/${id}.json`,
    component: 'grafana',
    content: {
      template: 'templates/grafana/dashboard.json.ejs',
      data: { id: `holdfast-${id}`, title, panels: placed(panels) },
      format: 'json',
    },
  };
}

/** Those that the config names; all of them when it names none, or none that exists. */
function chosenDashboards(config: Config): DashboardSource[] {
  const all = dashboardsOf(config);
  const wanted = config.monitoring.grafana.dashboards;
  const chosen = all.filter(({ id }) => wanted.includes(id));
  return chosen.length === 0 ? all : chosen;
}

function unknownDashboards(config: Config): Notice[] {
  const known = dashboardsOf(config).map(({ id }) => id);
  return config.monitoring.grafana.dashboards
    .filter((name) => !known.includes(name))
    .map((name) => ({
      code: 'unknown-dashboard',
      text: `monitoring.grafana.dashboards: there is no dashboard ${name}; there are ${known.join(', ')}`,
    }));
}
