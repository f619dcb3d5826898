import type { Engine } from '../engine/engine.ts';
import type { Host } from '../host/host.ts';
import type { Report } from '../model/events.ts';
import type { Paths } from '../model/paths.ts';

/** Where a command reads and writes; the tests pass their own. */
export interface Io {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Standard output is a terminal. */
  readonly isTerminal: boolean;
  readonly color: boolean;
  /** Columns of the terminal; 100 where there is none. */
  readonly columns: number;
  /** Nobody reads what we say any more. */
  readonly closed?: AbortSignal;
}

/** One server, opened: local, or over SSH with `--host`. */
export interface Server {
  readonly host: Host;
  readonly engine: Engine;
}

/** What every command gets. Only `main.ts` builds the real one. */
export interface CliContext {
  readonly io: Io;
  readonly paths: Paths;
  /** Root of the package: `compose/`, `templates/`, `nginx/`, `images/`. */
  readonly packageRoot: string;
  /** Opens the server once; `main` closes it. `target` is the value of `--host`. */
  readonly open: (target?: string) => Promise<Server>;
  readonly report: Report;
  /** Aborted by SIGINT and SIGTERM: a command stops at its next safe point. */
  readonly signal: AbortSignal;
  readonly now: () => Date;
}
