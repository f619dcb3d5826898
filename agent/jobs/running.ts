import { fs } from '../builtins.ts';
import { readJson, removeFile, replaceFile } from '../files.ts';
import type { RunReason } from './history.ts';
import type { ProcessIdentity } from './process-identity.ts';

/** A run in progress as the disk knows it, so that the next agent finds it. */
export interface RunningRecord {
  readonly job: string;
  readonly argv: readonly string[];
  readonly process: ProcessIdentity;
  readonly reason: RunReason;
  /** Milliseconds since the epoch. */
  readonly slot?: number;
  readonly startedAt: number;
  readonly timeoutSeconds: number;
  readonly pingSecret?: string;
  readonly quiet?: true;
}

/** `paths.agent/running/<job>.json` */
export class RunningFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  write(record: RunningRecord): void {
    replaceFile(this.#path(record.job), JSON.stringify(record), { mode: 0o600, durable: true });
  }

  remove(job: string): void {
    removeFile(this.#path(job));
  }

  all(): RunningRecord[] {
    return fs
      .readdirSync(this.#folder)
      .filter((name) => name.endsWith('.json'))
      .flatMap((name) => readJson<RunningRecord>(`${this.#folder}/${name}`) ?? []);
  }

  #path(job: string): string {
    return `${this.#folder}/${job}.json`;
  }
}
