import { spawn } from 'node:child_process';
import { AppError } from '../errors.ts';

/** Runs a program on this machine with our own terminal, to its exit code. */
export function runInteractive(argv: readonly [string, ...string[]]): Promise<number> {
  const [program, ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'inherit' });
    child.once('error', (cause) => {
      reject(
        new AppError({
          code: 'host/cannot-start',
          what: `cannot start ${program}`,
          why: cause.message,
          hint: 'holdfast doctor',
          cause,
        }),
      );
    });
    // 128 + signal number is what a shell reports; the name is all that Node gives.
    child.once('close', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 143)));
  });
}
