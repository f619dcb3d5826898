import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { readAudit } from '../../installer/apply/audit.ts';
import { CLOUDFLARE_NETWORKS } from '../../installer/components/cloudflare.ts';
import { waitFor } from '../support/containers.ts';
import { Load } from '../support/load.ts';
import { refreshFrom } from './support/cloudflare-refresh.ts';
import { startCiClient, writeLauncher } from './support/deploy-key-client.ts';
import { DeployLab } from './support/deploy-lab.ts';
import { REPOSITORY } from './support/releases.ts';

const WATCH_SECONDS = 4;
const LONG_WATCH_SECONDS = 30;

t.test('deploys, rollbacks, other numbers, edits and failures lose no request', async (t) => {
  const releases = {
    1: 'good',
    2: 'good',
    3: 'good',
    4: 'crashing',
    5: 'sick',
    6: 'unmigratable',
    7: 'good',
    8: 'fading',
  } as const;
  const lab = await DeployLab.start(releases, WATCH_SECONDS);
  t.teardown(() => lab.remove());
  t.match(await lab.containers(), [/app_a-1 running .*:1$/, /app_a-2 running .*:1$/]);

  writeLauncher(lab.appliance);
  const ci = await startCiClient(t, lab.appliance);
  const rights = ['--services', 'app', '--images', REPOSITORY];
  const added = await lab.appliance.run(['deploy-key', 'add', 'ci', `${ci.key}.pub`, ...rights]);
  t.equal(added.exitCode, 0, added.stderr);

  const load = new Load(await lab.target());
  const run = (...argv: string[]) => {
    load.phase = argv.join(' ');
    return lab.run(...argv);
  };
  try {
    load.phase = 'deploy by a key of CI, through sshd';
    const second = await ci.ssh(['deploy', 'app', lab.image('2')]);
    t.equal(second.exitCode, 0, second.stderr + second.stdout);
    t.match(await lab.containers(), [
      /a-1 exited .*:1$/,
      /a-2 exited/,
      /b-1 running .*:2$/,
      /b-2 running/,
    ]);

    t.match(await ci.ssh(['apply']), { exitCode: 5 }, 'the key is for nothing else');
    const { entries } = readAudit(await readFile(lab.appliance.paths.audit, 'utf8'));
    t.match(entries.at(-1), { who: 'deploy-key:ci', result: 'done' });

    const back = await run('rollback', 'app');
    t.equal(back.exitCode, 0, back.stderr);
    t.match(await lab.containers(), [
      /a-1 running .*:1$/,
      /a-2 running/,
      /b-1 exited/,
      /b-2 exited/,
    ]);

    const bad: readonly (readonly [string, RegExp])[] = [
      ['4', /did not become healthy[\s\S]*cannot find module app/],
      ['6', /migration of app failed[\s\S]*column exists already/],
    ];
    for (const [version, message] of bad) {
      const failed = await run('deploy', 'app', lab.image(version));
      t.equal(failed.exitCode, 11, `${version}: ${failed.stderr}`);
      t.match(failed.stderr, message, version);
      t.match(
        (await lab.containers()).filter((line) => line.includes(' running ')),
        [/-1 running .*:1$/, /-2 running .*:1$/],
        `release 1 serves after ${version}`,
      );
    }
    const missing = await run('deploy', 'app', lab.image('99'));
    t.not(missing.exitCode, 0);
    t.match(missing.stderr, /99/);

    // A release of the service and a reload of nginx in one.
    await lab.configure({ greeting: 'good day', maxBody: 11 });
    t.match((await run('deploy', 'app', lab.image('3'))).stderr, /edited after the last apply/);
    const changed = await run('apply');
    t.equal(changed.exitCode, 0, changed.stderr);
    const third = await run('deploy', 'app', lab.image('3'));
    t.equal(third.exitCode, 0, third.stderr);
    t.match(
      (await lab.appliance.run(['plan', '--config', lab.appliance.configPath])).stdout,
      /as deployed/,
    );

    const more = await run('scale', 'app', '3');
    t.equal(more.exitCode, 0, more.stderr);
    const running = async () =>
      (await lab.containers()).filter((line) => line.includes(' running '));
    t.match(await running(), [/-1 .*:3$/, /-2 .*:3$/, /-3 .*:3$/]);
    load.forgetReplicas();
    await waitFor('the new replica answers', async () =>
      load.replicas.size === 3 ? true : undefined,
    );
    const fewer = await run('scale', 'app', '2');
    t.equal(fewer.exitCode, 0, fewer.stderr);
    t.match(await running(), [/-1 .*:3$/, /-2 .*:3$/]);
    load.forgetReplicas();
    await waitFor('the others answer', async () => (load.replicas.size === 2 ? true : undefined));

    load.phase = 'other networks of Cloudflare';
    await t.test('networks of Cloudflare: believed when they can be', (st) =>
      refreshesNetworks(st, lab),
    );
  } finally {
    await load.stop();
  }
  t.comment(`${load.requests} requests, WebSockets closed with ${load.closedSockets.join(' ')}`);
  t.ok(load.requests > 200, `${load.requests} requests`);
  for (const version of ['1', '2', '3'])
    t.ok(load.versions.has(version), `release ${version} answered`);
  t.strictSame(Object.fromEntries(load.failures), {}, 'no request failed');
  t.ok(load.closedSockets.length > 0);
  t.ok(
    load.closedSockets.every((code) => code === 1001),
    'WebSockets are told to come again',
  );

  // Watched for longer, so that whoever looks late still finds it watched.
  await lab.configure({ greeting: 'good day', maxBody: 11, watchSeconds: LONG_WATCH_SECONDS });
  const watched = await lab.run('apply');
  t.equal(watched.exitCode, 0, watched.stderr);
  // Without clients: what a release that dies had accepted is lost with it.
  const deployed = lab.run('deploy', 'app', lab.image('7'));
  await waitFor('the release takes over', async () =>
    (await lab.ask()).version === '7' ? true : undefined,
  );
  t.equal((await lab.ask('/die')).status, 502, 'nginx asks the other replica too');
  const dying = await deployed;
  t.equal(dying.exitCode, 11, dying.stderr);
  t.match(dying.stderr, new RegExp(`died within ${LONG_WATCH_SECONDS} s after it had taken over`));
  t.match(
    (await lab.containers()).filter((line) => line.includes(' running ')),
    [/:3$/, /:3$/],
  );

  const begun = lab.run('deploy', 'app', lab.image('8'));
  await waitFor('the release takes over', async () =>
    (await lab.ask()).version === '8' ? true : undefined,
  );
  const fading = await begun;
  t.equal(fading.exitCode, 11, fading.stderr);
  t.match(fading.stderr, /stopped answering within[\s\S]*GET \/health on port 3000 answered 500/);
  t.equal((await lab.ask()).version, '3');
});

