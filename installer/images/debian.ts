import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { PlatformImage } from '../model/images.ts';
import { olderDebian } from './satisfies.ts';

/** What `images/resolve.sh` says that one image would be made of today; `images/README.md` tells the rest. */
export interface DebianImage {
  readonly name: string;
  /** `holdfast/<name>:<version>-<12 hex of everything that goes into it>` */
  readonly reference: string;
  readonly version: string;
  /** `package=version` words that are installed; what they depend on follows. */
  readonly install: string;
  /** Every Debian package in it, with its version. */
  readonly packages: Readonly<Record<string, string>>;
}

export interface DebianCatalogue {
  readonly suite: string;
  /** The root file system under all images. */
  readonly base: DebianImage;
  /** Archive with this machine's apt settings, for the build. */
  readonly aptSetup: string;
  readonly images: readonly DebianImage[];
}

export interface DebianQuestion {
  readonly offline: boolean;
  /** An older Debian, for what it alone has; absent asks the one that all images are made of. */
  readonly suite?: string;
}

export function imagesFolder(programPath: string): string {
  return posix.join(programPath, 'images');
}

/**
 * Asks Debian what each image would be made of now. Offline it answers from the package lists of the
 * last run, so that what is built is what was planned.
 *
 * @throws AppError `image/debian-unreachable`
 */
export async function askDebian(
  host: Host,
  programPath: string,
  { offline, suite }: DebianQuestion,
): Promise<DebianCatalogue> {
  const script = posix.join(imagesFolder(programPath), 'resolve.sh');
  try {
    const { stdout } = await host.run({
      argv: [
        'bash',
        script,
        ...(offline ? ['--offline'] : []),
        ...(suite === undefined ? [] : ['--suite', suite]),
      ],
      timeoutSeconds: 900,
    });
    return readCatalogue(stdout);
  } catch (error) {
    throw new AppError({
      code: 'image/debian-unreachable',
      what: `${host.name} cannot learn from its Debian mirror which packages there are`,
      ...(error instanceof Error ? { why: error.message } : {}),
      hint: 'check the network and `apt-get update`, then run the same holdfast command again',
      cause: error,
    });
  }
}

/**
 * The catalogues that these references come from, by the package lists of the last run.
 *
 * @throws AppError `image/debian-unreachable`
 */
export async function cataloguesOf(
  host: Host,
  programPath: string,
  references: readonly string[],
): Promise<DebianCatalogue[]> {
  const catalogues: DebianCatalogue[] = [];
  for (const suite of new Set(references.map(suiteOf))) {
    const question = { offline: true, ...(suite !== undefined && { suite }) };
    catalogues.push(await askDebian(host, programPath, question));
  }
  return catalogues;
}

/** The older Debian behind `holdfast/<image>:<version>-<hash>`; undefined for the usual one. */
function suiteOf(reference: string): string | undefined {
  const [, image = '', version] = /^holdfast\/([^:]+):(.+)-[0-9a-f]+$/.exec(reference) ?? [];
  return olderDebian(image as PlatformImage, version);
}

function readCatalogue(text: string): DebianCatalogue {
  const found = JSON.parse(text) as DebianCatalogue;
  if (typeof found.base?.reference !== 'string' || !Array.isArray(found.images)) {
    throw new Error('images/resolve.sh gave an answer of another form');
  }
  return found;
}

/** Twelve hex digits over the files that the Debian images are built from; a new program may bring others. */
export async function recipeDigest(host: Host, programPath: string): Promise<string> {
  const folder = imagesFolder(programPath);
  const { stdout } = await host.run({
    argv: [
      'find',
      folder,
      '-type',
      'f',
      '!',
      '-name',
      '*.md',
      '-printf',
      '%m %P\n',
      '-exec',
      'sha256sum',
      '{}',
      '+',
    ],
  });
  // The folder's own place must not matter: sha256sum prints whole paths.
  const lines = stdout.replaceAll(`${folder}/`, '').split('\n').sort();
  return createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 12);
}
