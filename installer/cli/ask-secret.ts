import { AppError } from '../errors.ts';
import { Secret } from '../model/secret.ts';
import type { Io } from './context.ts';
import { TypedLine } from './typed-line.ts';

/** Larger values are files, and belong into a volume. */
const LARGEST_BYTES = 64 * 1024;

/**
 * Reads a value: one line from the terminal without showing it, or else all of standard input but for a
 * newline at its very end.
 * @throws AppError `secret/empty`, `secret/too-large`, `secret/not-text`, `secret/many-lines`, `secret/keys`,
 * `consent/interrupted`
 */
export async function askSecret(io: Io, prompt: string): Promise<Secret> {
  const bytes = io.stdin.isTTY === true ? await readHidden(io, prompt) : await readAll(io.stdin);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw notText('it is not UTF-8', cause);
  }
  if (text.includes('\0')) throw notText('it holds a NUL character');
  const value = text.replace(/\r?\n$/, '');
  if (value !== '') return new Secret(value);
  throw new AppError({
    code: 'secret/empty',
    what: 'the value is empty',
    why: 'nothing was stored',
    hint: 'pipe the value into the command, or run it on a terminal and type it',
  });
}

async function readAll(stdin: Io['stdin']): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stdin) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > LARGEST_BYTES) throw tooLarge();
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

const CONTROL_C = 3;
/** Milliseconds. What follows Enter sooner was pasted along with the line, and must not reach the shell either. */
const PASTE_PAUSE = 100;

/** The terminal shows nothing of what is typed, not even how long it is. */
async function readHidden(io: Io, prompt: string): Promise<Buffer> {
  const stdin = io.stdin as Io['stdin'] & { setRawMode?: (raw: boolean) => unknown };
  io.err(`${prompt}: `);
  stdin.setRawMode?.(true);
  stdin.resume();
  let quiet: NodeJS.Timeout | undefined;
  try {
    const line = new TypedLine(LARGEST_BYTES);
    await new Promise<void>((resolve, reject) => {
      stdin.on('data', (chunk: Buffer | string) => {
        const bytes = Buffer.from(chunk as string);
        if (!line.isEnded && bytes.includes(CONTROL_C)) reject(interrupted());
        for (const byte of bytes) line.take(byte);
        if (!line.isEnded) return;
        clearTimeout(quiet);
        quiet = setTimeout(resolve, PASTE_PAUSE);
      });
      stdin.once('end', resolve);
      stdin.once('error', reject);
    });
    const typed = line.value();
    if (typed.length > LARGEST_BYTES) throw tooLarge();
    return typed;
  } finally {
    clearTimeout(quiet);
    stdin.removeAllListeners('data');
    stdin.setRawMode?.(false);
    stdin.pause();
    io.err('\n');
  }
}

function notText(why: string, cause?: unknown): AppError {
  return new AppError({
    code: 'secret/not-text',
    what: 'the value is no text',
    why: `${why}; nothing was stored`,
    hint: 'encode it, for example with base64',
    cause,
  });
}

function tooLarge(): AppError {
  return new AppError({
    code: 'secret/too-large',
    what: `the value is larger than ${LARGEST_BYTES / 1024} KiB`,
    why: 'nothing was stored',
    hint: 'keep it in a volume of the service instead',
  });
}

function interrupted(): AppError {
  return new AppError({
    code: 'consent/interrupted',
    what: 'the question was not answered',
    why: 'nothing was stored',
    hint: 'run the command again',
  });
}
