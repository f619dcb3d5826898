import { loadConfig } from '../config/load.ts';
import { formatProblem, type Problem } from '../config/problem.ts';
import { EXIT_CODES } from '../errors.ts';

export interface CheckArguments {
  /** Path as the user gave it. */
  readonly file: string;
  readonly json: boolean;
}

export interface CheckPorts {
  /** The bytes of a file; undefined when there is none. */
  readonly read: (path: string) => Promise<Uint8Array | undefined>;
  /** Standard output. */
  readonly write: (text: string) => void;
}

/** The answer of `check --json`. Fields are added within a version, never changed. */
export interface CheckReport {
  readonly version: 1;
  readonly ok: boolean;
  /** Of a valid config. */
  readonly project?: string;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/** Checks one config file and says everything that is wrong with it. Exit code 0, or 2 when something is. */
export async function check(args: CheckArguments, ports: CheckPorts): Promise<number> {
  const report = await examine(args.file, ports);
  ports.write(args.json ? `${JSON.stringify(report)}\n` : asText(args.file, report));
  return report.ok ? 0 : EXIT_CODES.config;
}

async function examine(file: string, ports: CheckPorts): Promise<CheckReport> {
  const bytes = await ports.read(file);
  if (bytes === undefined) {
    const message = 'does not exist: `holdfast init` writes one';
    const code = 'config/no-file';
    const problem: Problem = {
      file,
      path: '',
      line: 0,
      column: 0,
      code,
      message,
      severity: 'error',
    };
    return { version: 1, ok: false, problems: [problem], warnings: [] };
  }
  const loaded = loadConfig(bytes, file);
  const problems = loaded.ok ? [] : loaded.problems;
  const project = loaded.ok ? { project: loaded.config.project } : {};
  return { version: 1, ok: loaded.ok, ...project, problems, warnings: loaded.warnings };
}

function asText(file: string, { ok, problems, warnings }: CheckReport): string {
  const lines = [
    ...problems.map(formatProblem),
    ...warnings.map((problem) => `warning: ${formatProblem(problem)}`),
    ok ? `${file} is valid${counted(warnings.length)}` : `${file}: ${problems.length} to fix`,
  ];
  return `${lines.join('\n')}\n`;
}

function counted(warnings: number): string {
  if (warnings === 0) return '';
  return warnings === 1 ? ', with 1 warning' : `, with ${warnings} warnings`;
}
