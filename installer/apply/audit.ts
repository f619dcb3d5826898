import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Host } from '../host/host.ts';
import type { AgentSettings } from '../model/agent-settings.ts';
import type { Paths } from '../model/paths.ts';
import { readText } from './read-text.ts';

const EntrySchema = z.object({
  version: z.literal(1),
  /** `user@machine`. */
  who: z.string(),
  /** Start, UTC. */
  when: z.string(),
  command: z.string(),
  /** sha256 of the config file's bytes. */
  configDigest: z.string(),
  /** Ids of the operations that were carried out, in order. */
  operations: z.array(z.string()),
  planned: z.int(),
  result: z.enum(['done', 'failed', 'interrupted']),
  /** Code and sentence of the failure. */
  error: z.string().optional(),
  seconds: z.number(),
  /** sha256 of the line before, hex; empty for the first. A changed or removed line breaks the chain. */
  previous: z.string(),
});

export type AuditEntry = z.infer<typeof EntrySchema>;

/** Longer than any line: some thousand operation ids. */
const TAIL_BYTES = 1024 * 1024;

/**
 * Appends one line and waits until it is on the disk; none where the config in force asks for none.
 * @param wasKept whether the one that was in force before asked for it: whoever switches the log off is its last line
 */
export async function appendAudit(
  host: Host,
  paths: Paths,
  entry: Omit<AuditEntry, 'version' | 'previous'>,
  wasKept = false,
): Promise<void> {
  if (!wasKept && (await settingOf(host, paths)) === 'off') return;
  const path = paths.audit;
  if ((await host.stat(path)) === undefined) {
    await host.write(path, '', { mode: 0o600, uid: 0, gid: 0 });
  }
  const { stdout: tail } = await host.run({
    argv: ['tail', '--bytes', String(TAIL_BYTES), path],
  });
  const last = tail.split('\n').findLast((line) => line !== '');
  const previous = last === undefined ? '' : sha256(last);
  const line = JSON.stringify({ version: 1, ...entry, previous });
  // A line that a kill cut off stays as it is; the chain goes over it.
  const separator = tail === '' || tail.endsWith('\n') ? '' : '\n';
  await host.run({
    argv: ['dd', `of=${path}`, 'oflag=append', 'conv=notrunc,fsync', 'status=none'],
    stdin: `${separator}${line}\n`,
  });
}

/** Whether the config in force asks for lines; not before the first apply, when there is none. */
export async function isAuditKept(host: Host, paths: Paths): Promise<boolean> {
  return (await settingOf(host, paths)) === 'on';
}

async function settingOf(host: Host, paths: Paths): Promise<'on' | 'off' | 'none'> {
  const text = await readText(host, `${paths.stack}/agent/agent.json`);
  if (text === undefined) return 'none';
  try {
    const settings = JSON.parse(text) as Partial<AgentSettings>;
    return settings.auditLog === false ? 'off' : 'on';
  } catch {
    // What is no longer ours to read asks for nothing.
    return 'on';
  }
}

export interface AuditReading {
  readonly entries: readonly AuditEntry[];
  /** What does not fit: line number (from 1) and why. */
  readonly breaks: readonly { readonly line: number; readonly reason: string }[];
}

/** Reads an audit log and checks its chain. */
export function readAudit(text: string): AuditReading {
  const entries: AuditEntry[] = [];
  const breaks: { line: number; reason: string }[] = [];
  let previous = '';
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '') continue;
    const entry = parseEntry(line);
    if (entry === undefined) {
      breaks.push({ line: index + 1, reason: 'cut off by a power failure or a kill' });
    } else {
      if (entry.previous !== previous) {
        breaks.push({ line: index + 1, reason: 'a line before it was changed or removed' });
      }
      entries.push(entry);
    }
    previous = sha256(line);
  }
  return { entries, breaks };
}

function parseEntry(line: string): AuditEntry | undefined {
  try {
    return EntrySchema.parse(JSON.parse(line));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) return undefined;
    throw error;
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
