import { AppError } from '../../errors.ts';
import type { Report } from '../../model/events.ts';
import { backupIdTime } from '../backup-id.ts';
import { MANIFEST_NAME, VERIFIED_NAME } from '../keys.ts';
import type { Store } from '../store/store.ts';

/** A recovery kit in a store, found without knowing the config that made it. */
export interface StoredKit {
  readonly id: string;
  readonly job: string;
  readonly project: string;
  /** What `backups.prefix` was, or what the objects were copied to since. */
  readonly prefix: string;
  /** Ends with a slash. */
  readonly folder: string;
}

const KEY = /^(?:(.*)\/)?([^/]+)\/([^/]+)\/([^/]+)\/([^/]+)$/;
const KIT_OBJECT = /^appliance\.tar\.zst(?:\.age)?$/;

interface Found {
  readonly kit: StoredKit;
  readonly names: Set<string>;
}

/**
 * The recovery kits of one project below a prefix, newest first; those that were read back, where there are any.
 * @throws AppError `restore/no-kit`, `restore/several-projects`
 */
export async function findKits(
  store: Store,
  prefix: string,
  project: string | undefined,
  report: Report,
): Promise<StoredKit[]> {
  const folders = new Map<string, Found>();
  for await (const { key } of store.list(prefix)) {
    const [, before = '', keyProject = '', job = '', id = '', name = ''] = KEY.exec(key) ?? [];
    const isOfInterest = isKitObject(name) || name === MANIFEST_NAME || name === VERIFIED_NAME;
    if (!isOfInterest || backupIdTime(id) === undefined) continue;
    const folder = key.slice(0, key.length - name.length);
    const kit = { id, job, project: keyProject, prefix: before, folder };
    const found = folders.get(folder) ?? { kit, names: new Set<string>() };
    folders.set(folder, found);
    found.names.add(name);
  }
  const complete = [...folders.values()]
    .filter(({ names }) => names.has(MANIFEST_NAME) && [...names].some(isKitObject))
    .filter(({ kit }) => project === undefined || kit.project === project)
    .sort((a, b) => (a.kit.id < b.kit.id ? 1 : -1));
  const kits = complete.map(({ kit }) => kit);
  if (kits.length === 0) throw noKit(store, prefix, project);
  if (new Set(kits.map(projectPath)).size > 1) throw severalProjects(store, kits);
  const verified = complete.filter(({ names }) => names.has(VERIFIED_NAME));
  if (verified.length > 0) return verified.map(({ kit }) => kit);
  report({
    kind: 'warning',
    code: 'restore/kit-unverified',
    text: 'no recovery kit there was ever read back; the newest one is tried all the same',
  });
  return kits;
}

function isKitObject(name: string): boolean {
  return KIT_OBJECT.test(name);
}

function projectPath({ prefix, project }: StoredKit): string {
  return `${prefix}/${project}`;
}

function noKit(store: Store, prefix: string, project: string | undefined): AppError {
  const whose = project === undefined ? '' : ` of ${project}`;
  return new AppError({
    code: 'restore/no-kit',
    what: `there is no recovery kit${whose} in ${store.description}${prefix === '' ? '' : ` below ${prefix}`}`,
    why: 'a job with `source: appliance` makes one',
    hint: 'name the bucket and backups.prefix of the old server; without a kit: `holdfast apply` with your config, then `holdfast restore --identity FILE`',
  });
}

function severalProjects(store: Store, kits: readonly StoredKit[]): AppError {
  const names = [...new Set(kits.map(({ project }) => project))];
  return new AppError({
    code: 'restore/several-projects',
    what: `${store.description} holds recovery kits of several projects`,
    why: [...new Set(kits.map(projectPath))].join('\n'),
    hint: `say which: --project ${names[0]}, or a longer prefix`,
    details: { projects: names },
  });
}
