import type { BackupManifest, BackupObject } from '../manifest.ts';
import type { Marked } from '../whole-stream.ts';

/** One object to be stored, and how its bytes are had. */
export interface SourceObject {
  /** Without the `.age` that encryption adds. */
  readonly name: string;
  readonly role: BackupObject['role'];
  readonly format: BackupObject['format'];
  readonly database?: string;
  /** A guess that chooses the size of parts and is checked against free space. */
  readonly expectedBytes: number;
  /** Fewer bytes than this are no backup of anything. */
  readonly floorBytes: number;
  readonly content: SourceContent;
}

export type SourceContent =
  /** Throws after the last byte when the program that made them failed. */
  | { readonly kind: 'stream'; readonly read: () => AsyncIterable<Uint8Array> }
  /** The output of a program, which can go into another one without passing through this process. */
  | { readonly kind: 'program'; readonly prepare: () => Promise<SourceProgram> };

export interface SourceProgram {
  /** On this machine. */
  readonly argv: readonly [string, ...string[]];
  /** What its failure means. */
  readonly failure: (exitCode: number, stderr: string) => Error;
  /** Sees what it says beside its output, as it comes. */
  readonly onStderr?: (chunk: Buffer) => void;
  /** Told when it has ended, which may be long before its output is stored. */
  readonly onEnd?: () => void;
  /** Takes the mark off its output without which it is not whole. */
  readonly plain?: Marked['plain'];
  /** A shorter way to its output, where there is one; no mark is needed there. */
  readonly pipe?: ContainerPipe;
}

export interface ProgramEnd {
  readonly exitCode: number;
  readonly stderr: string;
}

/** A program in a container that writes into or reads from a named pipe which this machine can open (container-pipe.ts). */
export interface ContainerPipe {
  /** Out of the container, or in. */
  readonly direction: 'out' | 'in';
  readonly argv: readonly [string, ...string[]];
  /** Of the pipe, on this machine. */
  readonly path: string;
}

/** What a job saves, looked at before anything is stored. */
export interface Source {
  readonly method: BackupManifest['method'];
  readonly server?: BackupManifest['server'];
  /** Of a dump of Postgres: what the job names and what there is beside it. */
  readonly databases?: readonly string[];
  /** Of a physical backup, once its objects were read. */
  readonly base?: () => BackupManifest['base'];
  readonly tools: Readonly<Record<string, string>>;
  /** In the order in which they are read: a later one may tell of an earlier one. */
  readonly objects: readonly SourceObject[];
  /**
   * Present where nobody waits for the end of it, so that it may take longer beside a busy product.
   * @returns true when it may not any more
   */
  readonly isPressed?: () => Promise<boolean>;
  /** Frees what was held, also after a failure. */
  readonly close: () => Promise<void>;
}
