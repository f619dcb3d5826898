import { randomBytes } from 'node:crypto';
import type { Test } from 'tap';
import { LocalHost } from '../../installer/host/local.ts';

const BUSYBOX = '/bin/busybox';

/**
 * An image with a shell and the usual small programs: holdfast's own base image where one was built,
 * else one around Debian's static busybox, removed after the test.
 */
export async function testImage(t: Test): Promise<string> {
  const host = new LocalHost();
  const { stdout } = await host.run({
    argv: ['docker', 'image', 'ls', '--format', '{{.Repository}}:{{.Tag}}', 'holdfast/base'],
  });
  const [built] = stdout.split('\n');
  if (built !== undefined && built !== '') return built;

  const folder = t.testdir({ bin: {} });
  await host.run({ argv: ['cp', BUSYBOX, `${folder}/bin/busybox`] });
  await host.run({ argv: ['chroot', folder, '/bin/busybox', '--install', '-s', '/bin'] });
  const tar = `${folder}.tar`;
  await host.run({ argv: ['tar', '--create', '--file', tar, '--directory', folder, 'bin'] });
  const reference = `holdfast-test/busybox:${randomBytes(5).toString('hex')}`;
  await host.run({ argv: ['docker', 'import', '--change', 'ENV PATH=/bin', tar, reference] });
  await host.remove(tar);
  t.teardown(() => host.run({ argv: ['docker', 'image', 'rm', reference] }));
  return reference;
}
