import { posix } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { CommandError } from '../../installer/host/command-error.ts';
import { type FileAction, fileError } from '../../installer/host/file-error.ts';
import type {
  Command,
  CommandResult,
  FileAttributes,
  FileStat,
  Host,
} from '../../installer/host/host.ts';
import { type CrashPoint, Effects } from './effects.ts';
import { MemoryFiles } from './memory-files.ts';

/** A command as a program of the {@link MemoryHost} sees it. */
export interface Call {
  readonly argv: readonly string[];
  readonly stdin: Buffer;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | undefined;
  /** What stands in the command line after the words that the program was registered for. */
  readonly rest: readonly string[];
}

export type Program = (
  call: Call,
) => Partial<CommandResult> | undefined | Promise<Partial<CommandResult> | undefined>;

interface Registered {
  readonly words: readonly string[];
  readonly program: Program;
  readonly effect: boolean;
}

/**
 * A server in memory: a file tree with modes and owners, and programs that the test registers.
 * Every call that may change something is one of its {@link Effects}.
 */
export class MemoryHost implements Host {
  readonly name: string;
  readonly files = new MemoryFiles();
  readonly effects = new Effects();
  /** Bytes that files may take in all; a write beyond it fails as on a full disk. */
  diskBytes = Number.POSITIVE_INFINITY;
  readonly #programs: Registered[] = [];

  constructor(name = 'memory') {
    this.name = name;
  }

  /**
   * Registers what a program does, by the first words of its argv; the longest match wins, the newest among equals.
   * `looks` says that it changes nothing, so that it is no effect.
   */
  on(words: readonly string[], program: Program, options: { readonly looks?: boolean } = {}): this {
    this.#programs.push({ words, program, effect: options.looks !== true });
    return this;
  }

  /** See {@link Effects.crashAt}. */
  crashAt(point: CrashPoint): void {
    this.effects.crashAt(point);
  }

  async run(command: Command): Promise<CommandResult> {
    const { argv } = command;
    const found = this.#programFor(argv);
    const start = async () => {
      if (found === undefined) throw this.#failure(command, 'spawn', { stderr: 'ENOENT' });
      return found.program({
        argv,
        stdin: await bytesOf(command.stdin),
        env: command.env ?? {},
        cwd: command.cwd,
        rest: argv.slice(found.words.length),
      });
    };
    const result = await (found?.effect
      ? this.effects.perform(`run ${argv.join(' ')}`, start)
      : this.effects.look(start));
    const { exitCode = 0, stdout = '', stderr = '' } = result ?? {};
    for (const line of `${stdout}\n${stderr}`.split('\n')) if (line !== '') command.onLine?.(line);
    if (!(command.okExitCodes ?? [0]).includes(exitCode)) {
      throw this.#failure(command, 'exit', { exitCode, stdout, stderr });
    }
    return { exitCode, stdout, stderr };
  }

  async read(path: string): Promise<Uint8Array | undefined> {
    return this.effects.look(() => this.#explain('read', path, () => this.files.read(path)));
  }

  async write(
    path: string,
    content: string | Uint8Array,
    attributes: FileAttributes,
  ): Promise<void> {
    const bytes = Buffer.from(content as string);
    await this.effects.perform(`write ${path} ${shown(attributes)}`, () =>
      this.#explain('write', path, () => {
        const used = this.files.totalBytes() - (this.files.stat(path)?.size ?? 0);
        if (used + bytes.length > this.diskBytes) {
          throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
        }
        this.files.write(path, bytes, attributes);
      }),
    );
  }

  async stat(path: string): Promise<FileStat | undefined> {
    return this.effects.look(() => this.files.stat(path));
  }

  async makeDirectory(path: string, attributes: FileAttributes): Promise<void> {
    await this.effects.perform(`mkdir ${path} ${shown(attributes)}`, () =>
      this.#explain('create folder', path, () => this.files.makeDirectory(path, attributes)),
    );
  }

  async remove(path: string, options: { readonly recursive?: boolean } = {}): Promise<void> {
    await this.effects.perform(`remove ${path}`, () =>
      this.#explain('remove', path, () => this.files.remove(path, options.recursive ?? false)),
    );
  }

  async list(path: string): Promise<string[]> {
    return this.effects.look(() => this.files.list(path));
  }

  async close(): Promise<void> {
    // Nothing is open.
  }

  #programFor(argv: readonly string[]): Registered | undefined {
    let best: Registered | undefined;
    for (const one of this.#programs) {
      if (!one.words.every((word, index) => argv[index] === word)) continue;
      if (best === undefined || one.words.length >= best.words.length) best = one;
    }
    return best;
  }

  #failure(
    command: Command,
    reason: 'exit' | 'spawn',
    result: Partial<CommandResult>,
  ): CommandError {
    return new CommandError({ reason, argv: command.argv, host: this.name, ...result });
  }

  #explain<T>(action: FileAction, path: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      throw fileError(this.name, action, posix.normalize(path), { code, message });
    }
  }
}

async function bytesOf(stdin: Command['stdin']): Promise<Buffer> {
  if (stdin === undefined) return Buffer.alloc(0);
  return stdin instanceof Readable ? buffer(stdin) : Buffer.from(stdin as string);
}

function shown({ mode, uid, gid }: FileAttributes): string {
  return `${mode.toString(8)} ${uid}:${gid}`;
}
