import { LABELS } from '../model/labels.ts';
import type { ApplyContext } from './context.ts';

/** More than a backup holds a service still for by itself, and its waking. */
const PATIENCE_SECONDS = 120;
const POLL_SECONDS = 1;

/**
 * Resolves when no container is paused: a backup reads the files of one that is. What stays so was paused by somebody
 * else, or its backup may hold it for longer: that is told, and waited for no more.
 */
export async function waitUntilAwake({
  engine,
  project,
  clock,
  report,
}: Pick<ApplyContext, 'engine' | 'project' | 'clock' | 'report'>): Promise<void> {
  const deadline = clock.elapsed() + PATIENCE_SECONDS * 1000;
  for (;;) {
    const all = await engine.containers({ [LABELS.project]: project });
    const paused = all.filter(({ status }) => status === 'paused').map(({ name }) => name);
    if (paused.length === 0) return;
    if (clock.elapsed() >= deadline) {
      const text = `${paused.join(', ')} stay paused: \`docker unpause\` wakes them, unless a backup is at it`;
      report({ kind: 'warning', code: 'engine/paused', text });
      return;
    }
    await clock.pause(POLL_SECONDS);
  }
}
