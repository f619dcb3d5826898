import { posix } from 'node:path';
import { AppError } from '../../errors.ts';
import { childOutput } from '../../host/child-output.ts';
import type { Host } from '../../host/host.ts';
import type { LockFile } from '../../model/lock-file.ts';
import type { Paths } from '../../model/paths.ts';
import type { BackupContext } from '../context.ts';
import { compress } from '../zstd.ts';
import type { Source, SourceObject } from './source.ts';

/** tar says so when a file changed or went while it was read. */
const CHANGED_WHILE_READ = 1;
/** Two blocks of zeros, compressed: a kit always has more. */
const FLOOR_BYTES = 20;

/**
 * The recovery kit: what this server was made from and cannot be had from anywhere else. Data is not in it: that is
 * what the other jobs save.
 * @throws AppError `backup/nothing-to-keep` before the first apply
 */
export async function openApplianceSource({
  host,
  paths,
  report,
}: Pick<BackupContext, 'host' | 'paths' | 'report'>): Promise<Source> {
  const members = await kitMembers(host, paths);
  const { stdout: size } = await host.run({
    argv: ['du', '--summarize', '--total', '--block-size=1', '--', ...members],
    cwd: paths.state,
    // 1: a file went while it looked; the size is an estimate anyway.
    okExitCodes: [0, 1],
  });
  const archive: SourceObject = {
    name: 'appliance.tar.zst',
    role: 'appliance',
    format: 'tar.zst',
    expectedBytes: Number.parseInt(size.trim().split('\n').at(-1) ?? '', 10) || 0,
    floorBytes: FLOOR_BYTES,
    content: {
      kind: 'stream',
      read: () =>
        compress(
          childOutput(tarArgv(paths.state, members), (exitCode, stderr) => {
            if (exitCode !== CHANGED_WHILE_READ) return false;
            report({ kind: 'warning', code: 'backup/changed-while-read', text: stderr.trim() });
            return true;
          }),
        ),
    },
  };
  const images = await builtImages(host, paths);
  return {
    method: 'archive',
    tools: {},
    objects: images.length === 0 ? [archive] : [archive, await imagesObject(host, images)],
    close: async () => undefined,
  };
}

/** Below `paths.state`. Each is absent where the server has none of it. */
async function kitMembers(host: Host, paths: Paths): Promise<string[]> {
  const config = posix.join(paths.state, 'applied', 'config.yaml');
  if ((await host.stat(config)) === undefined) throw nothingToKeep(config);
  const wanted = [
    'applied',
    // Which jobs saved what, and where: a restore begins with it.
    'stack/agent/backup.json',
    ...[paths.secrets, paths.lock, paths.tls].map((path) => posix.relative(paths.state, path)),
  ];
  const found: string[] = [];
  for (const name of wanted) {
    if ((await host.stat(posix.join(paths.state, name))) !== undefined) found.push(name);
  }
  return [...found, ...(await servedReleases(host, paths))];
}

/** The link and the files of what each site shows now; releases before it are not kept. */
async function servedReleases(host: Host, paths: Paths): Promise<string[]> {
  if ((await host.stat(paths.sites)) === undefined) return [];
  const { stdout } = await host.run({
    argv: [
      ...(['find', paths.sites, '-mindepth', '2', '-maxdepth', '2'] as const),
      ...['-type', 'l', '-name', 'current', '-printf', '%h\\0%l\\0'],
    ],
  });
  const fields = stdout.split('\0');
  const members: string[] = [];
  for (let index = 0; index + 1 < fields.length; index += 2) {
    const [folder = '', target = ''] = fields.slice(index, index + 2);
    const site = posix.relative(paths.state, folder);
    members.push(posix.join(site, 'current'), posix.join(site, target));
  }
  return members.sort();
}

function tarArgv(folder: string, members: readonly string[]): [string, ...string[]] {
  return [
    'tar',
    '--create',
    '--file=-',
    '--numeric-owner',
    `--directory=${folder}`,
    '--',
    ...members,
  ];
}

/** Images that were built here stand in no registry, and their sources are not on the server. */
async function builtImages(host: Host, paths: Paths): Promise<string[]> {
  const content = await host.read(paths.lock);
  if (content === undefined) return [];
  const { services } = JSON.parse(new TextDecoder().decode(content)) as LockFile;
  const references = Object.values(services).flatMap(({ source, reference }) =>
    source === 'build' ? [reference] : [],
  );
  return [...new Set(references)].sort();
}

/** In one archive: layers that several of them share are in it once. */
async function imagesObject(host: Host, images: readonly string[]): Promise<SourceObject> {
  const { stdout } = await host.run({
    argv: ['docker', 'image', 'inspect', '--format', '{{.Size}}', ...images],
  });
  const sizes = stdout.trim().split('\n').map(Number);
  return {
    name: 'images.tar.zst',
    role: 'images',
    format: 'tar.zst',
    expectedBytes: sizes.reduce((sum, size) => sum + size, 0),
    floorBytes: FLOOR_BYTES,
    content: {
      kind: 'stream',
      read: () => compress(childOutput(['docker', 'image', 'save', ...images])),
    },
  };
}

function nothingToKeep(path: string): AppError {
  return new AppError({
    code: 'backup/nothing-to-keep',
    what: 'there is nothing that a recovery kit could be made of',
    why: `${path} is not there: nothing was applied yet, or by a version that kept no copy`,
    hint: 'holdfast apply',
  });
}
