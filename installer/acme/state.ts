import { posix } from 'node:path';
import { z } from 'zod';
import type { Host } from '../host/host.ts';
import type { Paths } from '../model/paths.ts';
import { acmeFolder } from './account.ts';
import { type AttemptRecord, atTime, NO_RECORD } from './decide.ts';

const ProblemSchema = z.object({
  code: z.string(),
  what: z.string(),
  why: z.string().optional(),
  hint: z.string(),
  at: z.number(),
});

const AdviceSchema = z.object({
  serial: z.string(),
  window: z.object({ from: z.number(), until: z.number() }).optional(),
  checkAt: z.number(),
});

const StateSchema = z.object({
  version: z.literal(1),
  certificates: z.record(
    z.string(),
    z.object({
      failures: z.int(),
      attempts: z.array(z.number()),
      issued: z.array(z.number()),
      retryAt: z.number().optional(),
      advice: AdviceSchema.optional(),
      problem: ProblemSchema.optional(),
    }),
  ),
});

/** What is remembered of attempts, by certificate; survives kills and restarts, so that limits hold. */
export class AcmeState {
  readonly #host: Host;
  readonly #path: string;
  readonly #records: Map<string, AttemptRecord>;

  private constructor(host: Host, path: string, records: Map<string, AttemptRecord>) {
    this.#host = host;
    this.#path = path;
    this.#records = records;
  }

  static async read(host: Host, paths: Paths, now: number): Promise<AcmeState> {
    const path = posix.join(acmeFolder(paths), 'state.json');
    const bytes = await host.read(path);
    const stored =
      bytes === undefined
        ? {}
        : StateSchema.parse(JSON.parse(new TextDecoder().decode(bytes))).certificates;
    const records = Object.entries(stored).map(
      ([name, record]) => [name, atTime(withoutUndefined(record), now)] as const,
    );
    return new AcmeState(host, path, new Map(records));
  }

  of(name: string): AttemptRecord {
    return this.#records.get(name) ?? NO_RECORD;
  }

  async set(name: string, record: AttemptRecord): Promise<void> {
    this.#records.set(name, record);
    await this.#write();
  }

  /** Forgets certificates that nobody wants any more. */
  async keepOnly(names: ReadonlySet<string>): Promise<void> {
    const gone = [...this.#records.keys()].filter((name) => !names.has(name));
    for (const name of gone) this.#records.delete(name);
    if (gone.length > 0) await this.#write();
  }

  async #write(): Promise<void> {
    const state = { version: 1, certificates: Object.fromEntries(this.#records) };
    await this.#host.makeDirectory(posix.dirname(this.#path), { mode: 0o700, uid: 0, gid: 0 });
    await this.#host.write(this.#path, `${JSON.stringify(state)}\n`, {
      mode: 0o600,
      uid: 0,
      gid: 0,
    });
  }
}

type Stored = z.output<typeof StateSchema>['certificates'][string];

function withoutUndefined({ retryAt, advice, problem, ...record }: Stored): AttemptRecord {
  return {
    ...record,
    ...(advice === undefined
      ? {}
      : {
          advice: {
            serial: advice.serial,
            checkAt: advice.checkAt,
            ...(advice.window === undefined ? {} : { window: advice.window }),
          },
        }),
    ...(retryAt === undefined ? {} : { retryAt }),
    ...(problem === undefined
      ? {}
      : {
          problem: {
            code: problem.code,
            what: problem.what,
            hint: problem.hint,
            at: problem.at,
            ...(problem.why === undefined ? {} : { why: problem.why }),
          },
        }),
  };
}
