import { AppError } from '../../errors.ts';
import { backupIdTime } from '../backup-id.ts';
import type { BackupManifest } from '../manifest.ts';

export type Writer = BackupManifest['writer'];

/** A backup, and who wrote it; undefined where its manifest cannot be read. */
export interface Written {
  readonly id: string;
  readonly writer: Writer | undefined;
}

interface Series {
  readonly writer: Writer;
  readonly backups: readonly Written[];
}

/**
 * The backups of one server. On a rebuilt one the newest may be of an empty database, made since, or of somebody
 * else who writes under the same name: nobody but the user knows which he wants.
 * @param backups newest first; what cannot be attributed stays
 * @param from name of the server, or the beginning of its id
 * @throws AppError `restore/several-servers`, `restore/unknown-server`
 */
export function ofOneServer<T extends Written>(backups: readonly T[], from?: string): T[] {
  const all = seriesOf(backups);
  const chosen = from === undefined ? all : all.filter(({ writer }) => isMeant(writer, from));
  if (from !== undefined && chosen.length === 0) throw unknownServer(from, all);
  if (chosen.length > 1) throw severalServers(chosen);
  const id = chosen[0]?.writer.id;
  return backups.filter(({ writer }) =>
    writer === undefined ? from === undefined : writer.id === id,
  );
}

function seriesOf(backups: readonly Written[]): Series[] {
  const found = new Map<string, { writer: Writer; backups: Written[] }>();
  for (const backup of backups) {
    const { writer } = backup;
    if (writer === undefined) continue;
    // The newest names the server: it may have been renamed.
    const series = found.get(writer.id) ?? { writer, backups: [] };
    series.backups.push(backup);
    found.set(writer.id, series);
  }
  return [...found.values()];
}

function isMeant({ host, id }: Writer, from: string): boolean {
  return host === from || (from.length >= 4 && id.startsWith(from));
}

function severalServers(all: readonly Series[]): AppError {
  const sameName = new Set(all.map(({ writer }) => writer.host)).size < all.length;
  const [first] = all;
  const example = sameName ? first?.writer.id.slice(0, 8) : first?.writer.host;
  return new AppError({
    code: 'restore/several-servers',
    what: `backups of ${all.length} servers stand in the same place`,
    why: all.map(seriesText).join('\n'),
    hint: `say whose: \`holdfast restore --from ${example}\`, or name a backup: \`holdfast restore ID\``,
    details: {
      servers: all.map(({ writer, backups }) => ({ ...writer, newest: backups[0]?.id })),
    },
  });
}

function unknownServer(from: string, all: readonly Series[]): AppError {
  return new AppError({
    code: 'restore/unknown-server',
    what: `there is no verified backup of a server ${from}`,
    why: all.length === 0 ? 'none tells who wrote it' : all.map(seriesText).join('\n'),
    hint: 'holdfast backup list',
  });
}

function seriesText({ writer, backups }: Series): string {
  const newest = backups[0]?.id ?? '';
  const at = backupIdTime(newest)?.toISOString() ?? 'unknown';
  return `${writer.host} (id ${writer.id.slice(0, 8)}): ${backups.length}, the newest ${newest} of ${at}`;
}
