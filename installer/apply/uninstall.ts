import { posix } from 'node:path';
import { LABELS } from '../model/labels.ts';
import { appendAudit } from './audit.ts';
import type { ApplyContext } from './context.ts';
import { withLock } from './lock.ts';
import { isUnreadable, readManifest } from './manifest.ts';
import type { ThisProcess } from './process-identity.ts';
import { recordProject } from './project-record.ts';
import { removeEverything } from './remove-everything.ts';

export interface UninstallRequest {
  readonly process: ThisProcess;
  readonly waitSeconds: number;
  /** Volumes, backups, secrets and config go too. */
  readonly purge: boolean;
  /** The platform's images, which another project on the same engine may share, go too. */
  readonly images: boolean;
  /** Shows what goes and asks. */
  readonly confirm: (plan: UninstallPlan) => Promise<boolean>;
}

/** What is ours on a server: by label, or by the manifest. Nothing else is touched. */
export interface UninstallPlan {
  readonly purge: boolean;
  readonly images: boolean;
  readonly containers: readonly { readonly id: string; readonly name: string }[];
  readonly networks: readonly string[];
  /** All of the project; they go only when `purge`. */
  readonly volumes: readonly string[];
  /** Files of the manifest that stand outside of the state folder, such as systemd units. */
  readonly outsideFiles: readonly string[];
  /** Files and folders of the standard layout that go. */
  readonly paths: readonly string[];
  readonly kept: readonly string[];
}

export async function planUninstall(
  context: ApplyContext,
  { purge, images }: Pick<UninstallRequest, 'purge' | 'images'>,
): Promise<UninstallPlan> {
  const { host, engine, paths, project } = context;
  const ours = { [LABELS.project]: project };
  const [containers, networks, volumes, recorded] = await Promise.all([
    engine.containers(ours),
    engine.networks(ours),
    engine.volumes(ours),
    recordedFiles(context),
  ]);
  const data = [paths.secrets, paths.tls, paths.backups, paths.lock, paths.audit, paths.config];
  const rendered = [
    paths.stack,
    paths.secretMounts,
    paths.staging,
    paths.metrics,
    paths.edge,
    paths.sites,
    `${paths.state}/previous.json`,
    `${paths.state}/firewall`,
    `${paths.state}/applied`,
    // Addresses of visitors among them.
    `${paths.state}/logs`,
    paths.manifest,
  ];
  // The program last: it is what runs. The config before it: with the state gone it alone tells the project.
  const everything = [paths.state, posix.dirname(paths.agentSocket), paths.config, paths.program];
  const existing = async (candidates: readonly string[]): Promise<string[]> => {
    const found = await Promise.all(candidates.map((path) => host.stat(path)));
    return candidates.filter((_, index) => found[index] !== undefined);
  };
  const volumeNames = volumes.map(({ name }) => name);
  return {
    purge,
    images,
    containers: containers.map(({ id, name }) => ({ id, name })),
    networks: networks.map(({ name }) => name),
    volumes: volumeNames,
    outsideFiles: recorded.filter((path) => !path.startsWith(`${paths.state}/`)),
    paths: await existing(purge ? everything : rendered),
    kept: purge ? [] : [...(await existing(data)), ...volumeNames.map((name) => `volume ${name}`)],
  };
}

/** @returns what was removed, or undefined when the answer was no */
export async function uninstall(
  context: ApplyContext,
  request: UninstallRequest,
): Promise<UninstallPlan | undefined> {
  const { host, clock, paths } = context;
  const command = request.purge ? 'holdfast uninstall --purge' : 'holdfast uninstall';
  return withLock(host, paths, { ...request, command, clock }, async (lock) => {
    const plan = await planUninstall(context, request);
    if (!(await request.confirm(plan))) return undefined;
    const begin = clock.now();
    await lock.assertHeld();
    await recordProject(host, paths, context.project);
    await removeEverything(context, plan);
    if (!request.purge) {
      await appendAudit(host, paths, {
        who: request.process.who,
        when: begin.toISOString(),
        command,
        configDigest: '',
        operations: plan.containers.map(({ name }) => `remove-containers:${name}`),
        planned: plan.containers.length,
        result: 'done',
        seconds: (clock.now().getTime() - begin.getTime()) / 1000,
      });
    }
    return plan;
  });
}

async function recordedFiles({ host, paths, report }: ApplyContext): Promise<string[]> {
  try {
    return Object.keys((await readManifest(host, paths.manifest)).files).sort();
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    report({
      kind: 'warning',
      code: 'drift/manifest-unreadable',
      text: `${paths.manifest} cannot be read: files outside of ${paths.state}, such as systemd units, stay`,
    });
    return [];
  }
}
