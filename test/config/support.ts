import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../installer/components/sections.ts';
import { loadConfig } from '../../installer/config/load.ts';
import { formatProblem } from '../../installer/config/problem.ts';

/** A config that is wrong, and all that is said about it. */
export interface BadConfig {
  readonly name: string;
  /** Lines after {@link BASE}, so that the first one is line 4. */
  readonly yaml: readonly string[];
  readonly says: readonly string[];
}

/** The keys that every config needs: lines 1 to 3. */
export const BASE = 'version: 1\ndomain: app.example.com\ncontact: ops@example.com';

/** A service without fault: lines 4 and 5. */
export const WEB = 'services:\n  web: { image: ghcr.io/acme/web:1.4.2, port: 3000 }';

/** The messages for a config, as a user sees them. */
export function problemsOf(yaml: string | Uint8Array): readonly string[] {
  const loaded = loadConfig(yaml, 'config.yaml');
  return loaded.ok ? [] : loaded.problems.map(formatProblem);
}

export function warningsOf(yaml: string): readonly string[] {
  return loadConfig(yaml, 'config.yaml').warnings.map(formatProblem);
}

/** The resolved config of lines after {@link BASE}; throws the messages when it is not valid. */
export function configOf(...yaml: readonly string[]): Config {
  const loaded = loadConfig([BASE, ...yaml].join('\n'), 'config.yaml');
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  return loaded.config;
}

export const ROOT = join(import.meta.dirname, '../..');

export function fixture(name: string): string {
  return readFileSync(join(import.meta.dirname, 'fixtures', name), 'utf8');
}
