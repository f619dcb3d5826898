import { recordDecline, recordProof } from '../backup/recovery-key.ts';
import { loadConfig } from '../config/load.ts';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext, Io } from './context.ts';
import { type Answers, configText } from './init-config.ts';
import { chooseRecoveryKey, type HeldKey } from './key-ceremony.ts';
import { type LineReader, lineReader } from './line-reader.ts';

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
    pattern: /^(?:[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])$/,
    expected: 'a port number from 1 to 65535',
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

const FALLBACKS = Object.fromEntries(
  QUESTIONS.map(({ option, fallback }) => [option, fallback]),
) as unknown as Answers;

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
  const { answers, key } = await ask(args, context, host);
  const recipient = key === 'none' ? undefined : key?.recipient;
  const text = configText(answers, recipient);
  refuseUnsound(text, file);
  await host.write(file, text, { mode: 0o644, uid: 0, gid: 0 });
  await recordChoice(host, context, key);
  context.io.out(
    `Wrote ${file}.\nNext: holdfast check ${file}, then holdfast plan --config ${file}\n`,
  );
  return 0;
}

/** What each answer alone cannot show. */
function refuseUnsound(text: string, file: string): void {
  const loaded = loadConfig(text, file);
  if (loaded.ok) return;
  throw new AppError({
    code: 'usage/answer',
    what: 'these answers make no config that can be used together; nothing was written',
    why: loaded.problems.map(({ path, message }) => `${path}: ${message}`).join('\n'),
    hint: 'holdfast init --help',
  });
}

interface Answered {
  readonly answers: Answers;
  /** Absent where nobody could be asked. */
  readonly key?: HeldKey | 'none';
}

async function recordChoice(
  host: Host,
  { paths, now }: CliContext,
  key: Answered['key'],
): Promise<void> {
  if (key === undefined) return;
  if (key !== 'none' && key.isProven) await recordProof(host, paths, key.recipient, now());
  else await recordDecline(host, paths, now());
}

/** What the options say; the rest is asked on a terminal, and as by default elsewhere. */
async function ask(args: ParsedArguments, context: CliContext, host: Host): Promise<Answered> {
  const { io } = context;
  const given = new Map(
    QUESTIONS.flatMap(({ option }) => {
      const value = args.value(option);
      return value === undefined ? [] : [[option, meant(option, value)] as const];
    }),
  );
  const wrong = QUESTIONS.flatMap((question) => {
    const value = given.get(question.option);
    const fault = value === undefined ? undefined : faultOf(question, value);
    return fault === undefined ? [] : [`--${question.option}: ${fault}`];
  });
  if (wrong.length > 0) {
    throw new AppError({
      code: 'usage/answer',
      what: `${wrong.length} answer${wrong.length === 1 ? '' : 's'} cannot be used; nothing was written`,
      why: wrong.join('\n'),
      hint: 'holdfast init --help',
    });
  }
  const open = QUESTIONS.filter(({ option }) => !given.has(option));
  const answers = () => Object.fromEntries(given) as unknown as Answers;
  if (io.stdin.isTTY !== true || args.flag('defaults')) {
    for (const { option, fallback } of open) given.set(option, fallback);
    return { answers: answers() };
  }
  const reader = lineReader(context, {
    write: io.out,
    unanswered: 'the questions were not answered to their end; nothing was written',
    again: args.commandLine(),
  });
  try {
    for (const question of open) given.set(question.option, await askOne(io, reader, question));
    const key = await chooseRecoveryKey({ host, io, reader });
    return { answers: answers(), key: key ?? 'none' };
  } finally {
    reader.close();
  }
}

/** Until the answer can be used: whoever mistypes the last one shall not start again. */
async function askOne(
  { out }: Io,
  { ask: askLine }: LineReader,
  question: Question,
): Promise<string> {
  const { option, text, fallback } = question;
  for (;;) {
    const answer = meant(option, (await askLine(`${text} [${fallback}]: `)) || fallback);
    const fault = faultOf(question, answer);
    if (fault === undefined) return answer;
    out(`That cannot be used: ${fault}.\n`);
  }
}

/** Names of hosts are the same in capitals, and the config knows small letters only. */
function meant(option: Question['option'], answer: string): string {
  return option === 'domain' ? answer.toLowerCase() : answer;
}

/** Why the answer cannot be used, as `holdfast check` would say it. */
function faultOf({ option, pattern, expected }: Question, answer: string): string | undefined {
  if (!pattern.test(answer)) return `expected ${expected}, got ${JSON.stringify(answer)}`;
  const loaded = loadConfig(configText({ ...FALLBACKS, [option]: answer }), 'config.yaml');
  return loaded.ok ? undefined : (loaded.problems[0]?.message ?? `expected ${expected}`);
}
