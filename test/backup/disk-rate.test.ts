import t from 'tap';
import { diskRate } from '../../installer/backup/restore/disk-rate.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { MemoryHost } from '../support/memory-host.ts';

const DEVICES = '/sys/devices';
const LIMIT = 64 * 1024 ** 2;
const NO_DISK = 'disk rate not limited: the file system lies on no disk of its own';

interface Disk {
  /** What findmnt prints for the folder of the engine. */
  readonly number: string;
  /** Where sysfs has it; nowhere when absent. */
  readonly path?: string;
  readonly isPartition?: boolean;
  /** What stands in `/dev`. */
  readonly device?: string;
  /** What the engine says of its limits. */
  readonly info?: string;
}

/** As a server does whose engine keeps its data there. */
async function rateOn({ number, path, isPartition, device, info = '2 null' }: Disk) {
  const host = new MemoryHost();
  const file = { mode: 0o644, uid: 0, gid: 0 };
  if (isPartition) await host.write(`/sys/dev/block/${number.trim()}/partition`, '1\n', file);
  if (device !== undefined) await host.write(device, '', file);
  host.on(['findmnt'], () => ({ stdout: `${number}\n` }), { looks: true });
  // Like the real one: `--canonicalize` prints a path of which the last part is missing, and ends well.
  const missing = ({ rest }: { readonly rest: readonly string[] }) => ({ stdout: `${rest[0]}\n` });
  const found = path === undefined ? undefined : { stdout: `${path}\n` };
  host.on(['readlink', '--canonicalize'], (call) => found ?? missing(call), { looks: true });
  const existing = ['readlink', '--canonicalize-existing'];
  host.on(existing, () => found ?? { exitCode: 1 }, { looks: true });
  host.on(['docker', 'info'], () => ({ stdout: `${info}\n` }), { looks: true });
  return await diskRate({ host, engine: new FakeEngine(host.effects) });
}

t.test('a whole disk is held to a rate, wherever sysfs has it', async (t) => {
  const virtio = `${DEVICES}/pci0000:00/0000:00:02.0/virtio1/block/vda`;
  const nvme = `${DEVICES}/pci0000:00/0000:00:1d.0/0000:03:00.0/nvme/nvme0/nvme0n1`;
  const subsystem = `${DEVICES}/virtual/nvme-subsystem/nvme-subsys0/nvme0n1`;
  const cases: readonly [disk: Disk, device: string][] = [
    [{ number: '254:0', path: virtio }, '/dev/vda'],
    [{ number: ' 254:1', path: `${virtio}/vda1`, isPartition: true }, '/dev/vda'],
    [{ number: '259:0', path: nvme }, '/dev/nvme0n1'],
    [{ number: '259:2', path: `${nvme}/nvme0n1p2`, isPartition: true }, '/dev/nvme0n1'],
    [{ number: '259:2', path: `${subsystem}/nvme0n1p2`, isPartition: true }, '/dev/nvme0n1'],
    [{ number: '252:0', path: `${DEVICES}/virtual/block/dm-0` }, '/dev/dm-0'],
    [{ number: '104:0', path: `${DEVICES}/pci0000:00/cciss0/block/cciss!c0d0` }, '/dev/cciss/c0d0'],
  ];
  for (const [disk, device] of cases) {
    const { argv, disk: limit, text } = await rateOn({ ...disk, device });
    t.strictSame(
      argv,
      ['--device-read-bps', `${device}:${LIMIT}`, '--device-write-bps', `${device}:${LIMIT}`],
      `${disk.path}`,
    );
    t.strictSame(limit, { device, bytesPerSecond: LIMIT });
    t.equal(text, 'reads and writes up to 64 MiB/s');
  }
});

t.test('where there is no disk to name, no limit is asked for', async (t) => {
  const vda = `${DEVICES}/pci0000:00/0000:00:02.0/virtio1/block/vda`;
  t.strictSame(await rateOn({ number: '  0:46' }), { argv: [], text: NO_DISK }, 'btrfs, overlay');
  t.strictSame(await rateOn({ number: '8:1' }), { argv: [], text: NO_DISK }, 'not in sysfs');
  t.strictSame(await rateOn({ number: '' }), { argv: [], text: NO_DISK });
  t.strictSame(
    await rateOn({ number: '254:0', path: vda }),
    { argv: [], text: NO_DISK },
    'a disk of the provider that this container has no device for',
  );
});

t.test('a kernel that cannot is not asked', async (t) => {
  const path = `${DEVICES}/virtual/block/vda`;
  const vda = { number: '254:0', path, device: '/dev/vda' };
  const info = '2 ["WARNING: No io.max (rbps) support"]';
  t.strictSame(await rateOn({ ...vda, info }), {
    argv: [],
    text: 'disk rate not limited: the kernel of this server cannot',
  });
  t.equal((await rateOn({ ...vda, info: '1 null' })).text, 'reads up to 64 MiB/s');
});
