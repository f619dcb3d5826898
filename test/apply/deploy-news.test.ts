import t from 'tap';
import type { DeployEvent } from '../../installer/model/deploy-event.ts';
import { platform } from './platform.ts';
import { World } from './world.ts';

/** A server that serves web:1, and what its receivers hear from then on. */
async function serving() {
  const world = new World();
  const heard: DeployEvent[] = [];
  Object.assign(world.context, {
    announce: async (event: DeployEvent) => {
      heard.push(event);
    },
  });
  await world.apply(platform({ web: '1' }));
  heard.length = 0;
  return { world, heard };
}

const kindsOf = (heard: readonly DeployEvent[]) => heard.map(({ kind }) => kind);

t.test('a release is told at its start and at its end, with who and what', async (t) => {
  const { world, heard } = await serving();
  await world.apply(platform({ web: '2' }), {
    command: 'holdfast deploy web web:2',
  });
  t.strictSame(kindsOf(heard), ['started', 'succeeded']);
  const [started, succeeded] = heard;
  t.match(started, {
    command: 'holdfast deploy web web:2',
    changes: [{ kind: 'service', name: 'web', version: 'holdfast-build/web:2', replicas: 1 }],
  });
  t.equal(started?.seconds, undefined);
  t.type(succeeded?.seconds, 'number');
  t.not(started?.who, '');
});

t.test('one that never becomes healthy is told as failed, without its logs', async (t) => {
  const { world, heard } = await serving();
  world.sickImages.add('holdfast-build/web:2');
  await t.rejects(world.apply(platform({ web: '2' })));
  t.strictSame(kindsOf(heard), ['started', 'failed']);
  t.match(heard[1]?.reason, /^health\/not-healthy: /);
  t.notMatch(JSON.stringify(heard), /cannot reach db/);
});

t.test('back on request, and another number of replicas', async (t) => {
  const { world, heard } = await serving();
  await world.apply(platform({ web: '2' }));
  heard.length = 0;
  await world.apply(platform({ web: '1' }), {
    command: 'holdfast rollback web',
  });
  t.strictSame(kindsOf(heard), ['started', 'rolled-back']);
  heard.length = 0;
  await world.apply(platform({ web: '1', webReplicas: 2 }), {
    command: 'holdfast scale web 2 (CPU 91 %)',
  });
  t.match(heard, [{ kind: 'scaled', changes: [{ name: 'web', replicas: 2 }] }]);
  t.equal(heard.length, 1);
});

t.test('what releases nothing is told to nobody', async (t) => {
  const { world, heard } = await serving();
  await world.apply(platform({ web: '1', nginxConf: 'other' }));
  await world.apply(platform({ web: '1', nginxConf: 'other' }));
  t.strictSame(heard, []);
});
