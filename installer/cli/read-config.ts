import { createHash } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Config } from '../components/sections.ts';
import { loadConfig } from '../config/load.ts';
import { formatProblem, type Problem } from '../config/problem.ts';
import { AppError } from '../errors.ts';
import { configBytes } from './config-bytes.ts';

export interface LoadedConfig {
  readonly config: Config;
  readonly warnings: readonly Problem[];
  /** The file as it is. */
  readonly text: string;
  /** sha256 of the file's bytes, hex. */
  readonly digest: string;
  /** Where a file or folder is that the config names; relative paths start from the config's folder. */
  readonly pathOf: (written: string) => string;
  /** It is the server's copy of what was applied: sources of builds and sites are not beside it. */
  readonly isKept: boolean;
}

/**
 * Reads and checks the config file on this machine.
 * @throws AppError `config/missing`, `config/unreadable`, `config/invalid` with every problem
 */
export async function readConfig(path: string): Promise<LoadedConfig> {
  const parsed = parseConfig(await readBytes(path), path);
  // An installed config may be a link to where its owner keeps it.
  const folder = dirname(await realpath(path));
  return { ...parsed, pathOf: (written) => resolve(folder, written), isKept: false };
}

/** @throws AppError `config/invalid` with every problem */
export function parseConfig(
  bytes: Uint8Array,
  path: string,
): Pick<LoadedConfig, 'config' | 'warnings' | 'text' | 'digest'> {
  const result = loadConfig(bytes, path);
  if (!result.ok) {
    const { problems } = result;
    throw new AppError({
      code: 'config/invalid',
      what: `${path} has ${problems.length} problem${problems.length === 1 ? '' : 's'}; nothing was changed`,
      why: problems.map(formatProblem).join('\n'),
      hint: `correct the file, then: holdfast check ${path}`,
      details: { problems },
    });
  }
  return {
    config: result.config,
    warnings: result.warnings,
    text: Buffer.from(bytes).toString('utf8'),
    digest: createHash('sha256').update(bytes).digest('hex'),
  };
}

/** Still the same bytes? Asked again before anything is changed. */
export async function configDigest(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readBytes(path))
    .digest('hex');
}

async function readBytes(path: string): Promise<Uint8Array> {
  const bytes = await configBytes(path);
  if (bytes !== undefined) return bytes;
  throw new AppError({
    code: 'config/missing',
    what: `there is no config ${path}`,
    hint: 'holdfast init, or name another file with --config',
  });
}
