import type { Host } from '../host/host.ts';
import { WITHOUT_LOG } from '../model/container-log.ts';
import type { LockedImage } from '../model/lock-file.ts';
import type { PendingUpdate } from '../model/updates-result.ts';
import { cataloguesOf } from './debian.ts';
import type { ImageLock } from './resolve.ts';

/** A change of a hundred packages is told by the first few. */
const SHOWN_CHANGES = 12;

/** What of the decided images is newer than what runs, by name. Asks no mirror: `after` was decided just now. */
export async function pendingUpdates(
  host: Host,
  programPath: string,
  before: ImageLock,
  after: ImageLock,
): Promise<PendingUpdate[]> {
  const changed = [
    ...changedImages(before.images, after.images),
    ...changedImages(before.services, after.services).filter(({ now }) => now.source !== 'build'),
  ];
  if (changed.length === 0) return [];
  const fromDebian = changed.filter(({ now }) => now.source === 'debian');
  const references = fromDebian.map(({ now }) => now.reference);
  const catalogues = await cataloguesOf(host, programPath, references);
  const offers = catalogues.flatMap(({ images }) => images);
  return Promise.all(
    changed.map(async ({ name, was, now }): Promise<PendingUpdate> => {
      const offer = offers.find(({ reference }) => reference === now.reference);
      const changes =
        offer === undefined
          ? [was.digest === now.digest ? 'another image' : 'another digest of the registry']
          : packageChanges(await installedPackages(host, was.reference), offer.packages);
      return { name, current: was.reference, available: now.reference, changes };
    }),
  );
}

function changedImages(
  before: Readonly<Partial<Record<string, LockedImage>>>,
  after: Readonly<Partial<Record<string, LockedImage>>>,
) {
  return Object.entries(after).flatMap(([name, now]) => {
    const was = before[name];
    if (now === undefined || was === undefined || was.reference === now.reference) return [];
    return [{ name, was, now }];
  });
}

/** Debian packages of an image with their versions; none when the image is gone. */
async function installedPackages(host: Host, reference: string): Promise<Map<string, string>> {
  const { exitCode, stdout } = await host.run({
    argv: [
      'docker',
      'run',
      '--rm',
      ...WITHOUT_LOG,
      '--network',
      'none',
      '--entrypoint',
      'dpkg-query',
      reference,
      '--show',
      '--showformat',
      // dpkg's own variables, not ours.
      '$' + '{Package} $' + '{Version}\\n',
    ],
    timeoutSeconds: 60,
    okExitCodes: [0, 1, 125, 126, 127],
  });
  if (exitCode !== 0) return new Map();
  const lines = stdout.split('\n').filter((line) => line !== '');
  return new Map(lines.map((line) => line.split(' ') as [string, string]));
}

function packageChanges(
  installed: ReadonlyMap<string, string>,
  offered: Readonly<Record<string, string>>,
): string[] {
  const changes = Object.entries(offered).flatMap(([name, version]) => {
    const has = installed.get(name);
    return has === undefined || has === version ? [] : [`${name} ${has} → ${version}`];
  });
  if (changes.length === 0) return ['another way of building it'];
  const more = changes.length - SHOWN_CHANGES;
  return more > 0 ? [...changes.slice(0, SHOWN_CHANGES), `and ${more} more`] : changes;
}
