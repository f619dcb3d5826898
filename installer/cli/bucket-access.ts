import { readFile } from 'node:fs/promises';
import type { BucketAccess, RecoveryPlace } from '../backup/recovery/place.ts';
import { AppError } from '../errors.ts';
import { Secret } from '../model/secret.ts';
import { askSecret } from './ask-secret.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext } from './context.ts';

/**
 * How the bucket of `--from` is reached. Its keys come from files, or are typed: other users see a command line.
 * @throws AppError `usage/store-credentials`
 */
export async function bucketAccess(
  args: ParsedArguments,
  { io }: CliContext,
  place: RecoveryPlace,
): Promise<BucketAccess | undefined> {
  if (place.kind === 'directory') return undefined;
  const region = args.value('region') ?? 'us-east-1';
  const key = async (option: string, prompt: string): Promise<Secret> => {
    const file = args.value(option);
    if (file !== undefined) return await fromFile(file, option);
    if (io.stdin.isTTY !== true) throw noKey(option);
    return await askSecret(io, prompt);
  };
  return {
    endpoint: args.value('endpoint') ?? `https://s3.${region}.amazonaws.com`,
    region,
    accessKeyId: await key('access-key-id-file', `Access key id for ${place.bucket}`),
    secretAccessKey: await key('secret-access-key-file', `Secret access key for ${place.bucket}`),
  };
}

async function fromFile(file: string, option: string): Promise<Secret> {
  try {
    return new Secret((await readFile(file, 'utf8')).trim());
  } catch (cause) {
    throw new AppError({
      code: 'usage/store-credentials',
      what: `--${option}: ${file} cannot be read`,
      why: (cause as Error).message,
      hint: 'name a file that holds nothing but the key, or leave the option out to type it',
      cause,
    });
  }
}

function noKey(option: string): AppError {
  return new AppError({
    code: 'usage/store-credentials',
    what: `--${option} is needed where there is no terminal to type the key on`,
    why: 'keys are never taken from the command line, which other users can see',
    hint: `holdfast restore --from s3://… --access-key-id-file FILE --secret-access-key-file FILE`,
  });
}
