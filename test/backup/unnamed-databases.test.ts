import t from 'tap';
import { beforeName, restoredName } from '../../installer/backup/restore/database-names.ts';
import { unnamedDatabases } from '../../installer/backup/sources/unnamed-databases.ts';

const ID = '20260301T000000Z-abcdef';

function existing(...names: string[]) {
  return names.map((name) => ({ name, bytes: Buffer.byteLength(name) }));
}

t.test('what the config does not name is saved, without what restores made', async (t) => {
  const kept = beforeName('shop', ID, new Set());
  const numbered = beforeName('shop', ID, new Set([kept]));
  const long = restoredName('x'.repeat(63), ID);
  const found = existing('shop', 'tenant', 'Köln', kept, numbered, restoredName('shop', ID), long);
  t.strictSame(unnamedDatabases(found, ['shop']), {
    ...{ saved: ['tenant', 'Köln'], unsaved: [], refused: [] },
  });
  const alike = existing('shop_before_christmas', 'shop_restored', `${kept}_old`);
  t.equal(unnamedDatabases(alike, []).saved.length, 3, 'only the whole name tells');
});

t.test('a name that nobody can say is told, not asked for', async (t) => {
  const found = [...existing('shop'), { name: 'caf', bytes: 4 }];
  t.match(unnamedDatabases(found, ['shop']), { saved: [], unsaved: ['caf?'] });
});

t.test('what no dump can be made of is told', async (t) => {
  const found = existing('shop', 'blank').map((one) => ({ ...one, obstacle: 'is a template' }));
  const expected = { saved: [], unsaved: [], refused: ['blank (is a template)'] };
  t.strictSame(unnamedDatabases(found, ['shop']), expected);
});
