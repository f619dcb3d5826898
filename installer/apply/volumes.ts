import { parse } from 'yaml';
import { z } from 'zod';
import { COMPOSE_FILE } from '../engine/compose.ts';
import { LABELS } from '../model/labels.ts';
import { appendAudit } from './audit.ts';
import type { ApplyContext } from './context.ts';
import { damagedFile } from './damaged-file.ts';
import { withLock } from './lock.ts';
import type { ThisProcess } from './process-identity.ts';
import { readText } from './read-text.ts';

export interface OwnVolume {
  /** Name on the engine. */
  readonly name: string;
  readonly component: string;
  /** Names of containers that mount it, stopped ones too. */
  readonly usedBy: readonly string[];
  /** The applied stack mentions it, even if no container stands at the moment. */
  readonly wanted: boolean;
}

type VolumeContext = Pick<ApplyContext, 'host' | 'engine' | 'paths' | 'project'>;

/** The volumes of this project and who uses them, by name. */
export async function listVolumes(context: VolumeContext): Promise<OwnVolume[]> {
  const { host, engine, project } = context;
  const wanted = await appliedVolumes(context);
  const volumes = await engine.volumes({ [LABELS.project]: project });
  const listed: OwnVolume[] = [];
  for (const { name, labels } of volumes) {
    const { stdout } = await host.run({
      argv: ['docker', 'ps', '--all', '--filter', `volume=${name}`, '--format', '{{.Names}}'],
    });
    listed.push({
      name,
      component: labels[LABELS.component] ?? '',
      usedBy: stdout.split('\n').filter((line) => line !== ''),
      wanted: wanted.has(name),
    });
  }
  return listed.sort((a, b) => (a.name < b.name ? -1 : 1));
}

export function isUnused({ usedBy, wanted }: OwnVolume): boolean {
  return usedBy.length === 0 && !wanted;
}

export interface PruneRequest {
  readonly process: ThisProcess;
  readonly waitSeconds: number;
  /** Shows what is lost for ever and asks. */
  readonly confirm: (volumes: readonly OwnVolume[]) => Promise<boolean>;
}

/**
 * Removes the volumes of this project that no service uses.
 * @returns their names; empty when there was none or the answer was no
 */
export async function pruneVolumes(
  context: ApplyContext,
  request: PruneRequest,
): Promise<readonly string[]> {
  const { host, clock, paths } = context;
  const command = 'holdfast volumes prune';
  return withLock(host, paths, { ...request, command, clock }, async () => {
    const unused = (await listVolumes(context)).filter(isUnused);
    if (unused.length === 0 || !(await request.confirm(unused))) return [];
    const begin = clock.now();
    const names = unused.map(({ name }) => name);
    // The engine refuses to remove one that came into use meanwhile.
    await host.run({ argv: ['docker', 'volume', 'rm', ...names] });
    await appendAudit(host, paths, {
      who: request.process.who,
      when: begin.toISOString(),
      command,
      configDigest: '',
      operations: names.map((name) => `remove-volume:${name}`),
      planned: names.length,
      result: 'done',
      seconds: (clock.now().getTime() - begin.getTime()) / 1000,
    });
    return names;
  });
}

const ComposeVolumes = z.looseObject({
  volumes: z.record(z.string(), z.looseObject({ name: z.string() })).optional(),
});

/**
 * Names on the engine of those that the applied stack names.
 * @throws AppError `drift/file-damaged`
 */
export async function appliedVolumes({
  host,
  paths,
}: Pick<VolumeContext, 'host' | 'paths'>): Promise<Set<string>> {
  const path = `${paths.stack}/${COMPOSE_FILE}`;
  const text = await readText(host, path);
  if (text === undefined) return new Set();
  try {
    const { volumes = {} } = ComposeVolumes.parse(parse(text));
    return new Set(Object.values(volumes).map(({ name }) => name));
  } catch (cause) {
    throw damagedFile(path, cause);
  }
}
