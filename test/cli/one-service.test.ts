import t from 'tap';
import { refuseEditedConfig, refuseOtherChanges } from '../../installer/cli/one-service.ts';
import { EMPTY_LOCK, type LockedImage } from '../../installer/model/lock-file.ts';
import { EMPTY_MANIFEST } from '../../installer/model/manifest.ts';
import type { Operation, ServiceChange } from '../../installer/model/operation.ts';
import { pathsUnder } from '../../installer/model/paths.ts';

const PATHS = pathsUnder();
const BASE = { cause: '', impact: 'none' } as const;

function write(path: string): Operation {
  return { ...BASE, kind: 'write-file', id: `write-file:${path}`, path, diff: '', secret: false };
}

function up(...services: ServiceChange[]): Operation {
  return { ...BASE, kind: 'compose-up', id: 'compose-up:0', services };
}

function pull(reference: string): Operation {
  return { ...BASE, kind: 'pull-image', id: `pull-image:${reference}`, reference };
}

const locked = (reference: string): LockedImage => ({
  reference,
  version: '1',
  source: 'registry',
  wish: reference,
});
const LOCK = { ...EMPTY_LOCK, services: { web: locked('web:1'), api: locked('api:1') } };

const refused = (changes: ServiceChange['change'][], ...operations: Operation[]) =>
  refuseOtherChanges(
    { operations },
    { service: 'web', changes, refusal: 'web stays' },
    { paths: PATHS, lock: LOCK, image: 'web:2' },
  );

const OWN_FILES = [write(PATHS.lock), write(`${PATHS.stack}/compose.yaml`)];
const RELEASED: ServiceChange = { service: 'web', change: 'release', cause: 'its image changed' };
const SCALED: ServiceChange = { service: 'web', change: 'scale', cause: '2 of 3 replicas' };

t.test('what a release or another number needs is part of it', async () => {
  refused(['release']);
  refused(['scale'], ...OWN_FILES, up(SCALED));
  refused(
    ['release'],
    pull('web:2'),
    ...OWN_FILES,
    up(RELEASED),
    { ...BASE, kind: 'retire-release', id: 'retire-release:web', service: 'web', containers: [] },
    { ...BASE, kind: 'remove-images', id: 'remove-images', references: ['web:0'] },
  );
});

t.test(
  'what is in force comes back on the way: images that are gone, what has stopped',
  async () => {
    refused(['scale'], pull('api:1'), up(SCALED, { service: 'api', change: 'start', cause: '' }));
  },
);

t.test('everything else is named and refused', async (t) => {
  const retired = { service: 'api', containers: [] };
  const others: readonly (readonly [Operation, string])[] = [
    [write(`${PATHS.stack}/nginx/nginx.conf`), `write-file:${PATHS.stack}/nginx/nginx.conf`],
    [write(`${PATHS.stack}/compose.secrets.yaml`), 'compose.secrets.yaml'],
    [up(RELEASED, { service: 'api', change: 'scale', cause: '1 of 2' }), 'api: 1 of 2'],
    [up({ service: 'api', change: 'release', cause: 'its image changed' }), 'api: its image'],
    [{ ...BASE, kind: 'reload', id: 'reload:nginx', service: 'nginx' }, 'reload:nginx'],
    [{ ...BASE, kind: 'retire-release', id: 'retire-release:api', ...retired }, 'release:api'],
    [{ ...BASE, kind: 'switch-site', id: 'switch-site:a', site: 'a', release: 'b' }, 'site:a'],
    [pull('api:2'), 'pull-image:api:2'],
    [
      {
        ...BASE,
        kind: 'bake-images',
        id: 'bake-images',
        targets: ['node'],
        references: ['node:2'],
      },
      'bake-images',
    ],
    [{ ...BASE, kind: 'store-secret', id: 'store-secret:A', name: 'A' }, 'store-secret:A'],
  ];
  for (const [other, named] of others) {
    t.throws(
      () => refused(['release'], ...OWN_FILES, other),
      { code: 'config/not-applied', what: 'web stays while other changes wait' },
      other.id,
    );
    try {
      refused(['release'], other);
    } catch (error) {
      t.match(error, {
        why: named.includes('/') ? named : new RegExp(named),
        hint: 'holdfast apply',
      });
    }
  }
  t.throws(() => refused(['scale'], up(RELEASED)), {
    code: 'config/not-applied',
    why: 'web: its image changed',
  });
});

t.test('only beside the config that is in force', async (t) => {
  const manifest = { ...EMPTY_MANIFEST, configDigest: 'a' };
  refuseEditedConfig({ manifest }, { digest: 'a' });
  t.throws(() => refuseEditedConfig({ manifest }, { digest: 'b' }), { code: 'config/not-applied' });
  t.throws(() => refuseEditedConfig({ manifest: EMPTY_MANIFEST }, { digest: 'b' }), {
    code: 'usage/nothing-applied',
  });
});
