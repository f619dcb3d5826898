import type { FileSpec, Reaction } from '../../model/contribution.ts';
import { hasWaf } from '../http/waf.ts';
import type { Config } from '../sections.ts';
import type { HostBlock } from './hosts.ts';
import { luaFiles } from './lua-files.ts';

const MIB = 1024 ** 2;

/**
 * What is looked at of a body, bytes, and of its values. The core rules take about 2 ms for each value:
 * 24,000 of them in 1 MiB of JSON took 112 s, 1,000 take 2 s, on two busy cores.
 */
const INSPECTED_BYTES = 128 * 1024;
const INSPECTED_ARGUMENTS = 1000;

/** Between ModSecurity and `nginx/lua/refusal.lua`. */
const WAF_REFUSAL = 470;

/** Rules and their working memory, bytes: 27 MiB measured with 60 locations, 2 workers; twice while reloading. */
const RULES_MEMORY = 56 * MIB;
/** ModSecurity reads a body from its file at once: 250 MiB measured for 200 MiB. */
const MEMORY_PER_BODY_BYTE = 1.5;

/** What nginx needs beside its usual memory, bytes. */
export function wafMemory(config: Config, workers: number, blocks: readonly HostBlock[]): number {
  if (!hasWaf(config)) return 0;
  const bodies = blocks
    .flatMap(({ locations }) => locations.filter(({ inspected }) => inspected))
    .map(({ maxBody = config.http.clientMaxBodySize }) => maxBody);
  const largest = Math.max(0, ...bodies);
  return Math.ceil((RULES_MEMORY + workers * largest * MEMORY_PER_BODY_BYTE) / MIB) * MIB;
}

export function wafFiles(config: Config, onChange: readonly Reaction[]): FileSpec[] {
  if (!hasWaf(config)) return [];
  return [
    {
      path: 'nginx/waf.conf',
      component: 'nginx',
      content: {
        template: 'nginx/waf.conf.ejs',
        format: 'plain',
        data: {
          engine: config.http.waf.mode === 'block' ? 'On' : 'DetectionOnly',
          refusal: WAF_REFUSAL,
          inspectedBytes: INSPECTED_BYTES,
          inspectedArguments: INSPECTED_ARGUMENTS,
        },
      },
      onChange,
    },
    ...luaFiles(['refusal.lua'], { component: 'nginx', onChange }),
  ];
}
