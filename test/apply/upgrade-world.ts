import type { ApplyOutcome, ApplyRequest } from '../../installer/apply/apply.ts';
import type { ClusterMaker } from '../../installer/apply/context.ts';
import { lockOfBefore, readUpgrade, saveUpgrade } from '../../installer/apply/upgrade/journal.ts';
import { AppError } from '../../installer/errors.ts';
import type { Desired } from '../../installer/model/desired.ts';
import { LABELS } from '../../installer/model/labels.ts';
import type { LockedImage } from '../../installer/model/lock-file.ts';
import type { Rehearsal } from '../../installer/model/postgres-upgrade.ts';
import type { Observed } from '../../installer/plan/observed.ts';
import { type PlatformOptions, platform } from './platform.ts';
import { PATHS, World } from './world.ts';

const ENGINE_NAME = 'demo_';

function imageOf(major: string): LockedImage {
  return { reference: `holdfast/postgres:${major}`, version: major, source: 'debian', wish: major };
}

/** A server in memory whose database holds rows, and clients that write whenever it lets them. */
export class UpgradeWorld {
  readonly world = new World();
  /** Rows by volume, for those that hold a whole cluster. */
  readonly rows = new Map<string, string[]>();
  readonly acknowledged: string[] = [];
  /** Problems that a rehearsal finds, and a copy. */
  problems: string[] = [];
  copyFails = false;
  /** Whether a killed rehearsal left its volumes. */
  rehearsalLeft = false;
  /** Whether the rows of the new cluster can be counted. */
  counts = true;

  constructor() {
    const { host, engine } = this.world;
    host.on(['cluster', 'backup'], () => ({}));
    host.on(['cluster', 'rehearse'], () => ({}));
    host.on(['cluster', 'end'], () => ({}));
    host.on(['cluster', 'count'], () => ({}));
    host.on(['cluster', 'make'], ({ rest: [volume = ''] }) => {
      if (engine.volumeLabels.has(volume)) throw new Error(`${volume} is there already`);
      engine.volumeLabels.set(volume, { [LABELS.project]: 'demo' });
      return {};
    });
    host.on(['cluster', 'fill'], ({ rest: [from = '', to = ''] }) => {
      if (this.server() !== undefined) throw new Error('somebody writes to what is copied');
      this.rows.set(to, [...(this.rows.get(from) ?? [])]);
      return {};
    });
  }

  /** The volume of the server that answers; undefined where none does. */
  server(): string | undefined {
    const running = this.world.engine
      .all()
      .find(({ service, status }) => service === 'postgres' && status === 'running');
    if (running === undefined) return undefined;
    return `${ENGINE_NAME}${running.imageReference.endsWith(':15') ? 'postgres' : 'postgres-17'}`;
  }

  /** A client that writes if it can. */
  write(row: string): void {
    const volume = this.server();
    if (volume === undefined) return;
    this.rows.set(volume, [...(this.rows.get(volume) ?? []), row]);
    this.acknowledged.push(row);
  }

  /** An apply of a config that asks for this major version. */
  apply(
    major: string,
    options: PlatformOptions = {},
    more: Partial<ApplyRequest> = {},
  ): Promise<ApplyOutcome> {
    this.giveClusters();
    return this.world.apply((observed) => this.render(major, options, observed), more);
  }

  /** What the command line gives the context. */
  giveClusters(): void {
    (this.world.context as { clusters?: ClusterMaker }).clusters = this.#clusters();
  }

  /** Refuses, as the real one does for the disk, while something of a killed rehearsal is there. */
  render(major: string, options: PlatformOptions, observed: Observed): Desired {
    if (this.rehearsalLeft) throw new Error('no disk beside what a rehearsal left');
    return wants(major, options, observed);
  }

  /** What `holdfast postgres revert` does. */
  async revert(): Promise<ApplyOutcome> {
    const { world } = this;
    const { host } = world;
    this.giveClusters();
    const journal = await readUpgrade(host, PATHS);
    if (journal === undefined) throw new Error('nothing to revert');
    const reverting = { ...journal, phase: 'reverting' } as const;
    return world.apply(
      (observed) =>
        wants('15', {}, { ...observed, lock: lockOfBefore(observed, 'demo', reverting) }),
      { keepRendered: () => saveUpgrade(host, PATHS, reverting) },
    );
  }

  phase(): string | undefined {
    const text = this.world.text(`${PATHS.state}/postgres-upgrade.json`);
    return text === undefined ? undefined : (JSON.parse(text) as { phase: string }).phase;
  }

  #clusters(): ClusterMaker {
    const { host } = this.world;
    const run = (...argv: string[]) => host.run({ argv: ['cluster', ...argv] });
    return {
      backUp: async () => void (await run('backup')),
      rehearse: async ({ from, to }) => {
        await run('rehearse');
        const { problems } = this;
        return { from: from.major, to: to.major, problems } as Partial<Rehearsal> as Rehearsal;
      },
      copy: async ({ from, to }) => {
        await run('make', `${ENGINE_NAME}${to.volume}`);
        await run('fill', `${ENGINE_NAME}${from.volume}`, `${ENGINE_NAME}${to.volume}`);
        if (this.copyFails) {
          throw new AppError({
            code: 'restore/upgrade-differs',
            what: 'rows differ',
            hint: 'none',
          });
        }
        return { rowsWritten: this.rows.get(`${ENGINE_NAME}${to.volume}`)?.length ?? 0 };
      },
      clear: async () => {
        this.rehearsalLeft = false;
      },
      end: async () => void (await run('end')),
      writtenSince: async ({ to, rowsWritten = 0 }) => {
        await run('count');
        if (this.server() !== undefined) throw new Error('somebody writes to what is counted');
        if (!this.counts) return undefined;
        return (this.rows.get(`${ENGINE_NAME}${to.volume}`)?.length ?? 0) - rowsWritten;
      },
    };
  }
}

function wants(major: string, options: PlatformOptions, observed: Observed): Desired {
  const { lock } = observed;
  const before = lock.images.postgres;
  const image = before?.version === major ? before : imageOf(major);
  const volume = lock.postgresVolume ?? 'postgres';
  const isUpgrade = before !== undefined && before.version !== major;
  const to = { major, volume: isUpgrade ? `postgres-${major}` : volume, image };
  const desired = platform({ ...options, postgres: { image, volume: to.volume } })(observed);
  if (before === undefined || !isUpgrade) return desired;
  const from = { major: before.version, volume, image: before };
  return { ...desired, postgresUpgrade: { from, to, bytes: 1, neededBytes: 2, freeBytes: 3 } };
}
