import t from 'tap';
import type { DesiredSite, ObservedSite } from '../../installer/model/site.ts';
import { makePlan } from '../../installer/plan/diff.ts';
import { planText } from '../../installer/plan/text.ts';
import { desiredWith, observedWith } from '../support/desired.ts';

function site(release: string, keep = 3): DesiredSite {
  return {
    name: 'web',
    release,
    keep,
    toolImage: 'holdfast/nginx:1',
    source: { kind: 'folder', path: '/src/dist' },
  };
}

function there(more: Partial<ObservedSite>): ObservedSite {
  return { current: undefined, previous: undefined, held: undefined, releases: [], ...more };
}

function planned(wanted: readonly DesiredSite[], observed: Readonly<Record<string, ObservedSite>>) {
  return makePlan(
    desiredWith({ sites: wanted }),
    observedWith({ sites: new Map(Object.entries(observed)) }),
  );
}

t.test('a new release is made and switched to; the same one is left alone', async (t) => {
  const first = planned([site('r1')], {});
  t.strictSame(
    first.operations.map(({ id }) => id),
    ['make-release:web', 'switch-site:web'],
  );
  t.match(planText(first), /site web: release r1 \(unpacked from its folder\)/);
  const same = planned([site('r1')], { web: there({ current: 'r1', releases: ['r1'] }) });
  t.strictSame(same.operations, []);
});

t.test('a release that was made and not switched to is not made again', async (t) => {
  const { operations } = planned([site('r2')], {
    web: there({ current: 'r1', releases: ['r2', 'r1'] }),
  });
  t.match(operations, [{ kind: 'switch-site', release: 'r2', cause: 'was r1' }]);
});

t.test('old releases go, never what is served or was served before', async (t) => {
  const web = there({ current: 'r9', previous: 'r8', releases: ['r9', 'r7', 'r6', 'r5', 'r8'] });
  const removed = (keep: number, release = 'r9') =>
    planned([site(release, keep)], { web }).operations.flatMap((operation) =>
      operation.kind === 'remove-releases' ? operation.releases : [],
    );
  t.strictSame(removed(4), []);
  t.strictSame(removed(3), ['r5']);
  t.strictSame(removed(1), ['r7', 'r6', 'r5']);
  t.strictSame(removed(1, 'r10'), ['r7', 'r6', 'r5', 'r8'], 'r9 is the one before then');
});

t.test('a site stays where it was rolled back to, until its files change', async (t) => {
  const web = there({ current: 'r1', previous: 'r2', held: 'r2', releases: ['r1', 'r2'] });
  const held = planned([site('r2')], { web });
  t.strictSame(held.operations, []);
  t.match(held.notices, [{ code: 'sites/held', text: /rolled back from r2/ }]);
  t.match(planned([site('r3')], { web }).operations, [
    { kind: 'make-release', release: 'r3' },
    { kind: 'switch-site', release: 'r3' },
  ]);
});

t.test('a site that is no longer in the config goes last', async (t) => {
  const { operations } = planned([], { old: there({ current: 'r1', releases: ['r1'] }) });
  t.match(operations, [{ kind: 'remove-site', site: 'old' }]);
});
