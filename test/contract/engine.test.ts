import t from 'tap';
import { FakeEngine } from '../support/fake-engine.ts';
import type { Behaviour } from '../support/fake-objects.ts';
import { type EngineUnderTest, engineSuite, type Life } from './engine-suite.ts';

const LOG = Array.from({ length: 30 }, (_, index) => `line ${index + 1}\n`).join('');

function programs(engine: FakeEngine): void {
  engine
    .onExec(['cat'], ({ stdin }) => ({ stdout: stdin }))
    .onExec(['id', '-u'], ({ user }) => ({ stdout: `${user}\n` }))
    .onExec(['printenv'], ({ argv, env }) => ({ stdout: `${env[argv[1] ?? '']}\n` }))
    .onExec(['sh', '-c'], () => ({ exitCode: 3, stdout: 'out\n', stderr: 'err\n' }));
}

const BEHAVIOURS: Readonly<Record<Life, Behaviour>> = {
  sleeps: { health: 'none' },
  'gets-healthy': { health: 'healthy' },
  'stays-unhealthy': { health: 'unhealthy' },
  'logs-and-exits-with-3': { exits: 3, logs: LOG },
  'keeps-exiting-with-3': { keepsExiting: 3, logs: LOG },
};

async function begin(): Promise<EngineUnderTest> {
  const engine = new FakeEngine();
  const image = 'holdfast/test:1';
  engine.addImage(image);
  programs(engine);
  return {
    engine,
    image,
    start: async (life, { name, labels = {} }) => {
      const service = labels['com.docker.compose.service'] ?? name;
      engine.behave(service, BEHAVIOURS[life]);
      const checked = life === 'gets-healthy' || life === 'stays-unhealthy';
      const spec = { name, service, image, labels, checked, memoryLimit: 0, networks: [] };
      const { id } = engine.create(spec);
      engine.start(id);
      return id;
    },
    stop: async (id) => engine.stop(id),
    createVolume: async (name, labels) => {
      engine.volumeLabels.set(name, labels);
    },
    createNetwork: async (name, subnet, labels) => {
      engine.networkStates.set(name, { subnet, labels });
    },
  };
}

t.test('FakeEngine', async (t) => engineSuite(t, begin));
