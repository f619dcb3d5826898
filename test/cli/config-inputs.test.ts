import t from 'tap';
import { readSeeds } from '../../installer/cli/config-inputs.ts';
import { LocalHost } from '../../installer/host/local.ts';

t.test('a seed is a file, and everything else is told with its key', async (t) => {
  const folder = t.testdir({ 'seed.sql': 'SELECT 1;', seeds: {} });
  const textOf = (file: string) =>
    readSeeds(new LocalHost(), {
      config: { services: { web: { name: 'web', seed: { file } } } },
      pathOf: (path: string) => `${folder}/${path}`,
    } as unknown as Parameters<typeof readSeeds>[1]);
  t.strictSame([...(await textOf('seed.sql'))], [['web', 'SELECT 1;']]);
  const code = 'config/no-seed-file';
  await t.rejects(textOf('none.sql'), { code, why: 'there is no such file' });
  await t.rejects(textOf('seeds'), {
    code,
    message: /services\.web\.seed\.file/,
    why: 'it is no file',
  });
});
