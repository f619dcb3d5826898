import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { PACKAGE_ROOT } from '../support/component-input.ts';
import { type Output, outcome, TEST_LABEL } from './support/docker.ts';
import { platformImages } from './support/platform-images.ts';

const { nginx: IMAGE = '' } = await platformImages('nginx');

/** Runs the script in a container whose apt-get is a few lines of shell. */
async function scriptWith(t: Test, aptGet: string): Promise<Output> {
  const programs = {
    'apt-get': aptGet,
    'dpkg-query': 'exit 1',
    // Answers as if cron ran.
    service: 'exit 0',
  };
  const folder = t.testdir({});
  for (const [name, text] of Object.entries(programs)) {
    await writeFile(join(folder, name), `#!/bin/sh\n${text}\n`);
    await chmod(join(folder, name), 0o755);
  }
  return outcome([
    ...(['docker', 'run', '--rm', '--network', 'none', '--user', 'root'] as const),
    ...['--label', TEST_LABEL, '--env', 'PATH=/stubs:/usr/sbin:/usr/bin:/sbin:/bin'],
    ...['--volume', `${PACKAGE_ROOT}:/holdfast:ro`, '--volume', `${folder}:/stubs:ro`],
    ...['--entrypoint', 'sh', IMAGE, '/holdfast/scripts/unattended-upgrades.sh'],
  ]);
}

const GONE = 'E: The repository does not have a Release file.';

t.test('an archive that is gone keeps nothing from being installed from another', async (t) => {
  const told = `case "$*" in *update*) echo "${GONE}" >&2; exit 100 ;; esac; echo "$*" >&2`;
  const { code, stderr } = await scriptWith(t, told);
  t.equal(code, 0, stderr);
  t.match(stderr, /^.* install .*unattended-upgrades cron$/m);
});

t.test('the package is installed without what switches itself on', async (t) => {
  const { code, stderr } = await scriptWith(t, 'debconf-show unattended-upgrades >&2');
  t.equal(code, 0, stderr);
  t.match(stderr, /^\* unattended-upgrades\/enable_auto_updates: false$/m);
});

t.test('what cannot be installed is a failure with the words of apt', async (t) => {
  const { code, stderr } = await scriptWith(t, `echo "${GONE}" >&2; exit 100`);
  t.equal(code, 100);
  t.match(stderr, GONE);
});
