import { posix } from 'node:path';
import type { Host } from '../../host/host.ts';
import type { BackupContext } from '../context.ts';

/** Bytes a second, each way: a third of what the disks of the cheapest servers give, so that the product keeps the rest. */
const RATE = 64 * 1024 ** 2;
const RATE_TEXT = '64 MiB/s';

export interface DiskRate {
  /** Options of `docker run`. */
  readonly argv: readonly string[];
  /** The same for compose; absent where there is no limit. */
  readonly disk?: { readonly device: string; readonly bytesPerSecond: number };
  /** What they achieve, or why there are none. */
  readonly text: string;
}

/**
 * Holds a container to a rate on the disk that the engine keeps its data on. Not every engine and file system can
 * be told so: then there are no options, and the text says why.
 */
export async function diskRate({
  host,
  engine,
}: Pick<BackupContext, 'host' | 'engine'>): Promise<DiskRate> {
  const { dataRoot } = await engine.info();
  const ask = async (argv: readonly [string, ...string[]]): Promise<string> =>
    (await host.run({ argv, okExitCodes: [0, 1] })).stdout.trim();
  const number = await ask([
    'findmnt',
    ...['--noheadings', '--output', 'MAJ:MIN', '--target', dataRoot],
  ]);
  const device = number === '' ? undefined : await wholeDisk(host, ask, number);
  if (device === undefined) {
    return { argv: [], text: 'disk rate not limited: the file system lies on no disk of its own' };
  }
  const format = '{{.CgroupVersion}} {{json .Warnings}}';
  const [version, ...warnings] = (await ask(['docker', 'info', '--format', format])).split(' ');
  // `No blkio throttle.read_bps_device support`, or `No io.max (rbps) support`: it would be passed over.
  if (/bps/.test(warnings.join(' '))) {
    return { argv: [], text: 'disk rate not limited: the kernel of this server cannot' };
  }
  const argv = ['--device-read-bps', '--device-write-bps'].flatMap((option) => [
    option,
    `${device}:${RATE}`,
  ]);
  return {
    argv,
    disk: { device, bytesPerSecond: RATE },
    // The first version of control groups does not know whose writes leave the kernel's cache.
    text: version === '1' ? `reads up to ${RATE_TEXT}` : `reads and writes up to ${RATE_TEXT}`,
  };
}

/**
 * The kernel limits disks, not their partitions. In sysfs a partition is a folder of its disk: `…/block/vda/vda1`,
 * `…/nvme0/nvme0n1/nvme0n1p1`. btrfs, ZFS and overlay have numbers such as `0:46`, behind which there is no device.
 */
async function wholeDisk(
  host: Host,
  ask: (argv: readonly [string, ...string[]]) => Promise<string>,
  number: string,
): Promise<string | undefined> {
  if (number.startsWith('0:')) return undefined;
  const link = `/sys/dev/block/${number}`;
  const path = await ask(['readlink', '--canonicalize-existing', link]);
  if (path === '') return undefined;
  const isPartition = (await host.stat(`${link}/partition`)) !== undefined;
  // The kernel writes the slash of a name such as `cciss/c0d0` as an exclamation mark.
  const disk = posix.basename(isPartition ? posix.dirname(path) : path).replaceAll('!', '/');
  const device = `/dev/${disk}`;
  // Inside a container of the provider sysfs tells of disks that are not in /dev.
  return (await host.stat(device)) === undefined ? undefined : device;
}
