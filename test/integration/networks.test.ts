import { writeFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { Appliance } from '../support/appliance.ts';
import { PACKAGE_ROOT } from '../support/component-input.ts';
import { QUIET_ZONE } from '../support/quiet-zone.ts';
import { docker } from './support/docker.ts';
import { everydayCommands } from './support/everyday.ts';

const PROJECT = 'networks-test';
const LABEL = `label=io.holdfast.project=${PROJECT}`;

/** `aaa` sorts before `web`: Docker picks the way out of nginx by the names of its networks. */
function configOf(services: readonly string[]): string {
  const blocks = services.map(
    (name) => `  ${name}:
    build: { context: ./demo }
    port: 3000
    health: { path: /metrics, interval: 1s }
    metrics: { path: /metrics }
    routes: [{ host: ${name}.example.com, path: / }]
    uses: [postgres]
`,
  );
  return `version: 1
project: ${PROJECT}
timezone: ${QUIET_ZONE}
domain: example.com
contact: ops@example.com
tls: { issuer: selfsigned }
services:
${blocks.join('')}postgres: { version: "17", databases: [app] }
monitoring:
  prometheus: { retention: 1d }
`;
}

async function containers(): Promise<Map<string, string>> {
  const listed = await docker(
    'ps',
    '--filter',
    LABEL,
    '--no-trunc',
    '--format',
    '{{.Names}} {{.ID}}',
  );
  return new Map(listed.split('\n').map((line) => line.split(' ') as [string, string]));
}

async function networks(): Promise<string[]> {
  const listed = await docker('network', 'ls', '--filter', LABEL, '--format', '{{.Name}}');
  return listed.split('\n').sort();
}

/** Asks without a pause until told to stop; every request is a connection of its own. */
function askWithoutPause(appliance: Appliance, url: string) {
  let asking = true;
  const failures: string[] = [];
  let answers = 0;
  const loop = async (): Promise<void> => {
    while (asking) {
      const answer = await appliance.ask(url).catch((error: Error) => error.message);
      if (typeof answer !== 'string' && answer.status === 200) answers += 1;
      else failures.push(typeof answer === 'string' ? answer : `status ${answer.status}`);
    }
  };
  const done = loop();
  return async () => {
    asking = false;
    await done;
    return { answers, failures };
  };
}

t.test('a service that comes or goes leaves every other container as it is', async (t) => {
  const folder = t.testdir({});
  await cp(join(PACKAGE_ROOT, 'examples/demo'), join(folder, 'demo'), { recursive: true });
  const config = join(folder, 'config.yaml');
  const appliance = await Appliance.create(config);
  t.teardown(() => appliance.remove());
  const apply = async (...services: string[]) => {
    writeFileSync(config, configOf(services));
    const ran = await appliance.run(['apply', '--config', config, '--yes']);
    t.equal(ran.exitCode, 0, `${ran.stdout}${ran.stderr}`.slice(-3000));
    return ran;
  };
  const answersFromDatabase = async (service: string) => {
    const { status, body } = await appliance.ask(`https://${service}.example.com/health`);
    t.match(body, '"database":"ok"', `${service} reaches its database (status ${status})`);
  };

  await apply('web');
  await answersFromDatabase('web');
  const [before, networksBefore] = [await containers(), await networks()];

  await t.test('a second service', async (t) => {
    const stop = askWithoutPause(appliance, 'https://web.example.com/whoami');
    const { stdout } = await apply('web', 'aaa');
    const { answers, failures } = await stop();
    t.comment(`${answers} answers, ${failures.length} failures`);
    t.strictSame(failures, [], 'nobody who asks the first one notices');
    t.match(stdout, `+ network ${PROJECT}_data-aaa`);
    t.match(stdout, `~ network ${PROJECT}_data-aaa: connect postgres`);
    await answersFromDatabase('aaa');
    await answersFromDatabase('web');
    const after = await containers();
    for (const [name, id] of before) t.equal(after.get(name), id, `${name} keeps its id`);
    const again = await appliance.run(['apply', '--config', config, '--yes']);
    t.match(again.stdout, /Nothing to do/);
  });

  await t.test('prometheus scrapes the second service', async (t) => {
    const isUp = async (): Promise<boolean> => {
      const text = await docker(
        'exec',
        `${PROJECT}-prometheus-1`,
        'promtool',
        'query',
        'instant',
        'http://127.0.0.1:9090',
        'up{job="aaa"}',
      );
      return /=> 1 /.test(text);
    };
    const deadline = Date.now() + 300_000;
    let up = false;
    while (!up && Date.now() < deadline) up = await isUp();
    t.ok(up);
  });

  await t.test('the commands of an ordinary day', (t) => everydayCommands(t, appliance, 'app'));

  await t.test('a network that somebody took away from postgres is connected again', async (t) => {
    await docker('network', 'disconnect', `${PROJECT}_data-aaa`, `${PROJECT}-postgres-1`);
    const { stdout } = await apply('web', 'aaa');
    t.match(stdout, `~ network ${PROJECT}_data-aaa: connect postgres`);
    await answersFromDatabase('aaa');
  });

  await t.test('the second service goes', async (t) => {
    const stop = askWithoutPause(appliance, 'https://web.example.com/whoami');
    await apply('web');
    const { answers, failures } = await stop();
    t.comment(`${answers} answers, ${failures.length} failures`);
    t.strictSame(failures, [], 'nobody who asks the first one notices');
    t.strictSame(await containers(), before, 'every container keeps its id');
    t.strictSame(await networks(), networksBefore, 'its networks are gone');
    await answersFromDatabase('web');
  });
});
