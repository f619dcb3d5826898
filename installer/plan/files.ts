import { createHash } from 'node:crypto';
import { createTwoFilesPatch } from 'diff';
import type { DesiredFile } from '../model/desired.ts';
import type { Drift, Operation } from '../model/operation.ts';
import type { Observed, ObservedFile } from './observed.ts';

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

export interface FileChanges {
  readonly writes: readonly Operation[];
  readonly removals: readonly Operation[];
  readonly drift: readonly Drift[];
  /** Desired files that the plan writes. */
  readonly changed: readonly DesiredFile[];
}

/**
 * Compares files by sha256, mode and owner. A file that is neither what we wrote last nor what we were
 * about to write is somebody else's: it is left alone unless `overwriteDrift`.
 */
export function fileChanges(
  desired: ReadonlyMap<string, DesiredFile>,
  observed: Observed,
  overwriteDrift: boolean,
): FileChanges {
  const writes: Operation[] = [];
  const removals: Operation[] = [];
  const drift: Drift[] = [];
  const changed: DesiredFile[] = [];

  for (const file of [...desired.values()].sort(byPath)) {
    const present = observed.files.get(file.path);
    const cause = writeCause(file, present);
    if (cause === undefined) continue;
    if (present !== undefined && cause === 'content' && !isOurs(file.path, present, observed)) {
      const known = observed.manifest.files[file.path] !== undefined;
      drift.push({
        subject: file.path,
        text: known
          ? 'was changed by someone else since holdfast wrote it'
          : 'stands where holdfast wants to write and is not ours',
        blocks: !overwriteDrift,
      });
      if (!overwriteDrift) continue;
    }
    changed.push(file);
    writes.push({
      kind: 'write-file',
      id: `write-file:${file.path}`,
      path: file.path,
      cause:
        present === undefined ? 'new' : cause === 'content' ? 'changed' : 'mode or owner differ',
      impact: 'none',
      secret: file.secret,
      diff: file.secret ? '' : unifiedDiff(file.path, present?.content, file.content),
    });
  }

  for (const path of Object.keys(observed.manifest.files).sort()) {
    if (desired.has(path)) continue;
    const present = observed.files.get(path);
    if (present !== undefined && !isOurs(path, present, observed) && !overwriteDrift) {
      drift.push({
        subject: path,
        text: 'is no longer needed but was changed by someone else: left in place',
        blocks: false,
      });
      continue;
    }
    removals.push({
      kind: 'remove-file',
      id: `remove-file:${path}`,
      path,
      cause: present === undefined ? 'already gone' : 'no longer in the config',
      impact: 'none',
      secret: present?.content === undefined,
      diff: present?.content === undefined ? '' : unifiedDiff(path, present.content, undefined),
    });
  }
  return { writes, removals, drift, changed };
}

function writeCause(
  file: DesiredFile,
  present: ObservedFile | undefined,
): 'content' | 'attributes' | undefined {
  if (present === undefined || present.sha256 !== sha256(file.content)) return 'content';
  const sameAttributes =
    present.mode === file.mode && present.uid === file.uid && present.gid === file.gid;
  return sameAttributes ? undefined : 'attributes';
}

function isOurs(path: string, present: ObservedFile, observed: Observed): boolean {
  const { files, intents } = observed.manifest;
  return present.sha256 === files[path] || present.sha256 === intents[path];
}

function unifiedDiff(path: string, before: string | undefined, after: string | undefined): string {
  const patch = createTwoFilesPatch(
    before === undefined ? '/dev/null' : path,
    after === undefined ? '/dev/null' : path,
    before ?? '',
    after ?? '',
    '',
    '',
    { context: 3 },
  );
  return patch.slice(patch.indexOf('---')).replace(/[\t ]+$/gm, '');
}

function byPath(a: DesiredFile, b: DesiredFile): number {
  return a.path < b.path ? -1 : 1;
}
