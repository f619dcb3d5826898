import { createHash } from 'node:crypto';
import { z } from 'zod';
import { AppError } from '../errors.ts';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const bytes = z.number().int().nonnegative();
const time = z.iso.datetime();
/** A position in the WAL, as Postgres writes it. */
const lsn = z.string().regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/);

const storedObject = z.object({
  /** Below the folder of the backup. */
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/),
  role: z.enum([
    'database',
    'catalog',
    'globals',
    'volume',
    'redis',
    'cluster',
    'appliance',
    'images',
    'accessory',
  ]),
  /** Database that a `database` or `catalog` object belongs to. */
  database: z.string().optional(),
  /** What is inside once decrypted: `pg_dump` custom format, SQL, JSON, tar or something else through zstd, Redis RDB. */
  format: z.enum(['pg-custom', 'sql', 'json', 'tar.zst', 'dump.zst', 'rdb']),
  /** Stored, so encrypted, bytes. */
  size: bytes,
  sha256,
  /** sha256 of each range of this many stored bytes: a flipped byte names its place. */
  rangeBytes: z.number().int().positive(),
  ranges: z.array(sha256),
  /** Before encryption. */
  plainSize: bytes,
});

const source = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('postgres'), databases: z.array(z.string()) }),
  z.object({ kind: z.literal('redis') }),
  z.object({ kind: z.literal('appliance') }),
  z.object({
    kind: z.literal('volume'),
    name: z.string(),
    volume: z.string(),
    service: z.string(),
  }),
  z.object({ kind: z.literal('accessory'), name: z.string() }),
]);

const schema = z.object({
  format: z.literal('holdfast-backup'),
  version: z.literal(1),
  id: z.string(),
  project: z.string(),
  job: z.string(),
  method: z.enum(['logical', 'archive', 'physical']),
  source,
  startedAt: time,
  finishedAt: time,
  /** The machine that wrote it: its name, and an id that outlives a change of name. */
  writer: z.object({ host: z.string(), id: z.string() }),
  /** sha256 of the applied config. */
  configDigest: z.string().optional(),
  encryption: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('age'), recipients: z.array(z.string()) }),
    z.object({ kind: z.literal('none') }),
  ]),
  server: z
    .object({ version: z.string(), major: z.number().int(), systemIdentifier: z.string() })
    .optional(),
  /** Of a physical one: where its WAL begins, and from where on it is consistent. */
  base: z
    .object({
      timeline: z.number().int().positive(),
      startLsn: lsn,
      stopLsn: lsn,
      segmentBytes: z.number().int().positive(),
      /** Of all databases, as they lie on the disk. */
      clusterBytes: bytes,
    })
    .optional(),
  /** Program to version, as it reported itself. */
  tools: z.record(z.string(), z.string()),
  objects: z.array(storedObject).min(1),
});

/** Says that a backup is complete. Written last: an id without one is no backup. */
export type BackupManifest = z.output<typeof schema>;
export type BackupObject = BackupManifest['objects'][number];

const verifiedSchema = z.object({
  version: z.literal(1),
  id: z.string(),
  at: time,
  /** Of the manifest that was checked: another manifest under the same id is not the one. */
  manifestSha256: sha256,
  checks: z.array(z.enum(['checksums', 'decrypts', 'archive-list'])),
});

/** Says that a backup was read back from its store and found whole. */
export type VerifiedMark = z.output<typeof verifiedSchema>;

export function manifestBytes(manifest: BackupManifest): Buffer {
  return Buffer.from(`${JSON.stringify(manifest, undefined, 1)}\n`, 'utf8');
}

export function sha256Hex(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

/** @throws AppError `backup/bad-manifest` */
export function parseManifest(content: Uint8Array, where: string): BackupManifest {
  const manifest = parse(schema, content, where);
  for (const object of manifest.objects) {
    if (object.ranges.length !== Math.ceil(object.size / object.rangeBytes)) {
      throw badManifest(
        where,
        `${object.name}: the ranges do not add up to ${object.size} bytes`,
        ANOTHER,
      );
    }
  }
  return manifest;
}

/** @throws AppError `backup/bad-manifest` */
export function parseVerifiedMark(content: Uint8Array, id: string): VerifiedMark {
  return parse(
    verifiedSchema,
    content,
    `the mark that ${id} was read back`,
    `read it back once more: \`holdfast backup verify ${id}\``,
  );
}

const ANOTHER = 'choose another backup: `holdfast backup list`';

function parse<T>(type: z.ZodType<T>, content: Uint8Array, where: string, hint = ANOTHER): T {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(content).toString('utf8'));
  } catch (cause) {
    throw badManifest(where, (cause as Error).message, hint, cause);
  }
  const result = type.safeParse(value);
  if (result.success) return result.data;
  throw badManifest(where, z.prettifyError(result.error), hint, result.error);
}

function badManifest(where: string, why: string, hint: string, cause?: unknown): AppError {
  return new AppError({
    code: 'backup/bad-manifest',
    what: `${where} is damaged`,
    why,
    hint,
    cause,
  });
}
