import { posix } from 'node:path';
import { AppError } from '../../errors.ts';
import type { BackupStore } from '../../model/backup-settings.ts';
import type { Secret } from '../../model/secret.ts';
import { openStore } from '../store/open-store.ts';
import type { Store } from '../store/store.ts';

/** Where the backups of a server lie that is to be set up again, as a person names it. */
export type RecoveryPlace =
  | { readonly kind: 's3'; readonly bucket: string; readonly prefix: string }
  | { readonly kind: 'directory'; readonly path: string };

/** How a bucket is reached; read from files or asked for, never from the command line. */
export interface BucketAccess {
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: Secret;
  readonly secretAccessKey: Secret;
}

const BUCKET = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/;

/** Whether the value of `--from` names a place rather than a server. */
export function namesPlace(written: string): boolean {
  return written.includes('/') || written === '.' || written === '..';
}

/** @throws AppError `usage/recovery-place` */
export function parsePlace(written: string): RecoveryPlace {
  if (!written.startsWith('s3:')) return { kind: 'directory', path: posix.resolve(written) };
  const [, bucket, prefix = ''] = BUCKET.exec(written) ?? [];
  if (bucket === undefined) {
    throw new AppError({
      code: 'usage/recovery-place',
      what: `${JSON.stringify(written)} names no place of backups`,
      why: 'it is s3://BUCKET/PREFIX, or a folder of this machine',
      hint: 'holdfast restore --from s3://acme-backups/acme --identity FILE',
    });
  }
  return { kind: 's3', bucket, prefix: prefix.replace(/^\/+|\/+$/g, '') };
}

/** Every key that the place may hold begins so. */
export function placePrefix(place: RecoveryPlace): string {
  return place.kind === 'directory' || place.prefix === '' ? '' : `${place.prefix}/`;
}

const ACCESS_KEY_ID = 'ACCESS_KEY_ID';

export async function openPlace(
  place: RecoveryPlace,
  access: BucketAccess | undefined,
): Promise<Store> {
  const readSecret = async (name: string): Promise<Secret | undefined> =>
    name === ACCESS_KEY_ID ? access?.accessKeyId : access?.secretAccessKey;
  return await openStore(storeOf(place, access), readSecret);
}

function storeOf(place: RecoveryPlace, access: BucketAccess | undefined): BackupStore {
  if (place.kind === 'directory') return { kind: 'directory', name: 'from', path: place.path };
  return {
    kind: 's3',
    name: 'from',
    bucket: place.bucket,
    endpoint: access?.endpoint ?? '',
    region: access?.region ?? '',
    accessKeyIdSecret: ACCESS_KEY_ID,
    secretAccessKeySecret: 'SECRET_ACCESS_KEY',
  };
}

/** Whether two stores of a config lie in the same bucket or folder, by different storage classes perhaps. */
export function isSamePlace(one: BackupStore, other: BackupStore): boolean {
  if (one.kind === 'directory' || other.kind === 'directory') {
    return one.kind === other.kind && 'path' in one && 'path' in other && one.path === other.path;
  }
  return one.endpoint === other.endpoint && one.bucket === other.bucket;
}
