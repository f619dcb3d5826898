import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import t from 'tap';
import { edgeFolders } from '../../installer/components/nginx/places.ts';
import { loadConfig } from '../../installer/config/load.ts';
import { formatProblem } from '../../installer/config/problem.ts';
import { SLOTS, slotName } from '../../installer/model/edge-state.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { Secret } from '../../installer/model/secret.ts';
import { composeSecretsText } from '../../installer/render/compose-file.ts';
import { builtImage, writeDesired } from '../support/containers.ts';
import { edgeDesired, routeTo } from '../support/edge.ts';
import { renderScenario, scenarios } from '../support/golden.ts';
import { outcome } from './support/docker.ts';

t.test('every character that an environment can hold arrives behind docker compose', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-characters-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const isHalf = (code: number) => code >= 0xd800 && code <= 0xdfff;
  const value = Array.from({ length: 0xffff }, (_, index) => index + 1)
    .filter((code) => !isHalf(code))
    .map((code) => ` ${String.fromCodePoint(code)} `)
    .join('');
  const secrets = composeSecretsText({ web: { ALL: new Secret(value) } });
  await writeFile(join(folder, 'secrets.yaml'), secrets);
  await writeFile(join(folder, 'compose.yaml'), 'services: { web: { image: "web:1" } }\n');
  const files = ['compose.yaml', 'secrets.yaml'].flatMap((file) => ['-f', join(folder, file)]);
  const config = ['docker', 'compose', ...files, 'config', '--format', 'json'] as const;
  const { code, stdout, stderr } = await outcome([...config]);
  t.equal(code, 0, stderr);
  const found: string = JSON.parse(stdout).services.web.environment.ALL;
  t.ok(found.replaceAll('$$', '$') === value, 'byte for byte');
});

t.test('nginx takes what check takes at its bounds', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-bounds-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const host = 'a.'.repeat(98).concat('com');
  const policy = 'a'.repeat(4000 - 'img-src '.length);
  const many = Array.from(
    { length: 130 },
    (_, index) => `  service-with-a-rather-long-name-no-${index}:
    { image: "a:1", port: 3000, resources: { memory: 6m }, routes: [{ path: /${index}/ }] }`,
  );
  const text = `version: 1
domain: ${host}
contact: ops@example.com
http:
  headers: { permissionsPolicy: '${'"'.repeat(2000)}' }
  csp: { img-src: [${policy}] }
  cors: { allowOrigins: ["https://${'a.'.repeat(140)}example.com"] }
edgeCache: [{ host: b${host.slice(1)}, origin: "https://c.example.com/${'%22'.repeat(330)}" }]
sites:
  front: { artifact: ./d, hosts: [c.example.com], downloads: { path: /st%61ts, volume: files } }
services:
  web:
    image: "a:1"
    port: 3000
    metrics: { path: /stats }
    resources: { memory: 6m }
    routes: [{ path: /stats/ }, { path: "/a%22%5C%7B%3B%20(b)+*/", strip: true }, { path: "/${'%22'.repeat(340)}", strip: true }, { host: c.example.com, path: /api/ }]
${many.join('\n')}
`;
  const loaded = loadConfig(text, 'config.yaml');
  t.strictSame(loaded.ok ? [] : loaded.problems.map(formatProblem), []);
  if (!loaded.ok) return;
  const routes = Object.values(loaded.config.services).flatMap(({ name, port = 0, routes: own }) =>
    own.map(({ host, path, strip }) => routeTo(name, port, { host, path, strip })),
  );
  const { desired } = await edgeDesired(folder, text, routes);
  await writeDesired(desired);
  const paths = pathsUnder(folder);
  const { code, stderr } = await outcome([
    'docker',
    ...['run', '--rm', '--network', 'none', '--entrypoint', 'nginx'],
    ...['--volume', `${paths.stack}/nginx:/etc/nginx/holdfast:ro`],
    ...['--volume', `${edgeFolders(paths).certificates}:/etc/nginx/certificates:ro`],
    ...['--tmpfs', '/var/cache/nginx', '--tmpfs', '/var/log/nginx'],
    await builtImage('nginx'),
    ...['-t', '-c', '/etc/nginx/holdfast/nginx.conf'],
  ]);
  t.equal(code, 0, stderr);
});

for (const name of scenarios()) {
  t.test(
    `${name}: docker compose accepts the rendered stack and reads back every value`,
    async (t) => {
      const folder = await mkdtemp(join(tmpdir(), 'holdfast-golden-'));
      t.teardown(() => rm(folder, { recursive: true, force: true }));
      const desired = renderScenario(name);
      for (const { path, content } of desired.files.values()) {
        if (!path.includes('/stack/compose')) continue;
        const target = join(folder, path);
        await mkdir(dirname(target), { recursive: true });
        await writeFile(target, content);
      }
      const stack = join(folder, 'var/lib/holdfast/stack');
      const compose = [
        'docker',
        'compose',
        '-f',
        join(stack, 'compose.yaml'),
        '-f',
        join(stack, 'compose.secrets.yaml'),
        '--profile',
        '*',
        'config',
        '--format',
        'json',
      ] as const;
      const { code, stdout, stderr } = await outcome([...compose]);
      t.equal(code, 0, stderr);
      const read = JSON.parse(stdout) as {
        name: string;
        services: Record<
          string,
          {
            environment?: Record<string, string>;
            mem_limit: string;
            labels: Record<string, string>;
          }
        >;
      };
      t.equal(read.name, desired.project);
      // What compose sees of a service of the product is its slot; its definition alone starts nothing.
      const shown = (service: string) =>
        desired.rolled.has(service) ? slotName(service, 'a') : service;
      const wanted = Object.keys(desired.stack.services).flatMap((service) =>
        desired.rolled.has(service)
          ? [service, ...SLOTS.map((slot) => slotName(service, slot))]
          : [service],
      );
      t.strictSame(Object.keys(read.services).sort(), wanted.sort());
      for (const [service, { environment = {}, mem_limit }] of Object.entries(
        desired.stack.services,
      )) {
        const found = read.services[shown(service)];
        t.equal(Number(found?.mem_limit), mem_limit, `${service} keeps its memory limit`);
        for (const [key, value] of Object.entries(environment)) {
          // `config` prints a dollar sign doubled, as one would have to write it.
          t.equal(found?.environment?.[key]?.replaceAll('$$', '$'), value, `${service} ${key}`);
        }
      }
    },
  );

  t.test(`${name}: every rendered shell script parses`, async (t) => {
    for (const { path, content } of renderScenario(name).files.values()) {
      if (!content.startsWith('#!/bin/sh')) continue;
      const file = join(t.testdir({ script: content }), 'script');
      const { code, stderr } = await outcome(['sh', '-n', file]);
      t.equal(code, 0, `${path}: ${stderr}`);
    }
    t.ok(desiredHasUnit(name), 'and the agent has a service file');
  });
}

function desiredHasUnit(name: string): boolean {
  return [...renderScenario(name).files.keys()].some((path) => path.includes('holdfast-agent'));
}
