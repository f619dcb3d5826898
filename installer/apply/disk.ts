import { posix } from 'node:path';
import type { Engine } from '../engine/engine.ts';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Plan } from '../model/operation.ts';
import type { Paths } from '../model/paths.ts';
import { formatSize } from '../model/units.ts';

const MIB = 1024 ** 2;

/** What must stay free for the running servers: some WAL segments of 16 MiB and rotated logs. */
const RESERVE = 256 * MIB;
/**
 * Eleven images built from Debian packages take 918 MB, their base 81 MB and the fetched packages 174 MB,
 * as measured on Debian 13; each image's share, with the build's own copy of its layers.
 */
const BAKED_IMAGE = 200 * MIB;
/** A product's image, such as Node with its dependencies, packed and unpacked. */
const OTHER_IMAGE = 600 * MIB;

/**
 * Refuses before anything was changed when the plan may not fit on the disk.
 * @throws AppError `preflight/disk-nearly-full`
 */
export async function checkDiskSpace(
  host: Host,
  engine: Engine,
  paths: Paths,
  plan: Plan,
): Promise<void> {
  const { dataRoot } = await engine.info();
  const needs = [
    { path: paths.state, bytes: RESERVE + fileBytes(plan) },
    { path: dataRoot, bytes: RESERVE + imageBytes(plan) },
  ];
  for (const { path, bytes } of needs) {
    const { free, mount } = await freeSpace(host, path);
    if (free >= bytes) continue;
    throw new AppError({
      code: 'preflight/disk-nearly-full',
      what: `the disk of ${host.name} is nearly full: ${formatSize(free)} free on ${mount}, ${formatSize(bytes)} needed below ${path}`,
      why: 'nothing was changed',
      hint: 'make room (`docker system df` and `holdfast volumes list` show what takes it), then run the same command again',
      details: { mount, freeBytes: free, neededBytes: bytes },
    });
  }
}

/** Bytes that may still be written below a path, and where its file system is mounted. */
export async function freeSpace(
  host: Host,
  path: string,
): Promise<{ readonly free: number; readonly mount: string }> {
  let existing = path;
  while (existing !== '/' && (await host.stat(existing)) === undefined) {
    existing = posix.dirname(existing);
  }
  const { stdout } = await host.run({
    argv: ['df', '--block-size=1', '--output=avail,target', '--', existing],
  });
  const [, free, mount] = /^\s*(\d+)\s+(.+)$/m.exec(stdout) ?? [];
  if (free === undefined || mount === undefined) {
    throw new AppError({
      code: 'host/facts-unreadable',
      what: `df on ${host.name} gave no figure for ${existing}`,
      why: stdout.trim(),
      hint: `run \`df ${existing}\` by hand`,
    });
  }
  return { free: Number(free), mount };
}

function fileBytes(plan: Plan): number {
  // Twice: staged for the validators, and in place. Diffs are about as long as what changes.
  const lengths = plan.operations.map((operation) =>
    operation.kind === 'write-file' ? operation.diff.length : 0,
  );
  return 2 * lengths.reduce((sum, length) => sum + length, 0);
}

function imageBytes(plan: Plan): number {
  const sizes = plan.operations.map((operation) => {
    switch (operation.kind) {
      case 'bake-images':
        return operation.references.length * BAKED_IMAGE;
      case 'pull-image':
      case 'build-image':
        return OTHER_IMAGE;
      default:
        return 0;
    }
  });
  return sizes.reduce((sum, size) => sum + size, 0);
}
