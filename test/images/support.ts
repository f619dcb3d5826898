import type { Engine, ImageState } from '../../installer/engine/engine.ts';
import type { Command, CommandResult, Host } from '../../installer/host/host.ts';
import type { ImageLock, ImageRequest } from '../../installer/images/resolve.ts';
import { EMPTY_LOCK, type LockFile } from '../../installer/model/lock-file.ts';

/** An engine that knows images only. */
export function engineWith(references: Iterable<string> = []): Engine & { present: Set<string> } {
  const present = new Set(references);
  const image = async (reference: string): Promise<ImageState | undefined> =>
    present.has(reference)
      ? {
          id: `sha256:${Buffer.from(reference).toString('hex')}`,
          tags: [reference],
          digests: [],
          labels: {},
          user: '',
          createdAt: '2026-01-01T00:00:00Z',
          size: 1,
        }
      : undefined;
  return { present, image } as unknown as Engine & { present: Set<string> };
}

export type Answer = (command: Command) => Partial<CommandResult> | undefined;

/** A host whose programs are answered by the test; the commands that ran are kept. */
export function hostWith(answers: readonly Answer[]): Host & { readonly ran: string[] } {
  const ran: string[] = [];
  const run = async (command: Command): Promise<CommandResult> => {
    ran.push(command.argv.join(' '));
    for (const answer of answers) {
      const result = answer(command);
      if (result !== undefined) return { exitCode: 0, stdout: '', stderr: '', ...result };
    }
    throw new Error(`no answer for ${command.argv.join(' ')}`);
  };
  return { name: 'test', ran, run } as unknown as Host & { ran: string[] };
}

export const DEBIAN_ANSWER = {
  suite: 'trixie',
  base: image('base', 'trixie'),
  aptSetup: '/var/cache/setup.tar',
  images: [image('postgres', '17.6'), image('redis', '8.0.2'), image('node', '20.19.2')],
};

const OLDER_ANSWER = {
  suite: 'bookworm',
  base: image('base', 'bookworm'),
  aptSetup: '/var/cache/older.tar',
  images: [image('postgres', '15.20')],
};

function image(name: string, version: string) {
  const reference = `holdfast/${name}:${version}-0123456789ab`;
  return { name, reference, version, install: `${name}=${version}`, packages: {} };
}

/** `images/resolve.sh` and the hash of its folder. */
export const debian: Answer = ({ argv }) => {
  if (argv[0] === 'find') return { stdout: 'recipe' };
  if (argv[0] !== 'bash') return undefined;
  return { stdout: JSON.stringify(argv.includes('bookworm') ? OLDER_ANSWER : DEBIAN_ANSWER) };
};

export const DIGEST = `sha256:${'d'.repeat(64)}`;

export const registryFinds: Answer = ({ argv }) =>
  argv.includes('imagetools') ? { stdout: JSON.stringify({ digest: DIGEST }) } : undefined;

export const registrySilent: Answer = ({ argv }) =>
  argv.includes('imagetools')
    ? { exitCode: 1, stderr: 'ERROR: failed to do request: dial tcp: no such host' }
    : undefined;

export const registryRefuses: Answer = ({ argv }) =>
  argv.includes('imagetools') ? { exitCode: 1, stderr: 'ERROR: r/i:1: not found' } : undefined;

export function request(
  fields: Partial<ImageRequest> & Pick<ImageRequest, 'host' | 'engine'>,
): ImageRequest {
  return {
    project: 'acme',
    needs: [],
    services: {},
    lock: EMPTY_LOCK,
    programPath: '/opt/holdfast',
    ...fields,
  };
}

export function lockOf(lock: ImageLock): LockFile {
  return { ...EMPTY_LOCK, ...lock };
}
