import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { configInForce, keepConfig, withKeptFiles } from '../../installer/cli/applied-config.ts';
import { readConfig } from '../../installer/cli/read-config.ts';
import { LocalHost } from '../../installer/host/local.ts';
import { EMPTY_MANIFEST } from '../../installer/model/manifest.ts';
import { pathsUnder } from '../../installer/model/paths.ts';

const host = new LocalHost();

const text = (name: string, more = '') => `version: 1
project: ${name}
domain: app.example.com
contact: ops@example.com
services:
  web: { image: "a:1", port: 3000, uses: [postgres], seed: { file: ./data/seed.sql, once: true } }
${more}`;

/** A server without anything, and a folder elsewhere with a config and its seed. */
async function freshServer(t: Test) {
  const root = t.testdir({ server: {}, elsewhere: { data: { 'seed.sql': 'SELECT 1' } } });
  const paths = pathsUnder(join(root, 'server'));
  await mkdir(join(paths.config, '..'), { recursive: true });
  await mkdir(paths.state, { recursive: true });
  const file = join(root, 'elsewhere/config.yaml');
  return {
    paths,
    file,
    applied: (configDigest: string) =>
      writeFile(paths.manifest, JSON.stringify({ ...EMPTY_MANIFEST, configDigest })),
    inForce: (named?: string) => configInForce(named, { host, paths }),
  };
}

t.test('what was applied from elsewhere is in force on the server', async (t) => {
  const { paths, file, applied, inForce } = await freshServer(t);
  await writeFile(file, text('elsewhere'));
  const loaded = await readConfig(file);
  await keepConfig({ host, paths }, loaded, host);
  await applied(loaded.digest);
  const kept = await inForce();
  t.equal(kept.config.project, 'elsewhere');
  t.equal(kept.isKept, true);
  t.equal(await readFile(kept.pathOf('./data/seed.sql'), 'utf8'), 'SELECT 1');

  await writeFile(paths.config, text('draft'));
  t.equal((await inForce()).config.project, 'elsewhere', 'a draft on the server does not count');
  t.equal((await inForce(paths.config)).config.project, 'draft', 'unless it is asked for');

  const draft = await readConfig(paths.config);
  await applied(draft.digest);
  const own = await inForce();
  t.equal(own.config.project, 'draft', 'applied, it does, with its own sources');
  t.equal(own.isKept, false);
});

t.test('a change of one thing goes by the files that were applied with the config', async (t) => {
  const { paths, file } = await freshServer(t);
  await writeFile(file, text('elsewhere'));
  const loaded = await readConfig(file);
  t.strictSame(
    await withKeptFiles(host, paths, loaded),
    loaded,
    'of an older version: the originals',
  );
  await keepConfig({ host, paths }, loaded, host);
  await rm(loaded.pathOf('./data/seed.sql'));
  const kept = await withKeptFiles(host, paths, loaded);
  t.strictSame([kept.isKept, kept.config], [true, loaded.config]);
  t.equal(await readFile(kept.pathOf('./data/seed.sql'), 'utf8'), 'SELECT 1');
});

t.test('the copies are for root alone, and of one config', async (t) => {
  const { paths, file } = await freshServer(t);
  const more = 'tls: { issuer: files, files: { certificate: ./a.crt, key: ./a.key } }\n';
  await writeFile(file, text('first', more));
  for (const name of ['a.crt', 'a.key']) await writeFile(join(file, '..', name), name);
  await keepConfig({ host, paths }, await readConfig(file), host);
  const folder = join(paths.state, 'applied');
  const names = await readdir(folder);
  t.equal(names.length, 4);
  t.equal((await stat(folder)).mode & 0o777, 0o700);
  for (const name of names) t.equal((await stat(join(folder, name))).mode & 0o777, 0o600);

  await writeFile(file, text('second'));
  await keepConfig({ host, paths }, await readConfig(file), host);
  t.equal((await readdir(folder)).length, 2, 'a key that is no longer named does not stay');
});

t.test('before the first apply, and after an edit by an older version', async (t) => {
  const { paths, applied, inForce } = await freshServer(t);
  await t.rejects(inForce(), { code: 'usage/nothing-applied' });
  await writeFile(paths.config, text('first'));
  t.equal((await inForce()).config.project, 'first');
  await applied('0'.repeat(64));
  t.equal((await inForce()).isKept, false, 'whoever asked refuses it by its digest');
});
