import { recordDigests } from '../images/record-digests.ts';
import type { Desired } from '../model/desired.ts';
import { lockFileText } from '../model/lock-file.ts';
import type { Run } from './run.ts';

/** Once all images are present, the lock file says by id what was built. */
export async function recordImages({
  engine,
  desired,
  paths,
}: Pick<Run, 'engine' | 'desired' | 'paths'>): Promise<Desired> {
  const file = desired.files.get(paths.lock);
  if (file === undefined) return desired;
  const lock = await recordDigests(engine, desired.lock);
  const content = lockFileText(lock);
  return {
    ...desired,
    lock,
    files: new Map([...desired.files, [paths.lock, { ...file, content }]]),
  };
}
