import { z } from 'zod';
import type { Host } from '../host/host.ts';
import type { Paths } from '../model/paths.ts';
import { readText } from './read-text.ts';

const ProjectRecord = z.looseObject({ project: z.string().min(1) });

/** Lets a command after an uninstall, finished or killed, find what is labelled with the project. */
export async function recordProject(host: Host, paths: Paths, project: string): Promise<void> {
  const record = { version: 1, project };
  const attributes = { mode: 0o600, uid: 0, gid: 0 };
  await host.write(paths.projectRecord, `${JSON.stringify(record)}\n`, attributes);
}

/** Undefined where no uninstall has begun, or the record is not ours any more. */
export async function recordedProject(host: Host, paths: Paths): Promise<string | undefined> {
  const text = await readText(host, paths.projectRecord);
  if (text === undefined) return undefined;
  try {
    return ProjectRecord.parse(JSON.parse(text)).project;
  } catch {
    return undefined;
  }
}
