import { readFileSync } from 'node:fs';
import t from 'tap';
import { fitToCores, requireCores } from '../../installer/cli/notices.ts';
import { components } from '../../installer/components/registry.ts';
import { memoryProblems } from '../../installer/components/rules/memory.ts';
import type { ResolvedImage } from '../../installer/model/images.ts';
import { componentInput, configFrom, imagesWith, renderWith } from '../support/component-render.ts';

const GIB = 1024 ** 3;
const IMAGE: ResolvedImage = {
  reference: 'acme/app:1',
  version: '1',
  source: 'build',
  action: { kind: 'present' },
};

/** What would be said on a machine of that size, the whole platform included. */
function problems(text: string, memoryBytes: number) {
  const config = configFrom(text.replaceAll(/^\s*seed:.*$/gm, ''));
  const input = componentInput(config);
  const { stack } = renderWith(components, {
    ...input,
    facts: { ...input.facts, memoryBytes },
    images: {
      ...imagesWith(),
      services: Object.fromEntries(
        Object.keys({ ...config.services, ...config.accessories }).map((name) => [name, IMAGE]),
      ),
    },
  });
  return memoryProblems(config, stack, memoryBytes);
}

const APP = (more: string) => `
domain: app.example.com
services:
  web: { image: "acme/app:1", port: 3000, routes: [{ path: / }], uses: [postgres, redis], ${more} }
redis: { maxMemory: 64m }
`;

t.test('the fewest replicas and what the platform needs have to fit', (t) => {
  const web = APP('replicas: { min: 3, max: 4 }, resources: { memory: 1g }');
  t.match(problems(web, 4 * GIB), [{ severity: 'error', code: 'memory' }]);
  const [problem] = problems(web, 4 * GIB);
  t.match(
    problem?.message,
    /^the fewest replicas and the platform need 4\.5 GiB, more than the 4\.0 GiB of this machine: services\.web 3\.0 GiB, postgres 1\.0 GiB, the rest of the platform \d+ MiB, redis 144 MiB$/,
  );
  t.match(problems(web, 6 * GIB), [
    {
      severity: 'warning',
      message:
        /^while a release of web runs beside the one before \(3 × 1\.0 GiB more\), the fewest replicas and the platform may need 8\.\d GiB, more than the 6\.0 GiB of this machine: services\.web 3\.0 GiB, postgres/,
    },
    {
      severity: 'warning',
      message:
        /^all memory limits together are 7\.\d GiB, more than the 6\.0 GiB of this machine: services\.web 4\.0 GiB, postgres/,
    },
  ]);
  t.strictSame(problems(web, 12 * GIB), []);
  const flat = APP('replicas: 3, resources: { memory: 1g }');
  t.match(
    problems(flat, 7 * GIB).map(({ message }) => message),
    [/^while a release of web/],
    'all limits fit, but not together with a release',
  );
  t.end();
});

t.test('a small product fits on the smallest machine, and the example cases on theirs', (t) => {
  const severities = (text: string, memory: number) =>
    problems(text, memory).map(({ severity }) => severity);
  t.notMatch(severities(APP('replicas: 2, resources: { memory: 128m }'), GIB), ['error']);
  const cases = new URL('../config/fixtures/', import.meta.url);
  const fixture = (name: string) =>
    readFileSync(new URL(name, cases), 'utf8').replaceAll(/^(version|contact):.*$/gm, '');
  t.strictSame(severities(fixture('attendee.yaml'), 8 * GIB), []);
  t.notMatch(severities(fixture('attendee.yaml'), 4 * GIB), ['error']);
  t.notMatch(severities(fixture('rt.yaml'), 16 * GIB), ['error']);
  t.strictSame(severities(fixture('rt.yaml'), 4 * GIB), ['error']);
  t.end();
});

t.test('no container may take more processors than the machine has', async (t) => {
  const text = `
domain: app.example.com
services:
  web: { image: "acme/app:1", port: 3000, resources: { cpus: 2 } }
  api: { image: "acme/app:1", port: 3000, routes: [], resources: { cpus: 1.5 } }
  worker: { image: "acme/app:1" }
accessories:
  search: { image: "acme/search:1", resources: { cpus: 4 } }
`;
  const loaded = { config: configFrom(text) };
  requireCores(loaded, 4);
  t.throws(() => requireCores(loaded, 1), {
    code: 'preflight/cpus',
    why: 'this machine has 1: services.web.resources.cpus is 2, services.api.resources.cpus is 1.5, accessories.search.resources.cpus is 4',
  });
  // One that nobody is there to edit, as of a recovery kit on a smaller machine.
  t.strictSame(fitToCores(loaded, 4), { loaded, notices: [] });
  const { loaded: fitted, notices } = fitToCores(loaded, 1);
  requireCores(fitted, 1);
  t.match(fitted.config.services, {
    ...{ web: { resources: { cpus: 1 } }, api: { resources: { cpus: 1 } } },
    worker: { resources: { cpus: undefined } },
  });
  t.equal(notices.length, 3);
  t.match(notices, [{ code: 'preflight/cpus', text: /^services\.web\.resources\.cpus is 2, / }]);
});
