import type { Secret } from '../model/secret.ts';
import type { ComponentInput } from './component.ts';

/**
 * The secrets of a service as variables: those of its containers where they are to keep them, else these.
 * @param stored in whose order they stay: it is part of what a container is made from
 */
export function asInForce(
  { secretsInForce }: Pick<ComponentInput, 'secretsInForce'>,
  service: string,
  stored: Readonly<Record<string, Secret>>,
): Readonly<Record<string, Secret>> {
  if (secretsInForce === undefined) return stored;
  const own = secretsInForce[service] ?? {};
  const names = new Set([...Object.keys(stored), ...Object.keys(own)]);
  return Object.fromEntries(
    [...names].flatMap((name) => {
      const value = own[name];
      return value === undefined ? [] : [[name, value] as const];
    }),
  );
}
