import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type ApplyContext, SYSTEM_CLOCK } from '../../installer/apply/context.ts';
import { thisProcess } from '../../installer/apply/process-identity.ts';
import { rollBackSite } from '../../installer/apply/site-rollback.ts';
import type { Host } from '../../installer/host/host.ts';
import { LocalHost } from '../../installer/host/local.ts';
import type { DeployEvent } from '../../installer/model/deploy-event.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import type { ObservedSite, SiteSource } from '../../installer/model/site.ts';
import { observeSites } from '../../installer/rollout/site-folders.ts';
import { type Publishing, publishSite } from '../support/publish-site.ts';

const NOTHING: ObservedSite = {
  current: undefined,
  previous: undefined,
  held: undefined,
  releases: [],
};

function setUp(t: Test, content: Parameters<Test['testdir']>[0]) {
  const root = t.testdir(content);
  const paths = pathsUnder(root);
  return {
    root,
    /** A path in what is served. */
    shown: (path: string) => join(paths.sites, 'web/current', path).replace(/\/$/, ''),
    publish: (source: SiteSource, more: Partial<Publishing> = {}) =>
      publishSite({ paths, ...more }, 'web', source),
    observe: () => observeSites(new LocalHost(), paths),
    folderWith: (page: string): SiteSource => {
      const path = join(root, page);
      mkdirSync(path);
      writeFileSync(join(path, 'index.html'), page);
      writeFileSync(join(path, 'a.txt'), 'a');
      return folder(path);
    },
  };
}

function folder(path: string): SiteSource {
  return { kind: 'folder', path };
}

t.test('archives of every kind are unpacked', async (t) => {
  const { root, publish, shown } = setUp(t, {
    files: { 'index.html': 'page', deep: { 'a.txt': 'a' }, '.env': 'x', '.well-known': { b: 'b' } },
  });
  const pack = (name: string, ...how: string[]): SiteSource => {
    const path = join(root, name);
    execFileSync('tar', ['--create', `--file=${path}`, ...how, `--directory=${root}/files`, '.']);
    return { kind: 'archive', path };
  };
  const kinds = [pack('a.tar'), pack('a.tar.gz', '--gzip'), pack('a.tar.zst', '--zstd')];
  for (const source of kinds) {
    const release = await publish(source);
    t.equal(readlinkSync(shown('')), `releases/${release}`);
    t.equal(readFileSync(shown('deep/a.txt'), 'utf8'), 'a');
    t.strictSame(readdirSync(shown('')).sort(), ['.well-known', 'deep', 'index.html']);
    t.equal(statSync(shown('index.html')).mode & 0o777, 0o644, 'nginx can read it');
  }
});

t.test('an archive with anything dangerous is refused, and nothing of it stays', async (t) => {
  const { root, publish, observe } = setUp(t, { bad: { 'index.html': 'x' } });
  const bad = join(root, 'bad');
  const pack = (...how: string[]): SiteSource => {
    const path = join(root, `${crypto.randomUUID()}.tar`);
    execFileSync('tar', [
      '--create',
      `--file=${path}`,
      '--absolute-names',
      `--directory=${bad}`,
      ...how,
    ]);
    return { kind: 'archive', path };
  };
  const refused = async (source: SiteSource, error: { code: string; why?: RegExp }) => {
    await t.rejects(publish(source), error);
    t.strictSame(await observe(), new Map([['web', NOTHING]]), 'nothing was switched to or left');
  };
  const unsafe = (why: RegExp) => ({ code: 'config/artifact-unsafe', why });
  await refused(pack('--transform=s,index,../../index,', '.'), unsafe(/leads out of the folder/));
  await refused(pack('/etc/hostname'), unsafe(/"\/etc\/hostname" leads out/));
  await refused(pack('/dev/null', '--transform=s,/dev/,,'), unsafe(/neither a file, a folder/));
  symlinkSync('../../../../etc/passwd', join(bad, 'passwd'));
  await refused(pack('.'), unsafe(/"\.\/passwd" is a link to .*outside/));
  await refused(folder(bad), unsafe(/"passwd" is a link that leads outside/));
  await rm(join(bad, 'passwd'));
  mkdirSync(join(bad, 'deep'));
  symlinkSync('.', join(bad, 'deep/here'));
  symlinkSync('deep/here/../..', join(bad, 'out'));
  await refused(pack('.'), unsafe(/"out" is a link that leads outside/));
  await rm(join(bad, 'out'));
  execFileSync('mkfifo', [join(bad, 'pipe')]);
  await refused(folder(bad), unsafe(/"pipe" is neither/));
  await rm(join(bad, 'pipe'));
  writeFileSync(
    join(root, 'cut.tar'),
    execFileSync('tar', ['--create', `--directory=${bad}`, '.']).subarray(0, 700),
  );
  await refused(
    { kind: 'archive', path: join(root, 'cut.tar') },
    { code: 'config/artifact-unreadable' },
  );
  await rm(join(bad, 'index.html'));
  await refused(folder(bad), { code: 'config/artifact-without-index' });
});

t.test('files of one length and one time never look the same to a browser', async (t) => {
  const { publish, shown, folderWith } = setUp(t, {});
  // As nginx tells files of one length apart: by whole seconds.
  const secondsOf = async (page: string) => {
    const source = folderWith(page);
    if (source.kind !== 'folder') throw new Error('not a folder');
    utimesSync(join(source.path, 'index.html'), 1, 1);
    await publish(source);
    const [first, second] = ['index.html', 'a.txt'].map((name) => statSync(shown(name)).mtimeMs);
    t.equal(first, second, 'the files of a release have one time');
    return Math.floor((first ?? 0) / 1000);
  };
  const times: number[] = [];
  for (const page of ['page1', 'page2', 'page3', 'page4']) times.push(await secondsOf(page));
  t.ok((times[0] ?? 0) > Date.now() / 1000 - 60, 'a release has the time when it was made');
  for (const [index, time] of times.slice(1).entries()) {
    t.ok(time > (times[index] ?? 0), 'releases of one second as well');
  }
});

