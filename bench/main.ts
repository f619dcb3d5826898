import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { benchAppliance } from './appliance.ts';
import { benchBackup } from './backup.ts';
import { benchBase } from './base.ts';
import { benchEdge } from './edge.ts';
import type { Figure } from './figure.ts';
import { benchFresh } from './fresh.ts';
import { benchIdlePitr } from './idle-pitr.ts';
import { benchPitr } from './pitr.ts';
import { benchProxies } from './proxies.ts';
import { benchRender } from './render.ts';
import { benchRt } from './rt.ts';

/**
 * `npm run bench [fresh|render|appliance|backup|base|pitr|idle-pitr|proxies|edge|rt …]`: figures with the machine they were measured on. Each has the
 * goal of its issue beside it; nothing here fails a build, since the machine may be busy with other things.
 */
const benches: Readonly<Record<string, () => Promise<readonly Figure[]>>> = {
  fresh: benchFresh,
  render: benchRender,
  appliance: benchAppliance,
  backup: benchBackup,
  base: benchBase,
  pitr: benchPitr,
  'idle-pitr': benchIdlePitr,
  proxies: benchProxies,
  edge: benchEdge,
  rt: benchRt,
};

const wanted = process.argv.slice(2);
const debian = readFileSync('/etc/debian_version', 'utf8').trim();
console.log(
  `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), ${Math.round(totalmem() / 1024 ** 3)} GiB, Debian ${debian}, Linux ${release()}, Node ${process.version}, load ${readFileSync('/proc/loadavg', 'utf8').split(' ')[0]}`,
);
for (const [name, bench] of Object.entries(benches)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  console.log(`\n${name}`);
  for (const { what, value, goal } of await bench()) {
    console.log(
      `  ${what.padEnd(58)} ${value.padStart(14)}   ${goal === undefined ? '' : `goal ${goal}`}`,
    );
  }
}
