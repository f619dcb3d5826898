import t from 'tap';
import type { BackupManifest } from '../../installer/backup/manifest.ts';
import { databasesOf } from '../../installer/backup/restore/chosen-databases.ts';

const manifestOf = (dumped: readonly string[]) =>
  ({
    id: '20261130T085535Z-0c4945',
    objects: dumped.flatMap((database) =>
      ['database', 'catalog'].map((role) => ({ role, database, name: `${role}-${database}` })),
    ),
  }) as unknown as BackupManifest;

t.test('a restore beside takes the one database that the config names', async (t) => {
  const chosen = (named: string[], dumped: string[], wish: Parameters<typeof databasesOf>[1]) =>
    databasesOf(manifestOf(dumped), wish, named).map(({ database }) => database);
  const copy = ['shop', 'shop_check'];
  t.strictSame(chosen(['shop'], copy, { into: 'x' }), ['shop']);
  t.strictSame(chosen(['shop'], copy, {}), copy, 'all, where each goes to its own place');
  t.strictSame(chosen(['shop'], copy, { into: 'x', database: 'shop_check' }), ['shop_check']);
  t.strictSame(chosen([], ['tenant'], { into: 'x' }), ['tenant']);
  const code = 'usage/several-databases';
  t.throws(() => chosen(['shop', 'wiki'], ['shop', 'wiki', 'tenant'], { into: 'x' }), { code });
  t.throws(() => chosen([], copy, { into: 'x' }), { code });
});
