import { readKeyRecord, recordDecline, recordProof } from '../backup/recovery-key.ts';
import { AppError } from '../errors.ts';
import type { RecoveryKeyRecord } from '../model/recovery-key-record.ts';
import { appliedBackupSettings } from './applied.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext } from './context.ts';
import { type HeldKey, makeAndProve, prove } from './key-ceremony.ts';
import { lineReader } from './line-reader.ts';

/** `holdfast recovery-key make` */
export async function makeKey(_args: ParsedArguments, context: CliContext): Promise<number> {
  const key = await onTerminal(context, 'make', makeAndProve);
  context.io.out(
    `Put its public half into backups.recipients, then: holdfast apply\n  ${key.recipient}\n`,
  );
  return 0;
}

/** `holdfast recovery-key prove [PUBLIC-KEY]` */
export async function proveKey(args: ParsedArguments, context: CliContext): Promise<number> {
  const { host } = await context.open();
  const { recipients } = await appliedBackupSettings(host, context.paths);
  const { provenAt } = await readKeyRecord(host, context.paths);
  const unproven = recipients.find((recipient) => provenAt[recipient] === undefined);
  const [recipient = unproven ?? recipients[0]] = args.positionals;
  if (recipient === undefined || !recipients.includes(recipient)) {
    throw new AppError({
      code: 'usage/no-such-key',
      what:
        recipient === undefined
          ? 'backups.recipients of this server names no recovery key'
          : `backups are not encrypted to ${recipient}`,
      why: 'what was never encrypted to a key cannot be opened with it',
      hint: 'holdfast recovery-key make, or put a public key of yours into backups.recipients and apply',
    });
  }
  const key = await onTerminal(context, 'prove', (ceremony) => prove(ceremony, recipient));
  if (key.isProven) context.io.out(`Proved: ${recipient} is in your hands.\n`);
  return 0;
}

/** `holdfast recovery-key list` */
export async function listKeys(args: ParsedArguments, context: CliContext): Promise<number> {
  const { host } = await context.open(args.value('host'));
  const { recipients } = await appliedBackupSettings(host, context.paths);
  const record = await readKeyRecord(host, context.paths);
  if (args.flag('json')) {
    const keys = recipients.map((recipient) => ({
      recipient,
      provenAt: record.provenAt[recipient],
    }));
    const { declinedAt } = record;
    context.io.out(`${JSON.stringify({ version: 1, keys, declinedAt })}\n`);
    return 0;
  }
  if (recipients.length === 0) {
    context.io.out('No recovery key: holdfast recovery-key make\n');
    return 0;
  }
  for (const recipient of recipients) {
    context.io.out(`${recipient}  ${proofText(record, recipient)}\n`);
  }
  return 0;
}

function proofText({ provenAt }: RecoveryKeyRecord, recipient: string): string {
  const at = provenAt[recipient];
  return at === undefined
    ? `never proved: holdfast recovery-key prove ${recipient}`
    : `proved ${at.slice(0, 10)}`;
}

/** Asks a person, and records what came of it. */
async function onTerminal(
  context: CliContext,
  verb: 'make' | 'prove',
  ask: (ceremony: Parameters<typeof makeAndProve>[0]) => Promise<HeldKey>,
): Promise<HeldKey> {
  const { io, paths } = context;
  if (io.stdin.isTTY !== true) {
    throw new AppError({
      code: 'consent/no-terminal',
      what: 'this talks with a person, and there is no terminal',
      why: 'nothing was changed',
      hint: `run holdfast recovery-key ${verb} on a terminal; a key made elsewhere by age-keygen needs its public half in backups.recipients alone`,
    });
  }
  const { host } = await context.open();
  const reader = lineReader(context, {
    write: io.out,
    unanswered: 'the questions were not answered to their end; nothing was written',
    again: `holdfast recovery-key ${verb}`,
  });
  try {
    const key = await ask({ host, io, reader });
    if (key.isProven) await recordProof(host, paths, key.recipient, context.now());
    else await recordDecline(host, paths, context.now());
    return key;
  } finally {
    reader.close();
  }
}
