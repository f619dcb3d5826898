import { AppError } from '../../errors.ts';
import { formatBytes } from '../../model/format-bytes.ts';
import { LABELS } from '../../model/labels.ts';
import type { BackupContext } from '../context.ts';
import type { DrillStack } from './drill-stack.ts';

/** A fresh copy takes what one replica takes now, and some more while it starts. */
const MARGIN = 1.25;

/** A second product beside the first: refused where it would push that out. @throws AppError `preflight/memory` */
export async function requireMemory(
  { host, engine, settings }: BackupContext,
  { services }: DrillStack,
): Promise<void> {
  const containers = await engine.containers({ [LABELS.project]: settings.project });
  let needed = 0;
  for (const { name } of services) {
    const one = containers.find(
      ({ status, service, labels }) =>
        status === 'running' && (labels[LABELS.service] ?? service) === name,
    );
    if (one !== undefined) needed += (await engine.stats(one.id)).memoryBytes * MARGIN;
  }
  const meminfo = Buffer.from((await host.read('/proc/meminfo')) ?? []).toString('utf8');
  const available = Number(/^MemAvailable:\s+(\d+) kB$/m.exec(meminfo)?.[1] ?? 0) * 1024;
  if (needed <= available) return;
  throw new AppError({
    code: 'preflight/memory',
    what: 'there is not enough free memory for a drill beside the product',
    why: `it takes about ${formatBytes(needed)}, and ${formatBytes(available)} are free`,
    hint: 'drill on another server: `holdfast restore --from … --identity …` on a blank one',
  });
}
