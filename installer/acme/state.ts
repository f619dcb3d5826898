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

const RecordsSchema = z.record(
  z.string(),
  z.object({
    failures: z.int(),
    attempts: z.array(z.number()),
    issued: z.array(z.number()),
    retryAt: z.number().optional(),
    advice: AdviceSchema.optional(),
    problem: ProblemSchema.optional(),
  }),
);

const StateSchema = z.union([
  z.object({ version: z.literal(2), authorities: z.record(z.string(), RecordsSchema) }),
  /** Before it was known of which authority it told: taken as of the one that is asked now. */
  z.object({ version: z.literal(1), certificates: RecordsSchema }),
]);

type Records = Map<string, AttemptRecord>;

/**
 * What is remembered of attempts at an authority, by certificate; survives kills and restarts, so that limits hold.
 * What another authority said holds there alone, and does so again when that one is asked once more.
 */
export class AcmeState {
  readonly #host: Host;
  readonly #path: string;
  readonly #authorities: ReadonlyMap<string, Records>;
  readonly #records: Records;

  private constructor(
    host: Host,
    path: string,
    directory: string,
    authorities: ReadonlyMap<string, Records>,
  ) {
    this.#host = host;
    this.#path = path;
    this.#records = authorities.get(directory) ?? new Map();
    this.#authorities = new Map([...authorities, [directory, this.#records]]);
  }

  /** @param directory URL of the authority that is asked */
  static async read(host: Host, paths: Paths, directory: string, now: number): Promise<AcmeState> {
    const path = posix.join(acmeFolder(paths), 'state.json');
    const bytes = await host.read(path);
    const stored = bytes === undefined ? {} : authoritiesIn(bytes, directory);
    const authorities = Object.entries(stored).map(([each, written]) => {
      const records = Object.entries(written)
        .map(([name, record]) => [name, atTime(withoutUndefined(record), now)] as const)
        .filter(([, record]) => each === directory || bindsAt(record, now));
      return [each, new Map(records)] as const;
    });
    return new AcmeState(host, path, directory, new Map(authorities));
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
    let hasForgotten = false;
    for (const records of this.#authorities.values()) {
      for (const name of [...records.keys()].filter((each) => !names.has(each))) {
        hasForgotten = records.delete(name);
      }
    }
    if (hasForgotten) await this.#write();
  }

  async #write(): Promise<void> {
    const authorities = [...this.#authorities]
      .filter(([, records]) => records.size > 0)
      .map(([directory, records]) => [directory, Object.fromEntries(records)] as const);
    const state = { version: 2, authorities: Object.fromEntries(authorities) };
    await this.#host.makeDirectory(posix.dirname(this.#path), { mode: 0o700, uid: 0, gid: 0 });
    await this.#host.write(this.#path, `${JSON.stringify(state)}\n`, {
      mode: 0o600,
      uid: 0,
      gid: 0,
    });
  }
}

function authoritiesIn(
  bytes: Uint8Array,
  directory: string,
): Readonly<Record<string, z.output<typeof RecordsSchema>>> {
  const state = StateSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  return state.version === 2 ? state.authorities : { [directory]: state.certificates };
}

/** Whether a limit of its authority may still count by it. */
function bindsAt({ attempts, issued, retryAt = 0 }: AttemptRecord, now: number): boolean {
  return attempts.length > 0 || issued.length > 0 || retryAt > now;
}

type Stored = z.output<typeof RecordsSchema>[string];

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
