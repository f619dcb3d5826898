import { AppError } from '../errors.ts';
import { CommandError } from '../host/command-error.ts';
import { AgePlainSize } from './age-plain-size.ts';
import { filteredOutput } from './program-output.ts';
import type { SourceProgram } from './sources/source.ts';
import { type ChildOutput, throughChild } from './through-child.ts';

/** @param recipientsFile public keys, one a line */
export function encrypt(
  input: AsyncIterable<Uint8Array>,
  recipientsFile: string,
): AsyncGenerator<Buffer> {
  return throughChild(['age', '--encrypt', '-R', recipientsFile], input);
}

/**
 * Encrypts what a program puts out, without the plain bytes passing through this process.
 * @param onPlain their number so far
 */
export async function* encryptOutput(
  program: SourceProgram,
  recipientsFile: string,
  onPlain: (bytes: number) => void,
): AsyncGenerator<Buffer> {
  const size = new AgePlainSize();
  const argv = ['age', '--encrypt', '-R', recipientsFile] as const;
  for await (const chunk of filteredOutput(program, argv)) {
    onPlain(size.add(chunk));
    yield chunk;
  }
}

/**
 * @param identityFile path of a private key; its content never passes through here
 * @param output where the plain bytes go instead
 * @throws AppError `restore/wrong-identity`, `backup/damaged`
 */
export async function* decrypt(
  input: AsyncIterable<Uint8Array>,
  identityFile: string,
  output?: ChildOutput,
): AsyncGenerator<Buffer> {
  try {
    yield* throughChild(['age', '--decrypt', '-i', identityFile], input, output);
  } catch (error) {
    if (error instanceof CommandError) throw explained(error, identityFile);
    throw error;
  }
}

function explained(error: CommandError, identityFile: string): Error {
  if (/no identity matched|incorrect identity|malformed secret key/i.test(error.stderr)) {
    return new AppError({
      code: 'restore/wrong-identity',
      what: `the key in ${identityFile} does not open this backup`,
      why: error.stderr.trim(),
      hint: 'name a key that the backup was encrypted to: `holdfast restore ID --identity FILE`',
      cause: error,
    });
  }
  if (/no such file|permission denied/i.test(error.stderr)) {
    return new AppError({
      code: 'restore/no-identity',
      what: `the key file ${identityFile} cannot be read`,
      why: error.stderr.trim(),
      hint: 'name your recovery key: `holdfast restore ID --identity FILE`',
      cause: error,
    });
  }
  if (/failed to decrypt|unexpected EOF|truncated|malformed|failed to read/i.test(error.stderr)) {
    return new AppError({
      code: 'backup/damaged',
      what: 'the backup cannot be decrypted: its bytes are not those that were written',
      why: error.stderr.trim(),
      hint: 'choose another backup: `holdfast backup list`',
      cause: error,
    });
  }
  return error;
}
