import {
  type EdgeReplica,
  type EdgeState,
  edgeStateText,
  parseEdgeState,
  withVerdict,
} from '../../installer/model/edge-state.ts';
import { childProcess, fs } from '../builtins.ts';
import { readText, replaceFile } from '../files.ts';

/** Writers hold the lock for milliseconds. */
const LOCK_SECONDS = 5;

/** What the agent says of one replica. */
export interface EdgeVerdict {
  /** Of the container: one that was created anew under the same name is another replica. */
  readonly id: string;
  readonly state: 'up' | 'out';
  readonly reason?: string;
}

/**
 * The file by which nginx knows its replicas, as `installer/engine/edge-state.ts` writes it, under the same
 * lock. Here the lock is held from reading to writing, so that no digest is needed: hashing would cost the
 * resident process 2 MB.
 */
export class EdgeFile {
  readonly #path: string;

  constructor(folder: string) {
    this.#path = `${folder}/services.json`;
  }

  /** Undefined where there is none, or what stands there is no state. */
  read(): EdgeState | undefined {
    const text = readText(this.#path);
    return text === undefined ? undefined : parseEdgeState(text);
  }

  /**
   * Says of replicas that nginx knows what they may get. One that drains, or is not there any more, is
   * somebody else's work and stays as it is. @throws Error when the lock is not to be had
   */
  async write(verdicts: readonly EdgeVerdict[]): Promise<void> {
    const lock = fs.openSync(`${this.#path}.lock`, 'a', 0o644);
    try {
      await takeLock(lock);
      const state = this.read();
      if (state === undefined) return;
      const next = withVerdicts(state, verdicts);
      if (next === state) return;
      replaceFile(this.#path, edgeStateText({ ...next, generation: state.generation + 1 }), {
        mode: 0o644,
        durable: true,
      });
    } finally {
      // Closing it gives the lock back.
      fs.closeSync(lock);
    }
  }
}

/** The same object when nothing changes. */
export function withVerdicts(state: EdgeState, verdicts: readonly EdgeVerdict[]): EdgeState {
  return verdicts.reduce((known, verdict) => {
    const replica = replicasOf(known).find(({ id }) => id === verdict.id);
    if (replica === undefined || replica.state === 'draining' || replica.state === verdict.state) {
      return known;
    }
    const { state: next, reason } = verdict;
    return withVerdict(known, replica.container, {
      state: next,
      ...(reason === undefined ? {} : { reason }),
    });
  }, state);
}

function replicasOf({ services }: EdgeState): EdgeReplica[] {
  return Object.values(services).flatMap(({ replicas }) => replicas);
}

function takeLock(file: number): Promise<void> {
  return new Promise((resolve, reject) => {
    // On our own open file: the kernel keeps the lock for us when the program has ended.
    const child = childProcess.spawn(
      'flock',
      ['--exclusive', '--timeout', String(LOCK_SECONDS), '3'],
      { stdio: ['ignore', 'ignore', 'ignore', file] },
    );
    child.once('error', reject);
    child.once('exit', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`the lock of nginx's list is held for more than ${LOCK_SECONDS} s`));
    });
  });
}
