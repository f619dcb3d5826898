import type { Test } from 'tap';
import { until } from './docker.ts';
import { withDockerMet } from './docker-met.ts';
import type { Machine } from './machine.ts';
import { APP_HOST, APP_REPOSITORY } from './nginx-replaced.ts';
import { buildRelease, moveImage } from './releases.ts';

/** Whatever started it. */
const STOP = 'kill $(pidof dockerd); while pidof dockerd >/dev/null; do sleep 0.2; done';
const START =
  'setsid dockerd </dev/null >/dev/null 2>&1 & until docker info >/dev/null 2>&1; do sleep 0.2; done';

/**
 * The engine goes, and every container with it, in the middle of a deploy: right after the containers of the new
 * release were started, and comes back only later; or is restarted when those of the old one are about to stop.
 * Whatever the deploy says then, one complete release serves; an apply carries on, and leaves the containers of the new one running.
 */
export async function engineIsLost(t: Test, machine: Machine, config: string): Promise<void> {
  const image = await buildRelease(t.testdir(), 'good', '2', APP_REPOSITORY);
  await moveImage(machine, image);
  const first = image.replace(/2$/, '1');
  const moments = [
    {
      words: '*" up "*app_[ab] | "container start "*',
      instead: `/usr/bin/docker "$@"; ${STOP}; exit 0`,
      isSwitched: false,
    },
    { words: '"container stop "*', instead: `${STOP}; ${START}`, isSwitched: true },
  ];
  for (const at of moments) {
    const [before] = await answers(machine, 1);
    const [wanted, after] = before === '1' ? [image, '2'] : [first, '1'];
    const engineBefore = (await machine.exec('pidof', 'dockerd')).stdout;
    const deploy = ['holdfast', 'deploy', 'app', wanted, '--yes', '--config', config];
    const met = await withDockerMet(machine, at, deploy);
    if (!met.happened) throw new Error(`never ${at.words}: ${met.stdout} ${met.stderr}`);
    await machine.exec('sh', '-c', `docker info >/dev/null 2>&1 || { ${START}; }`);
    t.not((await machine.exec('pidof', 'dockerd')).stdout, engineBefore, 'the engine went');
    await until('the front door answers', 120, async () => (await answers(machine, 1)).size === 1);
    const serving = await answers(machine, 20);
    t.strictSame([...serving], [at.isSwitched ? after : before], 'one release serves');
    t.comment(`${at.words}: the deploy ended with ${met.code}`);
    // All of the platform was started anew with the engine; an apply tells of whom it finds still starting.
    await until('nothing is still starting', 180, async () => {
      const starting = ['docker', 'ps', '--quiet', '--filter', 'health=starting'];
      return (await machine.exec(...starting)).stdout.trim() === '';
    });
    const applied = await machine.exec('holdfast', 'apply', '--yes', '--config', config);
    if (applied.code !== 0) throw new Error(`${applied.code} ${applied.stdout} ${applied.stderr}`);
    t.strictSame(
      [...(await answers(machine, 20))],
      [after],
      'an apply carries on with the new one',
    );
    const { stdout } = await machine.exec('docker', 'ps', '--format', '{{.Names}} {{.Image}}');
    const app = stdout.split('\n').filter((line) => line.startsWith('plain-app_'));
    t.equal(app.length, 1, app.join(', '));
    t.ok(app[0]?.endsWith(`:${after}`));
  }
}

/** First words of successful answers: the releases. */
async function answers(machine: Machine, count: number): Promise<Set<string>> {
  const ask = `for n in $(seq ${count}); do curl -skf --max-time 10 --noproxy '*' --resolve ${APP_HOST}:443:127.0.0.1 https://${APP_HOST}/ && echo; done`;
  const { stdout } = await machine.exec('sh', '-c', ask);
  return new Set(
    stdout.split('\n').flatMap((line) => (line === '' ? [] : [line.split(' ')[0] ?? ''])),
  );
}
