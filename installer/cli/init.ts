import { createInterface } from 'node:readline/promises';
import { AppError } from '../errors.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext } from './context.ts';
import { type Answers, configText } from './init-config.ts';

interface Question {
  readonly option: keyof Answers;
  readonly text: string;
  readonly fallback: string;
  readonly pattern: RegExp;
  readonly expected: string;
}

const QUESTIONS: readonly Question[] = [
  {
    option: 'domain',
    text: 'Domain of the product',
    fallback: 'localhost',
    pattern: /^[a-z0-9.-]+$/i,
    expected: 'a host name such as app.example.com',
  },
  {
    option: 'contact',
    text: 'Mail address for certificates and alarms',
    fallback: 'ops@example.com',
    pattern: /^[^\s@]+@[^\s@]+$/,
    expected: 'a mail address',
  },
  {
    option: 'image',
    text: 'Image of the app, or a folder with a Dockerfile',
    fallback: './app',
    pattern: /^\S+$/,
    expected: 'an image such as ghcr.io/acme/web:1.4.2, or a folder such as ./app',
  },
  {
    option: 'port',
    text: 'Port that the app listens on',
    fallback: '3000',
    pattern: /^[1-9]\d{0,4}$/,
    expected: 'a port number',
  },
  {
    option: 'health',
    text: 'Path that answers 200 when the app is well',
    fallback: '/health',
    pattern: /^\/\S*$/,
    expected: 'a path such as /health',
  },
  {
    option: 'uses',
    text: 'What it uses (postgres, redis, both or none)',
    fallback: 'postgres',
    pattern: /^(postgres|redis|both|none)$/,
    expected: 'postgres, redis, both or none',
  },
];

/** `holdfast init [FILE]`: asks a few questions and writes a small commented config. */
export async function init(args: ParsedArguments, context: CliContext): Promise<number> {
  const [file = context.paths.config] = args.positionals;
  const { host } = await context.open();
  if ((await host.stat(file)) !== undefined) {
    throw new AppError({
      code: 'usage/config-exists',
      what: `${file} is already there, and init never overwrites a config`,
      hint: `edit it, or name another file: holdfast init ${file.replace(/\.yaml$/, '')}-new.yaml`,
    });
  }
  const answers = await ask(args, context);
  await host.write(file, configText(answers), { mode: 0o644, uid: 0, gid: 0 });
  context.io.out(
    `Wrote ${file}.\nNext: holdfast check ${file}, then holdfast plan --config ${file}\n`,
  );
  return 0;
}

async function ask(args: ParsedArguments, { io }: CliContext): Promise<Answers> {
  const given = Object.fromEntries(
    QUESTIONS.flatMap(({ option }) => {
      const value = args.value(option);
      return value === undefined ? [] : [[option, value]];
    }),
  );
  const open = QUESTIONS.filter(({ option }) => given[option] === undefined);
  const isInteractive = io.stdin.isTTY === true && !args.flag('defaults');
  const reader =
    isInteractive && open.length > 0
      ? createInterface({ input: io.stdin, output: process.stdout })
      : undefined;
  try {
    for (const { option, text, fallback } of open) {
      const answer =
        reader === undefined ? '' : (await reader.question(`${text} [${fallback}]: `)).trim();
      given[option] = answer === '' ? fallback : answer;
    }
  } finally {
    reader?.close();
  }
  const wrong = QUESTIONS.filter(({ option, pattern }) => !pattern.test(given[option] ?? ''));
  if (wrong.length > 0) {
    throw new AppError({
      code: 'usage/answer',
      what: `${wrong.length} answer(s) cannot be used; nothing was written`,
      why: wrong
        .map(
          ({ option, expected }) =>
            `--${option}: expected ${expected}, got ${JSON.stringify(given[option])}`,
        )
        .join('\n'),
      hint: 'holdfast init --help',
    });
  }
  return given as unknown as Answers;
}
