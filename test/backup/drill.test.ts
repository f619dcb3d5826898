import t from 'tap';
import { checkText, wrongAnswer } from '../../installer/backup/drill/ask-drilled.ts';
import { drillStack } from '../../installer/backup/drill/drill-stack.ts';

const COMPOSE = `
name: acme
services:
  web:
    image: acme/web:1
    profiles: [release]
    environment: { PRICE: "5 $$", DATABASE_HOST: postgres }
    ports: [{ target: 3000, published: "3000" }]
    extra_hosts: ["gateway:host-gateway"]
    pid: host
    privileged: true
    networks: { app-web: { aliases: [web] }, data-web: { aliases: [web, shop] } }
    depends_on: { postgres: { condition: service_healthy }, nginx: { condition: service_started } }
    restart: unless-stopped
    labels: { io.holdfast.component: services, io.holdfast.project: acme }
    volumes:
      - { type: volume, source: uploads, target: /uploads }
      - { type: bind, source: /var/lib/holdfast/secret-mounts/web/KEY, target: /run/secrets/KEY }
  web_a: { extends: { service: web }, labels: { io.holdfast.slot: a } }
  postgres:
    image: acme/postgres:17
    labels: { io.holdfast.component: postgres }
    healthcheck: { test: [CMD, pg_isready], interval: 30s, retries: 3, start_period: 120s }
    volumes: [{ type: volume, source: postgres-data-2, target: /var/lib/postgresql/data }]
  postgres-wal: { image: acme/postgres:17, labels: { io.holdfast.component: postgres } }
  nginx: { image: acme/nginx:1, labels: { io.holdfast.component: nginx } }
networks: { app-web: { name: acme_app-web, external: true } }
volumes: { uploads: { name: acme_uploads }, postgres-data-2: { name: acme_postgres-data-2 } }
`;
const SECRETS = 'services: { web: { environment: { TOKEN: "a$$b" } }, web_a: { environment: {} } }';

t.test('the stack of a drill: the product, its stores, and nothing that leads out', async (t) => {
  const images = new Map([['web', 'sha256:running']]);
  const disk = { device: '/dev/vda', bytesPerSecond: 1000 };
  const input = { project: 'acme', compose: COMPOSE, secrets: SECRETS, images, disk };
  const stack = drillStack(input);
  const file = JSON.parse(stack.compose);
  t.strictSame(Object.keys(file.services), ['web', 'postgres']);
  const { web } = file.services;
  for (const key of ['ports', 'extra_hosts', 'pid', 'privileged', 'profiles', 'container_name']) {
    t.equal(web[key], undefined, key);
  }
  t.match(web, {
    image: 'sha256:running',
    pull_policy: 'never',
    environment: { PRICE: '5 $$', DATABASE_HOST: 'postgres', TOKEN: 'a$$b' },
    dns: ['192.0.2.53'],
    oom_score_adj: 900,
    blkio_config: { device_write_bps: [{ path: '/dev/vda', rate: 1000 }] },
  });
  t.strictSame(web.networks, { drill: { aliases: ['shop'] } }, 'its own name comes by itself');
  t.strictSame(web.depends_on, { postgres: { condition: 'service_healthy' } });
  t.strictSame(web.labels, { 'io.holdfast.drill': 'acme' }, 'nobody takes it for a replica');
  t.equal(web.volumes[1].read_only, true, 'what is shared with the live stack is only read');
  t.strictSame(
    file.services.postgres.healthcheck,
    { test: ['CMD', 'pg_isready'], interval: '2s', retries: 45, start_period: '120s' },
    'looked at more often, and given up no sooner',
  );
  t.equal(web.healthcheck, undefined);
  t.equal(file.networks.drill.internal, true);
  t.strictSame(file.volumes, {
    uploads: { name: 'acme-drill_uploads' },
    'postgres-data-2': { name: 'acme-drill_postgres-data-2' },
  });
  t.strictSame([...stack.volumes.keys()], ['acme_uploads', 'acme_postgres-data-2']);
  const data = stack.volumeAt('postgres', '/var/lib/postgresql/data');
  t.equal(data, 'acme-drill_postgres-data-2', 'the volume that Postgres was swapped to');
  t.equal(stack.volumeAt('web', '/run/secrets/KEY'), undefined, 'no volume');
  t.strictSame(stack.usersOf('acme-drill_uploads'), ['web']);
  const { disk: _, ...free } = input;
  t.equal(JSON.parse(drillStack(free).compose).services.web.blkio_config, undefined);
});

t.test('an answer is judged as the agent judges it', async (t) => {
  const check = { kind: 'http', port: 3000, path: '/health', expect: '"ok"' } as const;
  t.equal(wrongAnswer(check, 'HTTP/1.1 200 OK\r\n\r\n{"status":"ok"}'), undefined);
  t.equal(
    wrongAnswer(check, 'HTTP/1.1 200 OK\r\n\r\n{}'),
    '/health answers without the expected text',
  );
  t.equal(wrongAnswer(check, 'HTTP/1.1 503 no\r\n\r\n"ok"'), '/health answers 503');
  t.equal(wrongAnswer(check, 'SSH-2.0'), '/health answers no HTTP');
  t.equal(checkText(check), 'GET :3000/health');
  t.equal(checkText({ kind: 'port', port: 9 }), 'port 9');
});