t.test('old releases go, and what is rolled back to is the one before', async (t) => {
  const { publish, observe, folderWith } = setUp(t, {});
  const releases: string[] = [];
  for (const page of ['one', 'two', 'three', 'four']) {
    releases.push(await publish(folderWith(page), { keep: 2 }));
  }
  const [, two, three, four] = releases;
  t.match(await observe(), new Map([['web', { current: four, previous: three, held: undefined }]]));
  t.strictSame(
    [...((await observe()).get('web')?.releases ?? [])].sort(),
    [two, three, four].sort(),
  );
});

t.test('a rollback serves the release before and holds until the files change', async (t) => {
  const { root, publish, shown, observe, folderWith } = setUp(t, {});
  const paths = pathsUnder(root);
  const host = new LocalHost();
  const told: DeployEvent[] = [];
  const announce = async (event: DeployEvent) => void told.push(event);
  const back = async (answer = true) =>
    rollBackSite({ host, paths, clock: SYSTEM_CLOCK, announce } as unknown as ApplyContext, {
      site: 'web',
      process: await thisProcess('ann'),
      command: 'holdfast rollback web',
      waitSeconds: 0,
      confirm: async () => answer,
    });
  const page = () => readFileSync(shown('index.html'), 'utf8');
  const first = await publish(folderWith('first'));
  await t.rejects(back(), { code: 'usage/no-previous-release' });
  const second = folderWith('second');
  await publish(second);
  t.equal(await back(false), undefined);
  t.equal(page(), 'second', 'a no changes nothing');
  t.strictSame(told, [], 'and is told to nobody');
  t.equal(await back(), first);
  t.match(told, [
    { kind: 'rolled-back', who: 'ann', changes: [{ kind: 'site', name: 'web', version: first }] },
  ]);
  t.equal(told.length, 1);
  t.equal(page(), 'first');
  await publish(second);
  t.equal(page(), 'first', 'apply with the same config leaves it so');
  await publish(folderWith('third'));
  t.equal(page(), 'third', 'other files take over');
  t.equal((await observe()).get('web')?.held, undefined);
  t.match(readFileSync(paths.audit, 'utf8'), /"command":"holdfast rollback web"/);
});

/** A host on which every change counts, and that dies before one of them, which is after the one before. */
function mortal(killAt: number) {
  const real = new LocalHost();
  let changes = 0;
  const change = async <T>(act: () => Promise<T>): Promise<T> => {
    changes += 1;
    if (changes >= killAt) throw new Error('killed');
    return act();
  };
  const looks = new Set(['find', 'xargs']);
  const host: Host = {
    name: real.name,
    run: (command) =>
      looks.has(command.argv[0]) && !command.argv.includes('-exec')
        ? real.run(command)
        : change(() => real.run(command)),
    read: (path) => real.read(path),
    stat: (path) => real.stat(path),
    list: (path) => real.list(path),
    write: (path, content, attributes) => change(() => real.write(path, content, attributes)),
    makeDirectory: (path, attributes) => change(() => real.makeDirectory(path, attributes)),
    remove: (path, options) => change(() => real.remove(path, options)),
    close: () => real.close(),
  };
  return { host, changes: () => changes };
}

t.test(
  'a release that is killed anywhere converges, and a whole one is served until then',
  async (t) => {
    const { root, shown, publish, folderWith } = setUp(t, {});
    const counting = mortal(Number.POSITIVE_INFINITY);
    await publish(folderWith('first'), { host: counting.host });
    const steps = counting.changes();
    t.ok(steps > 8, `there are ${steps} changes to be killed at`);
    let before = 'first';
    for (let step = 1; step <= steps; step += 1) {
      const next = `page-${step}`;
      const source = folderWith(next);
      await t.rejects(publish(source, { host: mortal(step).host }), /killed/);
      const page = readFileSync(shown('index.html'), 'utf8');
      t.ok([before, next].includes(page), `${page} is whole, killed before ${step}`);
      await publish(source);
      t.equal(readFileSync(shown('index.html'), 'utf8'), next);
      const names = readdirSync(join(pathsUnder(root).sites, 'web/releases'));
      t.equal(names.filter((name) => name.startsWith('.')).length, 0, 'nothing unfinished stays');
      before = next;
    }
  },
);

t.test('while somebody thinks about a rollback, the site may go on', async (t) => {
  const { root, publish, shown, folderWith } = setUp(t, {});
  const paths = pathsUnder(root);
  const host = new LocalHost();
  await publish(folderWith('first'));
  await publish(folderWith('second'));
  let isLocked = true;
  const back = rollBackSite({ host, paths, clock: SYSTEM_CLOCK } as unknown as ApplyContext, {
    site: 'web',
    process: await thisProcess('ann'),
    command: 'holdfast rollback web',
    waitSeconds: 0,
    confirm: async () => {
      isLocked = (await host.stat(paths.applyLock)) !== undefined;
      await publish(folderWith('third'));
      return true;
    },
  });
  await t.rejects(back, { code: 'drift/plan-stale' });
  t.equal(isLocked, false);
  t.equal(readFileSync(shown('index.html'), 'utf8'), 'third');
});
