import { readFile } from 'node:fs/promises';
import { posix } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import { appendAudit } from '../apply/audit.ts';
import { SYSTEM_CLOCK } from '../apply/context.ts';
import { withLock } from '../apply/lock.ts';
import { thisProcess } from '../apply/process-identity.ts';
import { readText } from '../apply/read-text.ts';
import { env } from '../env.ts';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Paths } from '../model/paths.ts';
import {
  type DeployKey,
  deployKeyLine,
  fingerprint,
  holdsKey,
  parseDeployKey,
  readPublicKey,
} from './authorized-keys.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext } from './context.ts';
import { deployRights } from './deploy-key-rights.ts';

/** Seconds that a change of the keys waits for a deploy to end. */
const WAIT_SECONDS = 60;

/** `holdfast deploy-key add NAME [FILE]`: the public key from a file or standard input. */
export async function addDeployKey(args: ParsedArguments, context: CliContext): Promise<number> {
  const [name = '', file] = args.positionals;
  const rights = deployRights(name, args.value('services'), args.value('images'));
  const given = file === undefined ? await readAll(context.io.stdin) : await keyFile(file);
  const added: DeployKey = { rights, key: readPublicKey(given) };
  const { host } = await context.open(args.value('host'));
  if ((await host.stat(context.paths.launcher)) === undefined) {
    throw new AppError({
      code: 'preflight/no-program',
      what: `${host.name} has no ${context.paths.launcher}, which the key would run`,
      hint: 'install holdfast there: scripts/install.sh --no-apply',
    });
  }
  const line = deployKeyLine(context.paths.launcher, added);
  await changeKeys(context, host, `holdfast deploy-key add ${name}`, (lines) => {
    const others = lines.filter((one) => parseDeployKey(one)?.rights.name !== name);
    if (others.some((one) => holdsKey(one, added.key))) throw sharedKey(name);
    const same = lines.find((one) => parseDeployKey(one)?.rights.name === name);
    if (same !== undefined && parseDeployKey(same)?.key.blob !== added.key.blob) throw taken(name);
    return [...others, line];
  });
  const only = rights.images.length === 0 ? 'any image' : `images of ${rights.images.join(', ')}`;
  context.io.out(
    `${name} (${fingerprint(added.key)}) may deploy ${rights.services.join(', ')} with ${only}.\n` +
      'From there: ssh root@SERVER deploy SERVICE IMAGE\n',
  );
  return 0;
}

/** `holdfast deploy-key list` */
export async function listDeployKeys(args: ParsedArguments, context: CliContext): Promise<number> {
  const { host } = await context.open(args.value('host'));
  const found = (await keyLines(host, context.paths.authorizedKeys)).flatMap((line) => {
    const key = parseDeployKey(line);
    return key === undefined ? [] : [{ ...key.rights, fingerprint: fingerprint(key.key) }];
  });
  if (args.flag('json')) {
    context.io.out(`${JSON.stringify({ version: 1, keys: found })}\n`);
  } else if (found.length === 0) context.io.out('No key may deploy.\n');
  for (const { name, services, images, fingerprint } of args.flag('json') ? [] : found) {
    const only = images.length === 0 ? 'any image' : images.join(',');
    context.io.out(`${name}  ${services.join(',')}  ${only}  ${fingerprint}\n`);
  }
  return 0;
}

/** `holdfast deploy-key remove NAME`: the next login is refused; one that deploys now is not cut off. */
export async function removeDeployKey(args: ParsedArguments, context: CliContext): Promise<number> {
  const [name = ''] = args.positionals;
  const { host } = await context.open(args.value('host'));
  await changeKeys(context, host, `holdfast deploy-key remove ${name}`, (lines) => {
    const others = lines.filter((line) => parseDeployKey(line)?.rights.name !== name);
    if (others.length < lines.length) return others;
    throw new AppError({
      code: 'usage/unknown-deploy-key',
      what: `no key ${JSON.stringify(name)} may deploy on ${host.name}`,
      hint: 'holdfast deploy-key list',
    });
  });
  context.io.out(`${name} may not deploy any more.\n`);
  return 0;
}

/** For an uninstallation: nothing is left that starts the program. */
export async function removeAllDeployKeys(host: Host, { authorizedKeys }: Paths): Promise<void> {
  const lines = await keyLines(host, authorizedKeys);
  const others = lines.filter((line) => parseDeployKey(line) === undefined);
  if (others.length < lines.length) await writeKeys(host, authorizedKeys, others);
}

/** Rewrites the file beside and renames it, with the lines of others as they are. */
async function changeKeys(
  { paths, now }: CliContext,
  host: Host,
  command: string,
  change: (lines: readonly string[]) => readonly string[],
): Promise<void> {
  const process = await thisProcess(env.sudoUser ?? env.user ?? 'unknown');
  const request = { process, command, waitSeconds: WAIT_SECONDS, clock: SYSTEM_CLOCK };
  await withLock(host, paths, request, async (lock) => {
    const begin = now();
    const path = paths.authorizedKeys;
    const before = await keyLines(host, path);
    const after = change(before);
    if (after.join('\n') === before.join('\n')) return;
    await lock.assertHeld();
    await writeKeys(host, path, after);
    await appendAudit(host, paths, {
      who: process.who,
      when: begin.toISOString(),
      command,
      configDigest: '',
      operations: [`write-file:${path}`],
      planned: 1,
      result: 'done',
      seconds: (now().getTime() - begin.getTime()) / 1000,
    });
  });
}

async function writeKeys(host: Host, path: string, lines: readonly string[]): Promise<void> {
  const folder = posix.dirname(path);
  if ((await host.stat(folder)) === undefined) {
    await host.makeDirectory(folder, { mode: 0o700, uid: 0, gid: 0 });
  }
  const content = lines.map((line) => `${line}\n`).join('');
  await host.write(path, content, { mode: 0o600, uid: 0, gid: 0 });
}

async function keyLines(host: Host, path: string): Promise<readonly string[]> {
  const text = (await readText(host, path)) ?? '';
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}

async function keyFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new AppError({
      code: 'usage/public-key-file',
      what: `${path} cannot be read`,
      why: cause instanceof Error ? cause.message : String(cause),
      hint: 'holdfast deploy-key add ci key.pub --services api',
      cause,
    });
  }
}

function sharedKey(name: string): AppError {
  return new AppError({
    code: 'usage/shared-key',
    what: `the key for ${name} may log in by another line already`,
    why: 'sshd takes the first line that holds a key, so this one would limit nothing',
    hint: 'make a key of its own: ssh-keygen -t ed25519 -f deploy-key',
  });
}

function taken(name: string): AppError {
  return new AppError({
    code: 'usage/deploy-key-exists',
    what: `another key has the name ${name}`,
    hint: `holdfast deploy-key remove ${name}`,
  });
}
