import { once } from 'node:events';
import t, { type Test } from 'tap';
import { waitFor } from '../support/containers.ts';
import { Load } from '../support/load.ts';
import { DeployLab } from './support/deploy-lab.ts';

// A sample on the real engine of what test/rollout/release.test.ts does on a fake one.

const lab = await DeployLab.start({ 1: 'good', 2: 'good' }, 1);
t.teardown(() => lab.remove());

const running = async (): Promise<readonly string[]> =>
  (await lab.containers()).filter((line) => line.includes(' running '));

/** States of a deploy of one release over the other at which it is killed. */
const MOMENTS: Readonly<Record<string, (from: string, to: string) => Promise<boolean>>> = {
  'a container of the new release is there': async (_from, to) =>
    (await lab.containers()).some((line) => line.includes(`-1 created`) || isRunning(line, to)),
  'both run beside the old ones': async (_from, to) =>
    (await running()).filter((line) => isRunning(line, to)).length === 2,
  'the new release answers': async (_from, to) => (await lab.ask()).version === to,
  'the old one is being stopped': async (from) =>
    (await running()).filter((line) => isRunning(line, from)).length < 2,
};

function isRunning(line: string, version: string): boolean {
  return line.includes(' running ') && line.endsWith(`:${version}`);
}

/**
 * One release serves.
 * @param most switches that may still come: a kill may have come before nginx had followed
 */
async function checkWhole(t: Test, versions: readonly string[], most = 0): Promise<string> {
  const answered: string[] = [];
  let switches = 0;
  for (let alike = 0; alike < 20; ) {
    const { version } = await lab.ask();
    if (version !== answered.at(-1)) {
      if (answered.length > 0) switches += 1;
      alike = 0;
      if (switches > most) break;
    }
    alike += 1;
    answered.push(version);
  }
  const version = answered.at(-1) ?? '';
  t.ok(switches <= most, `one release serves: ${answered.join(' ')}`);
  t.ok(versions.includes(version), version);
  return version;
}

/** How often a look may come too late for its moment. */
const MOST_MISSED = 5;

/** Deploys and kills the command at the moment; null when it was done by the time that we saw it. */
async function killedDeploy(
  moment: string,
  isThere: (from: string, to: string) => Promise<boolean>,
  [from, to]: readonly [string, string],
): Promise<string | null> {
  const child = lab.appliance.start(lab.argv('deploy', 'app', lab.image(to)));
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>;
  child.stdout.resume();
  child.stderr.resume();
  await waitFor(moment, async () =>
    child.exitCode !== null || (await isThere(from, to)) ? true : undefined,
  );
  child.kill('SIGKILL');
  const [, signal] = await ended;
  return signal;
}

let [from, to] = ['1', '2'];
for (const [moment, isThere] of Object.entries(MOMENTS)) {
  await t.test(
    `killed when ${moment}: one whole release serves, then and ever after`,
    async (t) => {
      const load = new Load(await lab.target());
      let signal = await killedDeploy(moment, isThere, [from, to]);
      for (let missed = 1; signal === null && missed < MOST_MISSED; missed += 1) {
        t.equal(await checkWhole(t, [to]), to, 'it was done before we had looked');
        [from, to] = [to, from];
        signal = await killedDeploy(moment, isThere, [from, to]);
      }
      t.equal(signal, 'SIGKILL', 'it was not done yet');
      await checkWhole(t, [from, to], 1);

      const again = await lab.run('apply');
      t.equal(again.exitCode, 0, again.stderr);
      const serves = await checkWhole(t, [from, to]);
      const lines = await running();
      t.equal(lines.length, 2, lines.join('\n'));
      t.ok(
        lines.every((line) => isRunning(line, serves)),
        lines.join('\n'),
      );
      t.match(await lab.run('apply'), { exitCode: 0, stdout: /Nothing to do/ });
      await load.stop();
      t.strictSame(Object.fromEntries(load.failures), {}, `${load.requests} requests`);
      if (serves === to) [from, to] = [to, from];
    },
  );
}
