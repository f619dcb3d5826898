import { fs } from '../builtins.ts';
import { isMissing, readJson, replaceFile } from '../files.ts';
import { type Log, reasonOf } from '../log.ts';
import { readLines } from './line-reader.ts';
import { RequestCounts, type RequestCountsState } from './request-counts.ts';
import type { Metric } from './text-format.ts';

/** Where we are, together with what was counted up to there: one file, replaced in one step. */
interface Position {
  readonly inode: number;
  readonly offset: number;
  readonly counts: RequestCountsState;
}

export interface AccessLogContext {
  readonly path: string;
  /** Keeps position and counters over restarts. */
  readonly stateFile: string;
  /** Bytes at which the file is moved away. */
  readonly rotateAt: number;
  /** How many of those that were moved away stay, for people. */
  readonly keep: number;
  /** Makes nginx open a new file. */
  readonly reopen: () => Promise<void>;
  readonly log: Log;
}

/**
 * Follows nginx's JSON lines. The file is moved away at a size, nginx told to open a new one, and the old
 * one read to its end a turn later, when no worker writes to it any more: no line is lost or counted twice.
 * The last of those stay beside it, the newest as `.1`.
 */
export class AccessLog {
  readonly #context: AccessLogContext;
  readonly #counts: RequestCounts;
  #inode: number;
  #offset: number;

  constructor(context: AccessLogContext) {
    this.#context = context;
    const known = readJson<Position>(context.stateFile);
    this.#counts = new RequestCounts(known?.counts);
    this.#inode = known?.inode ?? 0;
    this.#offset = known?.offset ?? 0;
  }

  metrics(): Metric[] {
    return this.#counts.metrics();
  }

  /** Counts what is new, and moves the file away when it has grown. */
  async poll(): Promise<void> {
    const before = `${this.#inode} ${this.#offset}`;
    const isGrown = this.#follow();
    if (`${this.#inode} ${this.#offset}` !== before) this.#save();
    if (isGrown && !fs.existsSync(this.#movedPath)) {
      fs.renameSync(this.#context.path, this.#movedPath);
    }
    // Also when we died, or nginx was down, between the two steps of an earlier turn.
    if (!fs.existsSync(this.#context.path) && fs.existsSync(this.#movedPath)) await this.#reopen();
  }

  /** Reads on from where we are; answers whether the file is large enough to be moved. */
  #follow(): boolean {
    const current = open(this.#context.path);
    if (current === undefined) {
      this.#readMoved();
      return false;
    }
    try {
      if (current.inode !== this.#inode) {
        // nginx has had the time since the last turn to let go of the old file.
        this.#readMoved();
        this.#keepMoved();
        this.#inode = current.inode;
        this.#offset = 0;
      } else if (current.size < this.#offset) this.#offset = 0;
      this.#read(current.file);
      return current.size >= this.#context.rotateAt;
    } finally {
      fs.closeSync(current.file);
    }
  }

  /** Reads the file that was moved away, if it is the one that we were in; kept already, where we died then. */
  #readMoved(): void {
    for (const path of [this.#movedPath, `${this.#context.path}.1`]) {
      const moved = open(path);
      if (moved === undefined) continue;
      try {
        if (moved.inode === this.#inode) this.#read(moved.file);
      } finally {
        fs.closeSync(moved.file);
      }
    }
  }

  /** It becomes the first of those that are kept, and the last of them goes. */
  #keepMoved(): void {
    const { path, keep } = this.#context;
    if (!fs.existsSync(this.#movedPath)) return;
    for (let number = keep; number > 0; number -= 1) {
      const from = number === 1 ? this.#movedPath : `${path}.${number - 1}`;
      if (fs.existsSync(from)) fs.renameSync(from, `${path}.${number}`);
    }
  }

  #read(file: number): void {
    this.#offset = readLines(file, this.#offset, (line) => this.#counts.add(line));
  }

  async #reopen(): Promise<void> {
    try {
      await this.#context.reopen();
    } catch (error) {
      this.#context.log(`nginx does not open a new access log: ${reasonOf(error)}`);
    }
  }

  #save(): void {
    const position: Position = {
      inode: this.#inode,
      offset: this.#offset,
      counts: this.#counts.state(),
    };
    try {
      replaceFile(this.#context.stateFile, JSON.stringify(position), {
        mode: 0o600,
        durable: false,
      });
    } catch (error) {
      this.#context.log(`the request counters cannot be kept: ${reasonOf(error)}`);
    }
  }

  get #movedPath(): string {
    return `${this.#context.path}.old`;
  }
}

function open(path: string): { file: number; inode: number; size: number } | undefined {
  try {
    const file = fs.openSync(path, 'r');
    const { ino, size } = fs.fstatSync(file);
    return { file, inode: ino, size };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
