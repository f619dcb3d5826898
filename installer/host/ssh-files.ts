import { posix } from 'node:path';
import { type FileAction, fileError } from './file-error.ts';
import type { Command, FileAttributes, FileStat } from './host.ts';
import { runRemote } from './ssh-run.ts';
import {
  ABSENT,
  CUT_SHORT,
  LIST,
  MAKE_DIRECTORY,
  READ,
  REMOVE,
  STAT,
  WRITE,
} from './ssh-scripts.ts';
import type { SshSession } from './ssh-session.ts';
import {
  isTemporary,
  LEFTOVER_AGE_SECONDS,
  leftoverPattern,
  temporarySibling,
} from './temporary-name.ts';

const FILE_KIND = 0o170000;
const REGULAR = 0o100000;
const DIRECTORY = 0o040000;

/** What programs say when the system refuses, and its code. */
const SYSTEM_MESSAGES: readonly (readonly [message: string, code: string])[] = [
  ['No space left on device', 'ENOSPC'],
  ['Disk quota exceeded', 'EDQUOT'],
  ['Permission denied', 'EACCES'],
  ['Operation not permitted', 'EPERM'],
  ['Read-only file system', 'EROFS'],
  ['cannot overwrite directory', 'EISDIR'],
  ['Is a directory', 'EISDIR'],
  ['Not a directory', 'ENOTDIR'],
  ['File exists', 'EEXIST'],
];

/** Files of another machine; the methods are those of {@link import('./host.ts').Host}. */
export class SshFiles {
  readonly name: string;
  readonly #session: SshSession;
  readonly #sudo: boolean;

  constructor(session: SshSession, name: string, sudo: boolean) {
    this.#session = session;
    this.name = name;
    this.#sudo = sudo;
  }

  async read(path: string): Promise<Uint8Array | undefined> {
    return this.#script('read', path, READ, []);
  }

  async write(
    path: string,
    content: string | Uint8Array,
    { mode, uid, gid }: FileAttributes,
  ): Promise<void> {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    const particulars = [
      temporarySibling(path),
      leftoverPattern(path),
      String(LEFTOVER_AGE_SECONDS / 60),
      mode.toString(8),
      `${uid}:${gid}`,
      String(bytes.length),
      ...foldersAbove(path),
    ];
    await this.#script('write', path, WRITE, particulars, bytes);
  }

  async stat(path: string): Promise<FileStat | undefined> {
    const found = await this.#script('inspect', path, STAT, []);
    if (found === undefined) return undefined;
    const [kind = '', uid, gid, size] = found.toString('utf8').trim().split(' ');
    const bits = Number.parseInt(kind, 16);
    return {
      type: typeOf(bits & FILE_KIND),
      size: Number(size),
      mode: bits & 0o7777,
      uid: Number(uid),
      gid: Number(gid),
    };
  }

  async makeDirectory(path: string, { mode, uid, gid }: FileAttributes): Promise<void> {
    const particulars = [mode.toString(8), `${uid}:${gid}`, ...foldersAbove(path)];
    await this.#script('create folder', path, MAKE_DIRECTORY, particulars);
  }

  async remove(path: string, options: { readonly recursive?: boolean } = {}): Promise<void> {
    const recursive = options.recursive === true ? 'yes' : 'no';
    await this.#script('remove', path, REMOVE, [posix.dirname(path), recursive]);
  }

  async list(path: string): Promise<string[]> {
    const names = (await this.#script('list', path, LIST, []))?.toString('utf8').split('\0') ?? [];
    return names.filter((name) => name !== '' && !isTemporary(name)).sort();
  }

  async #script(
    action: FileAction,
    path: string,
    script: string,
    particulars: readonly string[],
    stdin?: Uint8Array,
  ): Promise<Buffer | undefined> {
    const argv = ['sh', '-c', script, 'sh', posix.normalize(path), ...particulars] as const;
    const command: Command = { argv: [...argv], ...(stdin === undefined ? {} : { stdin }) };
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    const stderrText = (): string => Buffer.concat(stderr).toString('utf8');
    const exitCode = await runRemote(
      this.#session,
      {
        command,
        shownAs: [action, path],
        host: this.name,
        sudo: this.#sudo,
        mayLeaveServices: false,
      },
      {
        pushStdout: (chunk) => stdout.push(chunk),
        pushStderr: (chunk) => stderr.push(chunk),
        stdoutText: () => '',
        stderrText,
      },
    );
    if (exitCode === 0) return Buffer.concat(stdout);
    if (exitCode === ABSENT) return undefined;
    if (exitCode === CUT_SHORT) throw this.#session.lost([action, path]);
    const message = stderrText().trim();
    const code = SYSTEM_MESSAGES.find(([words]) => message.includes(words))?.[1];
    throw fileError(this.name, action, path, { code, message });
  }
}

/** Every folder above `path`, the outermost first, without the root. */
function foldersAbove(path: string): string[] {
  const folder = posix.dirname(posix.normalize(path));
  return folder === '/' ? [] : [...foldersAbove(folder), folder];
}

function typeOf(kind: number): FileStat['type'] {
  if (kind === REGULAR) return 'file';
  return kind === DIRECTORY ? 'directory' : 'other';
}
