import type { Host } from '../host/host.ts';
import type { Paths } from '../model/paths.ts';

/**
 * Whether an agent runs on the host. Its lock tells: the kernel holds it for as long as the process lives,
 * while the socket of one that was killed stays where it is.
 */
export async function agentRuns(host: Host, paths: Paths): Promise<boolean> {
  const lock = `${paths.agent}/agent.lock`;
  if ((await host.stat(lock)) === undefined) return false;
  const { exitCode } = await host.run({
    argv: ['flock', '--shared', '--nonblock', lock, 'true'],
    okExitCodes: [0, 1],
  });
  return exitCode === 1;
}
