import { readLockFile } from '../apply/lock-file.ts';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { servingSlot } from '../model/edge-state.ts';
import type { LockedImage, LockFile, PreviousRelease } from '../model/lock-file.ts';
import type { Observed } from '../plan/observed.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext } from './context.ts';

/**
 * The image that a rollback goes to: one that served before, newest first, but none that a rollback has left already,
 * or the one that is named by its image or its version.
 * @throws AppError `usage/no-previous-release`, `usage/no-such-release`
 */
export function wayBack(
  observed: Pick<Observed, 'lock' | 'edge' | 'containers'>,
  service: string,
  wanted?: string,
): string {
  const locked = observed.lock.services[service];
  const previous = locked?.previous ?? [];
  if (wanted !== undefined) return named(previous, service, wanted);
  // One that was killed half-way goes on, and does not go one further.
  if (locked?.rolledBack === true && !serves(observed, service, locked)) return locked.reference;
  const target = previous.find(({ withdrawn }) => withdrawn !== true);
  if (target !== undefined) return target.reference;
  throw new AppError({
    code: 'usage/no-previous-release',
    what:
      previous.length === 0
        ? `no other release of ${service} has served on this server`
        : `there is no older release of ${service}`,
    ...(previous.length === 0 ? {} : { why: releaseLines(observed.lock, service).join('\n') }),
    hint:
      previous.length === 0
        ? `holdfast deploy ${service} IMAGE`
        : `holdfast rollback ${service} IMAGE, with one of these`,
  });
}

function named(previous: readonly PreviousRelease[], service: string, wanted: string): string {
  const found = previous.filter(
    ({ reference, version }) =>
      reference === wanted || withoutDigest(reference) === wanted || version === wanted,
  );
  const [only] = found;
  if (only !== undefined && found.length === 1) return only.reference;
  throw new AppError({
    code: 'usage/no-such-release',
    what:
      found.length === 0
        ? `${JSON.stringify(wanted)} is no release that served as ${service} before, or it is no longer kept`
        : `${JSON.stringify(wanted)} names more than one release of ${service}`,
    why: (found.length === 0 ? previous : found).map(({ reference }) => reference).join('\n'),
    hint: `holdfast rollback ${service} --list`,
  });
}

/** Image of the containers that serve, by service. */
export function servingImages({
  edge,
  containers,
}: Pick<Observed, 'edge' | 'containers'>): Record<string, string> {
  const names = [...new Set(containers.map(({ service }) => service))];
  return Object.fromEntries(
    names.flatMap((service) => {
      const all = containers.filter((one) => one.service === service);
      const slot = servingSlot(edge, service, all);
      const serving = all.find((one) => one.slot === slot);
      return serving === undefined ? [] : [[service, serving.image]];
    }),
  );
}

function serves(
  observed: Pick<Observed, 'edge' | 'containers'>,
  service: string,
  { reference }: LockedImage,
): boolean {
  return [undefined, reference].includes(servingImages(observed)[service]);
}

/** `holdfast rollback SERVICE --list` */
export async function listReleases(
  service: string,
  args: ParsedArguments,
  { io, paths }: CliContext,
  host: Host,
): Promise<number> {
  const lock = await readLockFile(host, paths.lock);
  const locked = lock.services[service];
  if (locked === undefined) {
    throw new AppError({
      code: 'usage/unknown-service',
      what: `there is no service ${JSON.stringify(service)} on ${host.name}`,
      why: `the services are ${Object.keys(lock.services).join(', ')}`,
      hint: 'holdfast status',
    });
  }
  if (args.flag('json')) {
    const releases = [locked, ...(locked.previous ?? [])].map((one, index) => ({
      image: one.reference,
      version: one.version,
      serves: index === 0,
      withdrawn: 'withdrawn' in one && one.withdrawn === true,
    }));
    io.out(`${JSON.stringify({ version: 1, service, releases })}\n`);
  } else io.out(`${releaseLines(lock, service).join('\n')}\n`);
  return 0;
}

function releaseLines({ services }: LockFile, service: string): string[] {
  const locked = services[service];
  if (locked === undefined) return [];
  return [
    `${locked.reference} (serves)`,
    ...(locked.previous ?? []).map(
      ({ reference, withdrawn }) =>
        `${reference}${withdrawn === true ? ' (a rollback has left it)' : ''}`,
    ),
  ];
}

function withoutDigest(reference: string): string {
  return reference.replace(/@sha256:[0-9a-f]{64}$/, '');
}
