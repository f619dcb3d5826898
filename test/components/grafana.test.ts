import t from 'tap';
import { parse } from 'yaml';
import { grafana } from '../../installer/components/grafana/component.ts';
import { nginx } from '../../installer/components/nginx/component.ts';
import type { Desired } from '../../installer/model/desired.ts';
import { componentInput, configFrom, imagesWith, renderWith } from '../support/component-render.ts';

const CONFIG = `
domain: app.example.com
services: { web: { image: "a:1", port: 3000, uses: [postgres, redis] } }
`;

function rendered(configText: string, isAvailable = true): Desired {
  const config = configFrom(configText);
  const { platform } = imagesWith();
  const missing = { unavailable: 'no registry answers' };
  const images = {
    services: {},
    platform: { ...platform, ...(isAvailable ? {} : { grafana: missing }) },
  };
  return renderWith([grafana, nginx], componentInput(config, { images }));
}

function dashboards(desired: Desired): string[] {
  return [...desired.files.keys()].flatMap(
    (path) => /dashboards\/(.+)\.json$/.exec(path)?.[1] ?? [],
  );
}

t.test('without an image it leaves one line in the plan and no other trace', async (t) => {
  const { stack, files, notices } = rendered(CONFIG, false);
  t.match(notices, [
    { text: /Grafana is left out: no registry answers\..*holdfast apply --refresh-images$/ },
  ]);
  t.same(Object.keys(stack.services), ['nginx']);
  t.notMatch([...files.keys()].join('\n'), 'grafana');
});

t.test('with an image it stands behind nginx on its own host, closed to strangers', async (t) => {
  const { stack, files } = rendered(CONFIG);
  t.match(stack.services['grafana'], {
    environment: {
      GF_SERVER_ROOT_URL: 'https://grafana.app.example.com/',
      GF_USERS_ALLOW_SIGN_UP: 'false',
      GF_AUTH_ANONYMOUS_ENABLED: 'false',
      GF_SECURITY_ADMIN_PASSWORD__FILE: '/run/secrets/admin-password',
    },
    networks: { monitor: null, 'app-grafana': null },
  });
  t.notOk(stack.services['grafana']?.ports);
  t.match(
    files.get('/var/lib/holdfast/stack/nginx/hosts/grafana.app.example.com.conf')?.content,
    /set \$route "grafana 3000 no";/,
  );
  t.match(files.get('/var/lib/holdfast/secret-mounts/grafana/GRAFANA_ADMIN_PASSWORD'), {
    content: 'secret of GRAFANA_ADMIN_PASSWORD',
    mode: 0o400,
    uid: 472,
    secret: true,
  });
  const source = files.get(
    '/var/lib/holdfast/stack/grafana/provisioning/datasources/prometheus.yaml',
  );
  t.match(parse(source?.content ?? ''), {
    datasources: [{ uid: 'prometheus', url: 'http://prometheus:9090' }],
  });
});

t.test(
  'dashboards are whole: JSON, every panel placed without overlap, a query each',
  async (t) => {
    const desired = rendered(CONFIG);
    t.same(dashboards(desired), ['overview', 'host', 'postgres', 'redis', 'nginx', 'backups']);
    for (const [path, file] of desired.files) {
      if (!path.endsWith('.json') || !path.includes('/grafana/')) continue;
      const { panels, uid } = JSON.parse(file.content);
      t.match(uid, /^holdfast-/);
      const taken = new Set<string>();
      for (const { gridPos, targets, id } of panels) {
        t.ok(targets.length > 0 && targets[0].expr !== '');
        for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
          for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
            if (taken.has(`${x},${y}`) || x >= 24) t.fail(`${path}: panel ${id} overlaps`);
            taken.add(`${x},${y}`);
          }
        }
      }
    }
  },
);

t.test('only what the server has, and only what the config names', async (t) => {
  const bare = 'domain: app.example.com\nservices: { web: { image: "a:1", port: 3000 } }\n';
  t.same(dashboards(rendered(bare)), ['overview', 'host', 'nginx', 'backups']);
  const chosen = rendered(`${bare}monitoring: { grafana: { dashboards: [host, business] } }`);
  t.same(dashboards(chosen), ['host']);
  t.match(chosen.notices, [{ text: /there is no dashboard business; there are overview, host/ }]);
  const unknown = rendered(`${bare}monitoring: { grafana: { dashboards: [business] } }`);
  t.equal(dashboards(unknown).length, 4);
});

t.test('it is off where metrics are off', async (t) => {
  const off = (text: string) => grafana.enabled(configFrom(`${CONFIG}monitoring: ${text}`));
  t.equal(off('{ prometheus: { enabled: false } }'), false);
  t.equal(off('{ grafana: { enabled: false } }'), false);
  t.equal(off('{}'), true);
});
