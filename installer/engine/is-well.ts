import { AppError } from '../errors.ts';
import type { Engine } from './engine.ts';

/** It may go while its last lines are read. */
const NOT_WELL: readonly string[] = ['health/not-healthy', 'engine/not-found'];

/** Whether a container is healthy now, also where the engine has not run its first health check yet. */
export async function isWell(
  engine: Pick<Engine, 'waitHealthy'>,
  container: string,
): Promise<boolean> {
  try {
    await engine.waitHealthy([container], { timeoutSeconds: 0 });
    return true;
  } catch (error) {
    const isSick = error instanceof AppError && NOT_WELL.includes(error.code);
    if (isSick) return false;
    throw error;
  }
}
