/** The test's own server, and the engine's installation on it: Debian 12 under systemd. Debian 13 is in appliance.test.ts. */
import t from 'tap';
import { startMachine } from './support/machine.ts';

t.setTimeout(1_800_000);

const ENGINE = `set -euo pipefail
. /opt/clone/scripts/lib/engine.sh
`;

t.test('the engine comes from Debian once, and lasts', async (t) => {
  const machine = await startMachine(t, 'bookworm');
  t.equal((await machine.exec('systemctl', 'is-system-running')).stdout.trim(), 'running');
  await machine.copyRepository('/opt/clone');

  const engine = (script: string) => machine.exec('bash', '-c', ENGINE + script);
  t.equal((await engine('engine_missing')).stdout, 'engine\ncompose\nbuildx\n');
  const installed = await engine(
    'engine_install >/tmp/install.log 2>&1; engine_start; engine_missing',
  );
  t.equal(installed.code, 0, installed.stderr);
  t.equal(installed.stdout, '');
  t.equal((await machine.exec('docker', 'compose', 'version')).code, 0);
  t.equal((await machine.exec('docker', 'buildx', 'version')).code, 0);

  const packages = [
    'dpkg-query',
    '-W',
    'docker.io',
    'containerd',
    'runc',
    'docker-compose',
    'docker-buildx',
  ];
  const before = await machine.exec(...packages);
  const pid = await machine.exec('pidof', 'dockerd');
  const again = await engine('engine_install; engine_start');
  t.equal(again.stdout, '', 'a second time there is nothing to do');
  t.equal((await machine.exec(...packages)).stdout, before.stdout);
  t.equal(
    (await machine.exec('pidof', 'dockerd')).stdout,
    pid.stdout,
    'the engine was not restarted',
  );

  const answers = async () => {
    const { code } = await machine.exec(
      'timeout',
      '300',
      'sh',
      '-c',
      'until docker info; do sleep 0.5; done',
    );
    return code;
  };
  await machine.reboot();
  t.equal(await answers(), 0, 'the engine is back after a reboot');
  await machine.powerCut();
  t.equal(await answers(), 0, 'the engine is back after a power cut');
});
