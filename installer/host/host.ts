import type { Readable } from 'node:stream';

/** A program to run, always as an argument vector: no shell reads it. */
export interface Command {
  readonly argv: readonly [string, ...string[]];
  /**
   * When a stream fails its error is thrown, but another machine's program may have taken that for the end,
   * as it does when the connection breaks: nothing that it did counts then.
   */
  readonly stdin?: string | Uint8Array | Readable;
  /** Added to the host's own environment. Never holds a secret: others can list it. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Seconds; 600 when absent. */
  readonly timeoutSeconds?: number;
  /** Exit codes that are an answer rather than a failure; `[0]` when absent. */
  readonly okExitCodes?: readonly number[];
  /** Called with each line of standard output and error as it comes. */
  readonly onLine?: (line: string) => void;
}

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface FileAttributes {
  /** Permission bits, such as 0o600. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface FileStat extends FileAttributes {
  readonly type: 'file' | 'directory' | 'other';
  /** Bytes. */
  readonly size: number;
}

/**
 * One machine that holdfast changes: this one, or another over SSH.
 * Both implementations pass `test/contract/host.ts`.
 */
export interface Host {
  /** For messages: `localhost` or `user@address`. */
  readonly name: string;
  /**
   * Runs a program to its end.
   * @throws CommandError on another exit code, a signal, a time-out, a missing program or a lost connection.
   */
  run(command: Command): Promise<CommandResult>;
  /** The bytes of a file, or undefined when there is none. */
  read(path: string): Promise<Uint8Array | undefined>;
  /**
   * Replaces a file in one step: a sibling is created with the final mode and owner before any content,
   * written, fsynced, renamed over the target, and the folder fsynced. Missing folders are made, 0755.
   */
  write(path: string, content: string | Uint8Array, attributes: FileAttributes): Promise<void>;
  /** Follows no link. Undefined when there is nothing. */
  stat(path: string): Promise<FileStat | undefined>;
  /** Creates a folder and its parents; sets mode and owner of the last one, also when it exists. */
  makeDirectory(path: string, attributes: FileAttributes): Promise<void>;
  /** Removes a file or, when `recursive`, a whole folder. Nothing there is no error. */
  remove(path: string, options?: { readonly recursive?: boolean }): Promise<void>;
  /** Names in a folder, sorted; empty when there is none. */
  list(path: string): Promise<string[]>;
  close(): Promise<void>;
}
