import t from 'tap';
import { composeCheck, composeUp } from '../../installer/engine/compose.ts';
import { installFakeDocker } from '../support/fake-docker.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { MemoryHost } from '../support/memory-host.ts';
import { composeSuite } from './compose-suite.ts';

t.test('the docker commands of the MemoryHost', async (t) => {
  composeSuite(t, async () => {
    const host = new MemoryHost();
    const engine = new FakeEngine(host.effects);
    installFakeDocker(host, engine);
    const image = 'holdfast/test:1';
    engine.addImage(image);
    const project = { project: 'p', directory: '/stack', secrets: false };
    return { host, engine, project, image };
  });
});

t.test('commands name the project, its files and nothing of the folder', async (t) => {
  const project = { project: 'shop', directory: '/var/lib/holdfast/stack', secrets: true };
  const services = [{ service: 'api', scale: 2 }, { service: 'web' }] as const;
  const up = composeUp(project, [...services], { recreate: true });
  t.equal(
    up.argv.join(' '),
    'docker compose --ansi never --progress plain --project-name shop ' +
      '--project-directory /var/lib/holdfast/stack --env-file /dev/null ' +
      '--file /var/lib/holdfast/stack/compose.yaml --file /var/lib/holdfast/stack/compose.secrets.yaml ' +
      'up --detach --no-deps --no-build --pull never --force-recreate --scale api=2 api web',
  );
  const check = composeCheck(project, 'services: {}');
  t.equal(check.stdin, 'services: {}');
  t.match(check.argv.join(' '), / --file - config --quiet$/);
});
