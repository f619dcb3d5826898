import { RESTORE_TEST_IDENTITY } from '../backups/names.ts';
import { GRAFANA_ADMIN_SECRET } from '../grafana/password.ts';
import * as postgres from '../postgres/names.ts';
import * as redis from '../redis/names.ts';
import { error } from './finding.ts';
import type { Rule } from './rule.ts';

/** Each opens more than any container of the product should. */
const PLATFORM_SECRETS: ReadonlySet<string> = new Set([
  GRAFANA_ADMIN_SECRET,
  RESTORE_TEST_IDENTITY,
  postgres.MONITOR_SECRET,
  postgres.SUPERUSER_SECRET,
  postgres.WAL_SECRET,
  redis.ADMIN_SECRET,
  redis.LIMITS_SECRET,
  redis.MONITOR_SECRET,
]);

/** No container of the product is given a secret of the platform. */
export const secretsAreTheProducts: Rule = function* ({ file }) {
  for (const section of ['services', 'accessories', 'profiles'] as const) {
    for (const [name, { secrets }] of Object.entries(file[section])) {
      for (const [index, wish] of (secrets ?? []).entries()) {
        if (!PLATFORM_SECRETS.has(wish.name)) continue;
        const message = `${wish.name} is a secret of the platform: choose another name for one of the product`;
        yield error('reserved-secret', [section, name, 'secrets', index], message);
      }
    }
  }
};
