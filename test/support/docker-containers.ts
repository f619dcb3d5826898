import type { Test } from 'tap';
import { LocalHost } from '../../installer/host/local.ts';
import type { EngineUnderTest, Life } from '../contract/engine-suite.ts';
import { testImage } from './test-image.ts';

const LABEL = 'io.holdfast.test=1';

const LOG_AND_EXIT = 'i=1; while [ $i -le 30 ]; do echo line $i; i=$((i+1)); done; exit 3';

const LIVES: Readonly<Record<Life, { options: string[]; argv: string[] }>> = {
  sleeps: { options: [], argv: ['sleep', '600'] },
  'gets-healthy': {
    options: ['--health-cmd', 'test -e /tmp/well', '--health-interval', '1s'],
    argv: ['sh', '-c', 'mkdir -p /tmp; >/tmp/well; exec sleep 600'],
  },
  'stays-unhealthy': {
    options: ['--health-cmd', 'echo not well; false', '--health-interval', '1s'],
    argv: ['sleep', '600'],
  },
  'logs-and-exits-with-3': { options: [], argv: ['sh', '-c', LOG_AND_EXIT] },
  'keeps-exiting-with-3': {
    options: ['--restart', 'unless-stopped'],
    argv: ['sh', '-c', LOG_AND_EXIT],
  },
};

/** Real objects on this machine's engine for the contract suite, each removed by name after its test. */
export async function dockerObjects(t: Test): Promise<Omit<EngineUnderTest, 'engine'>> {
  const host = new LocalHost();
  const image = await testImage(t);
  const docker = async (...argv: string[]): Promise<string> => {
    const { stdout } = await host.run({ argv: ['docker', ...argv] });
    return stdout.trim();
  };
  return {
    image,
    start: async (life, { name, labels = {} }) => {
      const { options, argv } = LIVES[life];
      t.teardown(() => docker('rm', '--force', '--volumes', name));
      return docker(
        'run',
        '--detach',
        '--init',
        '--name',
        name,
        ...labelFlags(labels),
        ...options,
        image,
        ...argv,
      );
    },
    stop: async (id) => {
      await docker('stop', '--time', '1', id);
    },
    createVolume: async (name, labels) => {
      t.teardown(() => docker('volume', 'rm', '--force', name));
      await docker('volume', 'create', ...labelFlags(labels), name);
    },
    createNetwork: async (name, subnet, labels) => {
      t.teardown(() => docker('network', 'rm', name));
      await docker('network', 'create', '--subnet', subnet, ...labelFlags(labels), name);
    },
  };
}

function labelFlags(labels: Readonly<Record<string, string>>): string[] {
  const own = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return [LABEL, ...own].flatMap((label) => ['--label', label]);
}
