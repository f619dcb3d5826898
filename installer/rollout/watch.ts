import { quoted, type Run } from '../apply/run.ts';
import type { ContainerState } from '../engine/engine.ts';
import { AppError } from '../errors.ts';
import { otherSlot } from '../model/edge-state.ts';
import { LABELS } from '../model/labels.ts';
import { type Replacement, returnTo } from './release.ts';

const POLL_SECONDS = 0.5;
const LOG_LINES = 20;

/**
 * Watches releases that have just taken over. When one dies, the release before it serves again.
 * @throws AppError `health/release-died`
 */
export async function watch(run: Run, replacements: readonly Replacement[]): Promise<void> {
  const replacing = replacements.filter(({ before }) => before.length > 0);
  const end = Math.max(
    0,
    ...replacing.map(({ switchedAt, rolled }) => switchedAt + rolled.watchSeconds * 1000),
  );
  while (run.clock.elapsed() < end) {
    for (const replacement of replacing) {
      const dead = await findDead(run, replacement);
      if (dead !== undefined) throw await goBack(run, replacement, dead);
    }
    await run.clock.pause(POLL_SECONDS);
  }
}

async function findDead(
  { engine, project }: Run,
  { containers }: Replacement,
): Promise<{ readonly name: string; readonly id?: string; readonly how: string } | undefined> {
  const now = await engine.containers({ [LABELS.project]: project });
  for (const { id, name, restartCount } of containers) {
    const state = now.find((one) => one.id === id);
    if (state === undefined) return { name, how: 'was removed' };
    const how = howItDied(state, restartCount);
    if (how !== undefined) return { name, id, how };
  }
  return undefined;
}

function howItDied(state: ContainerState, restartsBefore: number): string | undefined {
  const { status, health, exitCode, restartCount, oomKilled } = state;
  const ending = `exit code ${exitCode}${oomKilled ? ', out of memory' : ''}`;
  if (restartCount > restartsBefore) return `ended and was started again, ${ending}`;
  if (status !== 'running') return `is ${status}, ${ending}`;
  return health === 'unhealthy' ? 'became unhealthy' : undefined;
}

async function goBack(
  run: Run,
  { rolled, slot }: Replacement,
  { name, id, how }: { readonly name: string; readonly id?: string; readonly how: string },
): Promise<AppError> {
  const logs = id === undefined ? '' : quoted(run, await run.engine.logs(id, { tail: LOG_LINES }));
  await returnTo(run, rolled, otherSlot(slot));
  return new AppError({
    code: 'health/release-died',
    what: `${rolled.service} died within ${rolled.watchSeconds} s after it had taken over: the release before serves again`,
    why: `${name} ${how}\n${logs === '' ? 'it logged nothing' : `last log lines:\n${logs}`}`,
    hint: `correct it and deploy again; \`docker logs ${name}\` shows more`,
    details: { service: rolled.service, container: name },
  });
}
