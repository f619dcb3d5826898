import { chmod, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import t from 'tap';
import { LocalHost } from '../../installer/host/local.ts';
import { contextDigest } from '../../installer/images/context-digest.ts';
import { ignoredBy } from '../../installer/images/ignore-file.ts';

t.test('the digest of a context follows what a build can see of it', async (t) => {
  const context = t.testdir({
    Dockerfile: 'FROM scratch\nCOPY . /\n',
    '.dockerignore': 'node_modules\n*.log\n',
    'app.js': 'one',
    node_modules: { 'x.js': 'x' },
  });
  const host = new LocalHost();
  t.teardown(() => host.close());
  const digest = (source = {}) => contextDigest(host, { context, ...source });
  const before = await digest();

  await t.test('not times, ignored files or the folder itself', async (t) => {
    await utimes(`${context}/app.js`, 1, 1);
    await writeFile(`${context}/debug.log`, 'noise');
    await writeFile(`${context}/node_modules/x.js`, 'y');
    t.equal(await digest(), before);
  });
  await t.test(
    'content, names, execute bits, links, Dockerfile, target and arguments',
    async (t) => {
      const seen = new Set([before]);
      const isNew = async (what: string, source = {}) => {
        const next = await digest(source);
        t.notOk(seen.has(next), what);
        seen.add(next);
      };
      await isNew('target', { target: 'slim' });
      await isNew('argument', { args: { A: '1' } });
      await isNew('argument value', { args: { A: '2' } });
      await writeFile(`${context}/app.js`, 'two');
      await isNew('content');
      await writeFile(`${context}/odd \nname`, '');
      await isNew('name');
      await chmod(`${context}/app.js`, 0o755);
      await isNew('execute bit');
      await symlink('app.js', `${context}/link`);
      await isNew('link');
      await writeFile(`${context}/Dockerfile`, 'FROM scratch\n');
      await isNew('Dockerfile');
    },
  );
  await t.test('a missing Dockerfile or folder is refused by its path', async (t) => {
    await rm(`${context}/Dockerfile`);
    await t.rejects(digest(), { code: 'image/no-dockerfile', what: /Dockerfile/ });
    await t.rejects(contextDigest(host, { context: '/nowhere/at/all' }), {
      code: 'image/no-context',
    });
  });
});

t.test('ignore rules are those of the engine', async (t) => {
  const isIgnored = ignoredBy(
    ['# comment', '', '/dist', '**/*.tmp', 'docs/*', '!docs/keep.md', 'a?c', '[xy].txt'].join('\n'),
  );
  for (const path of ['dist', 'dist/a/b', 'x.tmp', 'a/b/x.tmp', 'docs/x.md', 'abc', 'x.txt']) {
    t.equal(isIgnored(path), true, path);
  }
  for (const path of ['src/dist', 'docs', 'docs/keep.md', 'abbc', 'z.txt', '# comment', 'x+tmp']) {
    t.equal(isIgnored(path), false, path);
  }
  const allBut = ignoredBy('*\n!src\n!package.json');
  t.equal(allBut('src/index.js'), false);
  t.equal(allBut('other'), true);
});
