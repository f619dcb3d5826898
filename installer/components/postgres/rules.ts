import { error } from '../rules/finding.ts';
import type { Rule } from '../rules/rule.ts';
import { databaseOf, ownName } from './databases.ts';
import { isReservedDatabase, isReservedRole } from './names.ts';
import { settingProblem } from './settings.ts';

/** Settings that would break backups, lose data or lead around the config are refused. */
export const postgresSettingsAreSafe: Rule = function* ({ file }) {
  for (const [name, value] of Object.entries(file.postgres?.settings ?? {})) {
    const problem = settingProblem(name, value);
    if (problem !== undefined) {
      yield error('postgres-setting', ['postgres', 'settings', name], `is refused: ${problem}`);
    }
  }
};

/** No service becomes the superuser or one of the platform's own roles by its name. */
export const databaseNamesAreFree: Rule = function* ({ file, config }) {
  if (config.postgres === undefined) return;
  const isMade = config.postgres.databases.length > 0 || file.postgres?.owner !== undefined;
  if (isMade && isReservedRole(config.postgres.owner)) {
    const path = file.postgres?.owner === undefined ? ['project'] : ['postgres', 'owner'];
    const message = `a role ${config.postgres.owner} is the server's own: write another name at postgres.owner`;
    yield error('reserved-role', path, message);
  }
  for (const [index, database] of config.postgres.databases.entries()) {
    if (isReservedDatabase(database)) {
      yield error(
        'reserved-database',
        ['postgres', 'databases', index],
        `every server has ${database}: choose another name`,
      );
    }
  }
  for (const service of Object.values(config.services)) {
    if (!service.uses.some((use) => use.kind === 'postgres')) continue;
    const { database, role } = databaseOf(config.postgres, service);
    const own = ownName(service);
    const path = ['services', service.name];
    if (database !== own && !config.postgres.databases.includes(database)) {
      const message = `${database} is neither in postgres.databases nor its own, which is ${own}`;
      yield error('unknown-database', [...path, 'database'], message);
    }
    if (isReservedRole(own)) {
      const message = `its database role would be ${own}, which is the server's own: choose another name`;
      yield { ...error('reserved-role', path, message), at: 'key' };
    } else if (role === own && isReservedDatabase(database)) {
      const message = `its database would be ${database}, which every server has: choose another name`;
      yield { ...error('reserved-database', path, message), at: 'key' };
    }
  }
};
