import { posix } from 'node:path';
import { type CopiedObjects, type CopyOptions, copyBucket } from '../backup/buckets/copy-bucket.ts';
import { settleBucket } from '../backup/buckets/settle-bucket.ts';
import { keepMemorySmall } from '../backup/lean-memory.ts';
import { readSecret } from '../backup/settings.ts';
import { storeCredentials } from '../backup/store/open-store.ts';
import type { S3Credentials } from '../backup/store/s3-client.ts';
import { forCommand } from '../backup/store/s3-errors.ts';
import { AppError, EXIT_CODES, exitCodeOf } from '../errors.ts';
import type { Host } from '../host/host.ts';
import {
  BUCKET_SETTINGS,
  type BucketPlace,
  type BucketSettings,
  type WantedBucket,
} from '../model/bucket-settings.ts';
import { formatBytes } from '../model/format-bytes.ts';
import type { Paths } from '../model/paths.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext, Server } from './context.ts';
import { errorText } from './display/error.ts';
import { styleFor } from './display/style.ts';
import { programOnServer, REMOTE_COMMAND_SECONDS } from './program-on-server.ts';

interface BucketOutcome {
  readonly name: string;
  /** What was set, or would be. */
  readonly steps: readonly string[];
  readonly notes: readonly string[];
  readonly errors: readonly AppError[];
}

/** `holdfast buckets set`: brings the buckets of the product to what the applied config says. */
export async function bucketsSet(args: ParsedArguments, context: CliContext): Promise<number> {
  const { io, paths } = context;
  const server = await context.open();
  const dryRun = args.flag('dry-run');
  const outcomes = await settleAll(server.host, paths, dryRun);
  if (args.flag('json')) {
    const buckets = outcomes.map(({ errors, ...rest }) => ({
      ...rest,
      errors: errors.map(({ code, message }) => ({ code, message })),
    }));
    io.out(`${JSON.stringify({ version: 1, dryRun, buckets })}\n`);
  } else {
    for (const outcome of outcomes) io.out(`${linesOf(outcome, dryRun).join('\n')}\n`);
    for (const error of outcomes.flatMap(({ errors }) => errors)) {
      io.err(errorText(error, styleFor(io.color)));
    }
    if (outcomes.length === 0) io.out('The config names no bucket of the product.\n');
  }
  const [first] = outcomes.flatMap(({ errors }) => errors);
  return first === undefined ? 0 : exitCodeOf(first);
}

/**
 * After an apply that changed what the buckets shall be. Their providers may be down, and the product serves
 * whatever comes of it, so a failure is told and fails nothing: the agent tries again every day.
 */
export async function setBucketsAfterApply(
  { paths, report }: CliContext,
  { host }: Server,
): Promise<void> {
  const warn = (code: string, text: string): void =>
    report({ kind: 'warning', code, text: `${text}. holdfast buckets set` });
  if (host.name !== 'localhost') {
    try {
      await host.run({
        argv: programOnServer(paths, 'buckets', 'set'),
        timeoutSeconds: REMOTE_COMMAND_SECONDS,
      });
    } catch (error) {
      warn('store/buckets', `the buckets could not be set: ${(error as Error).message.trim()}`);
    }
    return;
  }
  for (const { name, steps, notes, errors } of await settleAll(host, paths, false)) {
    for (const { code, message } of errors) warn(code, message.replaceAll('\n', '; '));
    for (const text of notes) report({ kind: 'warning', code: 'store/unsupported', text });
    if (steps.length === 0) continue;
    report({ kind: 'progress', id: 'buckets', text: `bucket ${name}: ${steps.join(', ')}` });
  }
}

