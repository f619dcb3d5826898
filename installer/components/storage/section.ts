import { z } from 'zod';
import { choice, duration, flag, mapping, size } from '../../config/fields.ts';
import { absolutePath, name, named, secretName } from '../../config/fields-names.ts';
import { urlBeforePath } from '../../config/fields-network.ts';

const secretRef = secretName({
  description: 'Stands for the secrets `<NAME>_ACCESS_KEY_ID` and `<NAME>_SECRET_ACCESS_KEY`.',
  examples: ['BACKUP_STORE'],
});

const deleteSecretRef = secretName({
  description:
    'Another key, by which alone backups are removed; that of `secretRef` then needs no right to delete.',
  examples: ['BACKUP_PRUNE'],
}).optional();

const region = z
  .string({ error: 'a region such as eu-west-3' })
  .regex(/^[a-z0-9-]{1,40}$/, { error: 'a region such as eu-west-3' })
  .meta({ description: 'Region of the bucket.' });

const s3 = mapping(
  {
    kind: z.literal('s3'),
    endpoint: urlBeforePath({
      description: 'Address of the S3 service.',
      examples: ['https://s3.eu-west-3.amazonaws.com'],
    }),
    region: region.default('us-east-1'),
    secretRef,
    deleteSecretRef,
  },
  { description: 'Any S3 service.' },
);

const r2 = mapping(
  {
    kind: z.literal('r2'),
    accountSecret: secretName({
      description: 'Secret with the account id.',
      examples: ['R2_ACCOUNT_ID'],
    }).optional(),
    endpoint: urlBeforePath({
      description: 'Endpoint, instead of `accountSecret`.',
      examples: ['https://r2.example.com'],
    }).optional(),
    region: region.default('auto'),
    secretRef,
    deleteSecretRef,
  },
  { description: 'Cloudflare R2.' },
);

const directory = mapping(
  {
    kind: z.literal('directory'),
    path: absolutePath({ description: 'Directory on this server.', examples: ['/mnt/backup'] }),
  },
  { description: 'A directory. On the same disk it is no help against losing the disk.' },
);

const provider = z
  .discriminatedUnion('kind', [s3, r2, directory], { error: 'one of s3, r2, directory' })
  .meta({ description: 'A place for objects.' });

/** S3's own bucket rules: they also keep the name inert wherever it is rendered. */
export const bucketName = z
  .string({ error: 'a bucket name: 3 to 63 lower-case letters, digits, dots and hyphens' })
  .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, {
    error: 'a bucket name: 3 to 63 lower-case letters, digits, dots and hyphens',
  });

const bucket = mapping(
  {
    provider: name({ description: 'Provider that holds it.', examples: ['s3'] }),
    name: bucketName.meta({
      description: 'Name of the bucket there.',
      examples: ['acme-documents'],
    }),
    private: flag({ description: 'No anonymous reading.' }).default(true),
    versioning: flag({ description: 'Keep old versions of objects.' }).default(false),
    encryption: choice(['AES256', 'none'], { description: 'Encryption by the store.' }).prefault(
      'none',
    ),
    replicateTo: name({ description: 'Provider that gets a copy.', examples: ['r2'] }).optional(),
    maxObjectSize: size({ description: 'Largest object that an upload URL allows.' }).optional(),
    lifecycle: mapping(
      {
        infrequentAfter: duration({
          description: 'Age for the cheaper tier.',
          examples: ['30d'],
        }).optional(),
        archiveAfter: duration({
          description: 'Age for the archive tier.',
          examples: ['90d'],
        }).optional(),
        deleteAfter: duration({ description: 'Age for removal.', examples: ['7y'] }).optional(),
      },
      { description: 'What happens to old objects.' },
    ).optional(),
  },
  { description: 'A bucket of the product.' },
);

export const storageSection = mapping(
  {
    providers: named(provider, {
      description: 'Places for objects. `local`, a directory on this server, is always there.',
    }).default({}),
    buckets: named(bucket, {
      description: 'Buckets of the product, for `uses: [bucket:<name>]`.',
    }).default({}),
  },
  { description: 'Object storage.' },
).prefault({});

export type Storage = z.output<typeof storageSection>;
export type Provider = z.output<typeof provider>;
export type Bucket = z.output<typeof bucket>;