async function refreshesNetworks(t: Test, { appliance }: DeployLab): Promise<void> {
  const { paths } = appliance;
  const edge = () => readFile(join(paths.stack, 'nginx/nginx.conf'), 'utf8');
  const before = [await edge(), await readFile(paths.lock, 'utf8')];
  const v4 = CLOUDFLARE_NETWORKS.filter((network) => !network.includes(':'));
  const v6 = CLOUDFLARE_NETWORKS.filter((network) => network.includes(':'));
  for (const [why, lists] of [
    ['an error', { v4, v6, status: 500 }],
    ['nothing', { v4: [], v6: [] }],
    ['a page', { v4: ['<html><body>Hello'], v6 }],
  ] as const) {
    const refused = await refreshFrom(t, appliance, lists);
    t.match(refused, { stderr: /host\/cloudflare-lists/ }, why);
    t.not(refused.exitCode, 0, why);
  }
  t.strictSame([await edge(), await readFile(paths.lock, 'utf8')], before, 'the old ones stay');
  const newer = { v4: [...v4.slice(1), '198.51.96.0/20'], v6 };
  const taken = await refreshFrom(t, appliance, newer);
  t.equal(taken.exitCode, 0, taken.stderr);
  t.match(taken.stdout, /nginx[\s\S]*networks of Cloudflare are trusted now/);
  t.match(await edge(), /set_real_ip_from "198\.51\.96\.0\/20"/);
  t.notMatch(await edge(), v4[0]);
  t.match((await refreshFrom(t, appliance, newer)).stdout, /the same \d+ networks/);
  const plan = await appliance.run(['plan', '--config', appliance.configPath]);
  t.equal(plan.exitCode, 0, `apply keeps them: ${plan.stdout}`);
}