/** `holdfast buckets copy`: what other providers lack of the buckets that the config wants copied there. */
export async function bucketsCopy(args: ParsedArguments, context: CliContext): Promise<number> {
  keepMemorySmall();
  const { io, paths, signal } = context;
  const { host } = await context.open();
  const copies: (CopiedObjects & { readonly name: string; readonly to: string })[] = [];
  const errors: AppError[] = [];
  let failures = 0;
  // A few are told; a million that nobody may write would fill the memory.
  const note = (error: AppError): void => {
    failures += 1;
    if (errors.length < SHOWN) errors.push(error);
  };
  for (const wanted of await readWanted(host, paths)) {
    const { name, copyTo } = wanted;
    if (copyTo === undefined) continue;
    try {
      const copied = await copyOne(
        host,
        paths,
        { ...wanted, copyTo },
        {
          signal,
          onFailure: (error) => note(forCommand(error, 'holdfast buckets copy')),
        },
      );
      copies.push({ name, to: copyTo.name, ...copied });
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      note(forCommand(error, 'holdfast buckets copy'));
    }
  }
  if (args.flag('json')) io.out(`${JSON.stringify({ version: 1, copies })}\n`);
  else {
    for (const { name, to, objects, bytes, failed } of copies) {
      const rest = failed === 0 ? '' : `, ${failed} could not be`;
      io.out(`${name}: ${objects} objects (${formatBytes(bytes)}) copied to ${to}${rest}\n`);
    }
    if (copies.length === 0 && errors.length === 0) io.out('No bucket is to be copied.\n');
  }
  for (const error of errors) io.err(errorText(error, styleFor(io.color)));
  if (failures > SHOWN) io.err(`and ${failures - SHOWN} more\n`);
  if (signal.aborted) return EXIT_CODES.consent;
  return errors.length === 0 ? 0 : exitCodeOf(errors[0]);
}

/** Failures that are told one by one. */
const SHOWN = 5;

/**
 * The bucket of the copy is closed, encrypted and versioned like the first, as far as its provider can: a copy that
 * is not encrypted there is better than none, and what is lacking is told. Ages are the first one's affair alone.
 */
async function copyOne(
  host: Host,
  paths: Paths,
  wanted: WantedBucket & { readonly copyTo: BucketPlace },
  options: CopyOptions,
): Promise<CopiedObjects> {
  const { place, copyTo } = wanted;
  const from = { place, credentials: await credentialsOf(host, paths, place) };
  const to = { place: copyTo, credentials: await credentialsOf(host, paths, copyTo) };
  const { lifecycle: _, ...rest } = wanted;
  const versioning = wanted.versioning && copyTo.kind === 's3';
  const target = { ...rest, place: copyTo, versioning };
  const { lacking } = await settleBucket(target, to.credentials, {
    dryRun: false,
    isCopy: true,
  });
  for (const error of lacking) options.onFailure(error);
  return await copyBucket(from, to, options);
}

async function settleAll(host: Host, paths: Paths, dryRun: boolean): Promise<BucketOutcome[]> {
  const outcomes: BucketOutcome[] = [];
  for (const wanted of await readWanted(host, paths)) {
    const { name } = wanted;
    try {
      const credentials = await credentialsOf(host, paths, wanted.place);
      const { steps, notes, lacking } = await settleBucket(wanted, credentials, { dryRun });
      outcomes.push({ name, steps, notes, errors: lacking });
    } catch (error) {
      // One provider that is down is no reason to leave the buckets of another.
      if (!(error instanceof AppError)) throw error;
      const errors = [forCommand(error, 'holdfast buckets set')];
      outcomes.push({ name, steps: [], notes: [], errors });
    }
  }
  return outcomes;
}

/** None where the config has none. */
async function readWanted(host: Host, paths: Paths): Promise<readonly WantedBucket[]> {
  const content = await host.read(posix.join(paths.stack, BUCKET_SETTINGS));
  if (content === undefined) return [];
  return (JSON.parse(Buffer.from(content).toString('utf8')) as BucketSettings).buckets;
}

async function credentialsOf(host: Host, paths: Paths, place: BucketPlace): Promise<S3Credentials> {
  return await storeCredentials(place, (name) => readSecret(host, paths, name));
}

function linesOf({ name, steps, notes, errors }: BucketOutcome, dryRun: boolean): string[] {
  const set = steps.length === 0 ? [] : [`${dryRun ? 'missing' : 'set'}: ${steps.join(', ')}`];
  const rest = errors.length === 0 ? [] : ['not as the config says'];
  const all = [...set, ...rest];
  return [`${name}: ${all.length === 0 ? 'as the config says' : all.join('; ')}`, ...notes];
}
