import type { RestoredAccessory } from '../backup/restore/restore-accessory.ts';
import type { RestoredFiles } from '../backup/restore/restore-files.ts';
import type { RestoredDatabase } from '../backup/restore/restore-postgres.ts';

export interface Restored {
  readonly id: string;
  readonly databases: readonly RestoredDatabase[];
  readonly files: readonly RestoredFiles[];
  readonly accessories?: readonly RestoredAccessory[];
}

/** What was restored, where what was there is now, and how it is dropped. */
export function restoredLines(
  { id, databases, files, accessories = [] }: Restored,
  container: string,
): string[] {
  return [
    ...databases.flatMap(({ name, kept, tables, rows }) => [
      `${name}: ${tables} tables and ${rows} rows restored from ${id} and checked`,
      ...(kept === undefined
        ? []
        : [
            `  what was there is kept as ${kept}; when you are sure:`,
            `  docker exec --user postgres ${container} dropdb '${kept.replaceAll("'", "'\\''")}'`,
          ]),
    ]),
    ...files.flatMap(({ volume, kept }) => [
      `${volume}: restored from ${id}`,
      `  what was there is kept; when you are sure:`,
      `  rm -rf '${kept}'`,
    ]),
    ...accessories.flatMap(({ name, kept }) => [
      `${name}: its restore command took all of ${id}`,
      ...(kept === undefined
        ? []
        : [
            `  what was there is kept in ${kept.file}; back to it:`,
            `  ${kept.undo}`,
            `  when you are sure: rm '${kept.file}'`,
          ]),
    ]),
  ];
}
