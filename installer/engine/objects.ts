import type { Command } from '../host/host.ts';
import { LABELS } from '../model/labels.ts';

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

export interface NewNetwork {
  readonly project: string;
  readonly name: string;
  /** CIDR. */
  readonly subnet: string;
  /** Without a way out of the host. */
  readonly internal: boolean;
}

/** Creates a bridge network that carries the label of its project. */
export function createNetwork({ project, name, subnet, internal }: NewNetwork): Command {
  return {
    argv: [
      'docker',
      'network',
      'create',
      '--driver',
      'bridge',
      ...(internal ? ['--internal'] : []),
      '--subnet',
      subnet,
      '--label',
      `${LABELS.project}=${project}`,
      name,
    ],
  };
}

/**
 * Attaches a container as it is, under the DNS name that compose gives to containers of this service.
 * @param address that is fixed for the service there; the engine gives one when absent
 */
export function connectNetwork(
  network: string,
  container: string,
  service: string,
  address?: string,
): Command {
  const fixed = address === undefined ? [] : ['--ip', address];
  return {
    argv: ['docker', 'network', 'connect', '--alias', service, ...fixed, network, container],
  };
}

/** Takes a container off a network, running or not. */
export function disconnectNetwork(network: string, container: string): Command {
  return { argv: ['docker', 'network', 'disconnect', network, container] };
}

export function removeNetwork(name: string): Command {
  return { argv: ['docker', 'network', 'rm', name] };
}

/** Destroys the data in it. */
export function removeVolume(name: string): Command {
  return { argv: ['docker', 'volume', 'rm', name] };
}
