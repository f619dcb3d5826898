import { cronHits } from './cron-times.ts';
import { error, warning } from './finding.ts';
import type { Rule } from './rule.ts';

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const;

/** Windows are open for a while. */
export const windowsAreOpen: Rule = function* ({ file }) {
  const { window } = file.updates;
  if (window !== undefined && window.from === window.to) {
    yield error(
      'empty-window',
      ['updates', 'window', 'to'],
      'is the same as from: the window never opens',
    );
  }
  const backupWindow = file.backups?.window;
  if (backupWindow !== undefined && backupWindow.from === backupWindow.to) {
    yield error(
      'empty-window',
      ['backups', 'window', 'to'],
      'is the same as from: the window never opens',
    );
  }
};

/** A backup should not run while updates restart what it reads. */
export const jobsKeepToWindows: Rule = function* ({ file, config }) {
  const maintenance = config.updates.window;
  const heavy = file.backups?.window;
  for (const [index, job] of (file.backups?.jobs ?? []).entries()) {
    const path = ['backups', 'jobs', index, 'cron'];
    if (maintenance !== undefined) {
      const { day, from, to } = maintenance;
      const days = day === undefined ? undefined : [DAYS.indexOf(day)];
      if (cronHits(job.cron, { from, to, days })) {
        const when = `${day === undefined ? '' : `${day} `}${from} to ${to}`;
        yield warning(
          'backup-in-maintenance',
          path,
          `runs within updates.window (${when}), when updates may restart what it reads`,
        );
      }
    }
    if (heavy !== undefined && !cronHits(job.cron, { ...heavy, days: undefined })) {
      yield warning(
        'backup-outside-window',
        path,
        `never runs within backups.window (${heavy.from} to ${heavy.to}): it waits until the window opens`,
      );
    }
  }
};
