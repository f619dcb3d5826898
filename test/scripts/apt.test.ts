import { execFile } from 'node:child_process';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { pathsUnder } from '../../installer/model/paths.ts';
import { PACKAGE_ROOT } from '../support/component-input.ts';
import { renderScenario } from '../support/golden.ts';

const run = promisify(execFile);

/** Runs apt_get with an apt-get in front of the real one, which ends as `ends` say, call by call. */
async function aptGet(t: Test, ends: readonly string[], more = '') {
  const folder = t.testdir({ bin: {}, calls: '' });
  const stub = `#!/bin/sh
echo "$*" >>${folder}/calls
case $(wc -l <${folder}/calls) in
${ends.map((end, index) => `  ${index + 1}) ${end} ;;`).join('\n')}
esac
`;
  await writeFile(join(folder, 'bin/apt-get'), stub);
  await chmod(join(folder, 'bin/apt-get'), 0o755);
  const script = `set -eu
. ${PACKAGE_ROOT}/images/lib/apt.sh
sleep() { :; }
${more}
apt_get update -qq`;
  const env = { ...process.env, PATH: `${folder}/bin:${process.env['PATH']}` };
  const ended = await run('sh', ['-c', script], { env }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  );
  const calls = (await readFile(join(folder, 'calls'), 'utf8')).trim().split('\n');
  return { ...ended, calls: calls.length };
}

const HELD =
  'echo "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 812 (apt-get)" >&2; exit 100';

t.test('who holds a lock of apt is waited for, and said once', async (t) => {
  t.strictSame(await aptGet(t, [HELD, HELD, 'echo read; exit 0']), {
    code: 0,
    stdout: 'read\n',
    stderr: 'waiting for process 812 (apt-get)\n',
    calls: 3,
  });
});

t.test('any other failure is told at once', async (t) => {
  const said = 'E: Unable to locate package nodjs';
  t.strictSame(await aptGet(t, [`echo "${said}" >&2; exit 100`]), {
    code: 100,
    stdout: '',
    stderr: `${said}\n`,
    calls: 1,
  });
});

t.test('nobody is waited for without end', async (t) => {
  const { code, stderr, calls } = await aptGet(t, [HELD], 'APT_PATIENCE_SECONDS=0');
  t.equal(code, 100);
  t.match(stderr, /is held by process 812/);
  t.equal(calls, 1);
});

t.test('apt is told to wait no longer than is left', async (t) => {
  const { calls, stdout } = await aptGet(
    t,
    [HELD, HELD, 'echo "$*"; exit 0'],
    'clock=$(mktemp); echo 1000 >$clock; date() { cat $clock; }; sleep() { echo 1590 >$clock; }',
  );
  t.equal(calls, 3);
  t.match(stdout, /^-o DPkg::Lock::Timeout=10 update/);
});

t.test('no script of apply is ended while it waits for apt, or installs', async (t) => {
  const text = (path: string) => readFile(join(PACKAGE_ROOT, path), 'utf8');
  const patience = Number(
    /^APT_PATIENCE_SECONDS=(\d+)$/m.exec(await text('images/lib/apt.sh'))?.[1],
  );
  t.ok(patience > 0);
  const reactions = [...renderScenario('full').files.values()].flatMap(({ onChange }) => onChange);
  const seen = new Set<string>();
  for (const reaction of reactions) {
    if (reaction.kind !== 'host') continue;
    const script = posix.relative(pathsUnder().program, reaction.argv[1] ?? '');
    const calls = (await text(script)).match(/\bapt_get /g) ?? [];
    if (calls.length === 0) continue;
    seen.add(script);
    t.ok((reaction.timeoutSeconds ?? 0) >= calls.length * patience + 900, script);
  }
  t.strictSame([...seen].sort(), ['scripts/fail2ban.sh', 'scripts/unattended-upgrades.sh']);
});
