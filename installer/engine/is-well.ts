import { AppError } from '../errors.ts';
import type { Engine } from './engine.ts';

/** Whether a container is healthy now, also where the engine has not run its first health check yet. */
export async function isWell(
  engine: Pick<Engine, 'waitHealthy'>,
  container: string,
): Promise<boolean> {
  try {
    await engine.waitHealthy([container], { timeoutSeconds: 0 });
    return true;
  } catch (error) {
    if (error instanceof AppError && error.code === 'health/not-healthy') return false;
    throw error;
  }
}
