import { outcome } from '../test/integration/support/docker.ts';
import { startMachine } from '../test/integration/support/machine.ts';
import type { Figure } from './figure.ts';

const FOLDER = '/root/holdfast';
const POLL_MILLISECONDS = 250;

/** `install.sh` on a fresh Debian 13 with nothing in its caches but what its own apt brings. */
export async function benchFresh(): Promise<Figure[]> {
  const cleanups: (() => Promise<void>)[] = [];
  const machine = await startMachine({ teardown: (clean) => cleanups.push(clean) }, 'trixie');
  try {
    await machine.copyRepository(FOLDER);
    const start = performance.now();
    const seconds = () => `${Math.round((performance.now() - start) / 1000)} s`;
    let installed = false;
    const install = machine.exec(`${FOLDER}/scripts/install.sh`).finally(() => {
      installed = true;
    });
    let answered: string | undefined;
    while (answered === undefined && !installed) {
      if ((await statusOf(machine.address)) === '200') answered = seconds();
      else await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
    }
    const { code, stderr } = await install;
    if (code !== 0) throw new Error(`install.sh exited ${code}: ${stderr.slice(-4000)}`);
    return [
      { what: 'fresh Debian to HTTPS 200', value: answered ?? 'not at all', goal: '≤ 300 s' },
      { what: 'to the end: a backup made, read back, restored', value: seconds() },
    ];
  } finally {
    for (const clean of cleanups) await clean();
  }
}

/** Of the app, asked from outside. */
async function statusOf(address: string): Promise<string> {
  const connect = ['--connect-to', `localhost:443:${address}:443`, '--max-time', '5'];
  const { stdout } = await outcome([
    ...(['curl', '--silent', '--insecure', '--noproxy', '*'] as const),
    ...[...connect, '--output', '/dev/null', '--write-out', '%{http_code}'],
    'https://localhost/health',
  ]);
  return stdout.trim();
}
