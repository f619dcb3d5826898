import { apply } from '../../../installer/apply/apply.ts';
import { type ApplyContext, SYSTEM_CLOCK } from '../../../installer/apply/context.ts';
import { thisProcess } from '../../../installer/apply/process-identity.ts';
import { DockerEngine } from '../../../installer/engine/docker.ts';
import type { Engine } from '../../../installer/engine/engine.ts';
import { LocalHost } from '../../../installer/host/local.ts';
import type { ProgressEvent } from '../../../installer/model/events.ts';
import { LABELS } from '../../../installer/model/labels.ts';
import { pathsUnder } from '../../../installer/model/paths.ts';
import { SecretStore } from '../../../installer/secrets/store.ts';
import { type CrashPlatform, crashPlatform } from './apply-platform.ts';

/** Where the process kills itself with -9; `during` is as soon as a container of a compose-up is there. */
export interface KillPoint {
  readonly operation: string;
  readonly when: 'before' | 'during' | 'after';
}

export function applyContext(platform: CrashPlatform, engine: Engine): ApplyContext {
  const host = new LocalHost();
  const paths = pathsUnder(platform.root);
  const noImages = async (): Promise<never> => {
    throw new Error('the image is there already');
  };
  return {
    host,
    engine,
    paths,
    project: platform.project,
    secrets: new SecretStore(host, paths),
    releases: { fill: async () => undefined },
    images: { bake: noImages, pull: noImages, build: noImages },
    report: () => undefined,
    clock: SYSTEM_CLOCK,
  };
}

/** One run of the program; with a kill point it does not return. */
export async function applyOnce(platform: CrashPlatform, kill?: KillPoint) {
  const engine = new DockerEngine();
  try {
    const context = applyContext(platform, engine);
    const before = (await own(engine, platform)).map(({ id }) => id);
    const report = (event: ProgressEvent): void => {
      if (kill === undefined || !('id' in event) || event.id !== kill.operation) return;
      if (event.kind === 'start' && kill.when === 'before') die();
      if (event.kind === 'start' && kill.when === 'during')
        void dieOnceChanged(engine, platform, before);
      if (event.kind === 'end' && kill.when === 'after') die();
    };
    return await apply(
      { ...context, report },
      {
        process: await thisProcess('test'),
        command: 'holdfast apply',
        waitSeconds: 0,
        render: async (observed) => crashPlatform(platform, context.paths)(observed),
        confirm: async () => true,
        configDigest: async () => `${platform.edge} ${platform.app}`,
      },
    );
  } finally {
    await engine.close();
  }
}

async function own(engine: Engine, { project }: CrashPlatform) {
  return engine.containers({ [LABELS.project]: project });
}

async function dieOnceChanged(
  engine: Engine,
  platform: CrashPlatform,
  before: readonly string[],
): Promise<void> {
  for (;;) {
    const now = await own(engine, platform);
    if (now.some(({ id }) => !before.includes(id))) die();
  }
}

function die(): void {
  process.kill(process.pid, 'SIGKILL');
}

if (process.argv[2] === 'apply') {
  const [platform, kill] = JSON.parse(process.argv[3] ?? '') as [CrashPlatform, KillPoint];
  await applyOnce(platform, kill);
}
