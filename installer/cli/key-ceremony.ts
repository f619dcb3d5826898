import { challengeFor, makeRecoveryKey, RECIPIENT } from '../backup/recovery-key.ts';
import type { Host } from '../host/host.ts';
import type { Io } from './context.ts';
import type { LineReader } from './line-reader.ts';

/** Wipes what the terminal shows and what it remembers (ECMA-48 ED 2, and 3 as xterm has it). */
const CLEAR = '\u001b[2J\u001b[3J\u001b[H';
const DECLINE = 'decline';

export interface Ceremony {
  readonly host: Host;
  readonly io: Io;
  readonly reader: LineReader;
}

export interface HeldKey {
  readonly recipient: string;
  /** False: somebody chose to go on without showing that the secret half is kept. */
  readonly isProven: boolean;
}

/** For `init`: a new key, one that the person has, or none. */
export async function chooseRecoveryKey(ceremony: Ceremony): Promise<HeldKey | undefined> {
  const { io, reader } = ceremony;
  io.out(
    '\nA recovery key opens your backups when this server is gone. Its secret half must not stay here.\n',
  );
  for (;;) {
    const answer = await reader.ask('Make one now? yes, no, or the public key of yours [yes]: ');
    if (/^(y(es)?)?$/i.test(answer)) return await makeAndProve(ceremony);
    if (/^no?$/i.test(answer)) return undefined;
    if (RECIPIENT.test(answer)) return await prove(ceremony, answer);
    io.out('That is not yes, no, or a public key (age1…).\n');
  }
}

/** Shows a new key once, then has it given back from where it was put. It is never written down here. */
export async function makeAndProve({ host, io, reader }: Ceremony): Promise<HeldKey> {
  const { identity, recipient } = await makeRecoveryKey(host);
  io.out(`
Your recovery key, shown this once:

  ${identity.reveal()}

Put it where your team keeps its passwords, away from this server.
`);
  try {
    await reader.ask('Then press Enter; it vanishes from here. ');
  } finally {
    io.out(CLEAR);
  }
  const isProven = await untilRight(
    { io, reader },
    `Paste it from there, or type ${DECLINE} to go on without a proof: `,
    (answer) => answer === identity.reveal(),
    'That is not the key that was shown.',
  );
  io.out(CLEAR);
  return { recipient, isProven };
}

/** Has a message opened that only the secret half opens, wherever that is kept. */
export async function prove({ host, io, reader }: Ceremony, recipient: string): Promise<HeldKey> {
  const { message, word } = await challengeFor(host, recipient);
  io.out(`
Where the secret half of ${recipient} is kept, run
  age --decrypt --identity KEY-FILE
and paste this into it:

${message}
`);
  const isProven = await untilRight(
    { io, reader },
    `The word that it prints, or ${DECLINE}: `,
    (answer) => answer === word,
    'That is not the word.',
  );
  return { recipient, isProven };
}

async function untilRight(
  { io, reader }: Pick<Ceremony, 'io' | 'reader'>,
  prompt: string,
  isRight: (answer: string) => boolean,
  complaint: string,
): Promise<boolean> {
  for (;;) {
    const answer = await reader.ask(prompt);
    if (isRight(answer)) return true;
    if (answer.toLowerCase() === DECLINE) return false;
    io.out(`${complaint}\n`);
  }
}
