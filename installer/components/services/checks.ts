import type { HttpCheck, PortCheck } from '../../model/contribution.ts';
import type { Service } from '../rules/resolved.ts';

type Checked = Pick<Service, 'name' | 'health'> & { readonly port?: number | undefined };

/** A path that answers from outside of the container, where there is one and no command of its own. */
export function httpCheck(checked: Checked): HttpCheck[] {
  const { path, expect } = checked.health;
  if (path === undefined) return [];
  return checkedFromOutside(checked).map((check) => ({
    ...check,
    path,
    ...(expect !== undefined && { expect }),
  }));
}

/** With no path to ask for, a port that takes a connection is all that can be known. */
export function portCheck(checked: Checked): PortCheck[] {
  return checked.health.path === undefined ? checkedFromOutside(checked) : [];
}

function checkedFromOutside({ name, port, health }: Checked): PortCheck[] {
  if (health.command !== undefined || port === undefined) return [];
  return [
    {
      service: name,
      port,
      intervalSeconds: health.interval,
      timeoutSeconds: health.timeout,
      healthy: health.healthy,
      unhealthy: health.unhealthy,
    },
  ];
}
