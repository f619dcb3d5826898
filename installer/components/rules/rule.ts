import type { Config, ConfigFile } from '../sections.ts';
import type { ServiceInput } from '../services/section.ts';
import type { Finding } from './finding.ts';

/** What a cross-key rule looks at. */
export interface RuleInput {
  /** The file after its types were checked. */
  readonly file: ConfigFile;
  /** Its services with their profiles merged in, no default filled in. */
  readonly merged: Readonly<Record<string, ServiceInput>>;
  /** The same, resolved. */
  readonly config: Config;
  /** Names as the file declares them, those of faulty entries included, so that nothing follows from a fault. */
  readonly declared: Declared;
}

export interface Declared {
  readonly profiles: readonly string[];
  readonly services: readonly string[];
  readonly sites: readonly string[];
  readonly accessories: readonly string[];
  readonly providers: readonly string[];
  readonly buckets: readonly string[];
  readonly rateLimits: readonly string[];
  readonly jobs: readonly string[];
  readonly nodes: readonly string[];
  readonly volumes: readonly string[];
  /** Also by the `uses` of a service. */
  readonly postgres: boolean;
  readonly redis: boolean;
}

/** A rule that spans keys. */
export type Rule = (input: RuleInput) => Iterable<Finding>;
