import { readLockFile } from '../apply/lock-file.ts';
import { readUpgrade } from '../apply/upgrade/journal.ts';
import type { OtherMajors } from '../backup/restore/other-major.ts';
import { AppError } from '../errors.ts';
import { majorOf } from '../model/postgres-upgrade.ts';
import type { CliContext, Server } from './context.ts';
import { upgradeContext } from './postgres-clusters.ts';

/** The images of an upgrade are kept on the machine: what was backed up before it can be read. */
export function otherMajors(context: CliContext, server: Server, project: string): OtherMajors {
  const { host, engine } = server;
  const { paths } = context;
  return {
    upgrading: upgradeContext(context, server, project),
    imageFor: async ({ id, server: source }) => {
      const { images } = await readLockFile(host, paths.lock);
      const runs = images.postgres === undefined ? undefined : majorOf(images.postgres);
      const made = source === undefined ? runs : String(source.major);
      if (made === runs) return undefined;
      const upgrade = await readUpgrade(host, paths);
      const known =
        upgrade !== undefined && upgrade.from.major === made
          ? upgrade.from.image.reference
          : undefined;
      if (known !== undefined && (await engine.image(known)) !== undefined) return known;
      throw new AppError({
        code: 'restore/other-major',
        what: `the base ${id} is of Postgres ${made}, and ${runs} runs here`,
        why:
          Number(made) > Number(runs)
            ? 'data does not go back to an older version'
            : 'the image of that version is not on this machine any more',
        hint: 'restore a logical backup of that time: `holdfast backup list`',
      });
    },
  };
}
