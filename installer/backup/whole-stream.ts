import { randomBytes } from 'node:crypto';
import type { Engine } from '../engine/engine.ts';

/*
 * A stream that the engine, its client or the connection cuts ends like one that is whole, and the exit code is 0 as
 * well: without a reader the program goes on to its end. So what a program puts out ends with a mark, and what one is
 * given is counted where it arrives.
 */

type Argv = readonly [string, ...string[]];

/** Digits of an exit code. */
const CODE_LENGTH = 3;

const MARKED = `mark=$1; shift
"$@"; code=$?
printf '%s%03d' "$mark" "$code"
exit "$code"`;

export interface Marked {
  readonly argv: [string, ...string[]];
  /** Of the mark, behind the program's own output. */
  readonly length: number;
  /** Yields the program's own output; returns its exit code, or undefined when the stream was cut before it. */
  readonly plain: (output: AsyncIterable<Uint8Array>) => AsyncGenerator<Buffer, number | undefined>;
}

/** A program whose output ends with its exit code behind a mark that no file can hold: it is new each time. */
export function marked(argv: Argv): Marked {
  const mark = `holdfast-end-${randomBytes(16).toString('hex')}-`;
  return {
    argv: ['sh', '-c', MARKED, 'sh', mark, ...argv],
    length: mark.length + CODE_LENGTH,
    plain: (output) => unmarked(output, mark),
  };
}

/** For a container without a shell, whose word has to do. */
export function unmarkedProgram([program, ...rest]: Argv): Marked {
  return {
    argv: [program, ...rest],
    length: 0,
    plain: async function* (output) {
      for await (const chunk of output) yield Buffer.from(chunk);
      return 0;
    },
  };
}

async function* unmarked(
  output: AsyncIterable<Uint8Array>,
  mark: string,
): AsyncGenerator<Buffer, number | undefined> {
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of output) {
    const all = Buffer.concat([held, chunk]);
    const sure = Math.max(0, all.length - mark.length - CODE_LENGTH);
    if (sure > 0) yield all.subarray(0, sure);
    held = all.subarray(sure);
  }
  const end = held.toString('latin1');
  if (end.startsWith(mark)) return Number.parseInt(end.slice(mark.length), 10);
  // The engine tells in the program's place why it could not start it.
  if (held.length > 0) yield held;
  return undefined;
}

// Whoever knows the end of his input by himself need not read it. 3 leads to wc, 4 to our own output, 5 to what becomes the exit code: a pipe forgets that of all but its last program.
const COUNTED = `exec 4>&1
code=$(
  exec 5>&1
  { tee /dev/fd/3 | {
    "$@" >&2 3>&- 4>&- 5>&-; code=$?; echo "$code" >&5
    [ "$code" -ne 0 ] || cat >/dev/null
  }; } 3>&1 | wc -c >&4
)
exit "$code"`;

/** What is handed to a program behind {@link counted}, and whether all of it arrived. */
export class Given {
  #bytes = 0;

  async *through(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of content) {
      this.#bytes += chunk.length;
      yield chunk;
    }
  }

  /** Why it did not, by what the program put out; undefined where it did. */
  whyCut(said: string): string | undefined {
    const arrived = Number.parseInt(said, 10) || 0;
    if (arrived === this.#bytes) return undefined;
    return `the connection to the container was cut: ${arrived} of ${this.#bytes} bytes arrived`;
  }
}

/** A program that is given its standard input; what it then puts out is how many bytes arrived, and nothing else. */
export function counted(argv: Argv): [string, ...string[]] {
  return ['sh', '-c', COUNTED, 'sh', ...argv];
}

const PROGRAMS = 'for one in tee wc cat; do command -v "$one" >/dev/null || exit 1; done';

/** Whether a container of somebody else has what {@link marked} and {@link counted} take: a minimal image has no shell. */
export async function tellsWhole(engine: Engine, container: string): Promise<boolean> {
  const { exitCode } = await engine.exec(container, { argv: ['sh', '-c', PROGRAMS] });
  return exitCode === 0;
}
