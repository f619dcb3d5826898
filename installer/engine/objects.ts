import type { Command } from '../host/host.ts';

const STOP_SECONDS = 600;

/** Lets containers end in their own time, as their stop grace period says. */
export function stopContainers(ids: readonly [string, ...string[]]): Command {
  return { argv: ['docker', 'container', 'stop', ...ids], timeoutSeconds: STOP_SECONDS };
}

/** Starts stopped containers again. */
export function startContainers(ids: readonly [string, ...string[]]): Command {
  return { argv: ['docker', 'container', 'start', ...ids] };
}

/** Removes containers, running ones too. Their named volumes stay. */
export function removeContainers(ids: readonly [string, ...string[]]): Command {
  return { argv: ['docker', 'container', 'rm', '--force', ...ids], timeoutSeconds: STOP_SECONDS };
}

export function removeNetwork(name: string): Command {
  return { argv: ['docker', 'network', 'rm', name] };
}

/** Destroys the data in it. */
export function removeVolume(name: string): Command {
  return { argv: ['docker', 'volume', 'rm', name] };
}
