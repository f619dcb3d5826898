/** A step into the config: a key, or an index of a list. */
export type PathStep = string | number;

/** What a cross-key rule has to say. `config/load.ts` adds the line and the column. */
export interface Finding {
  readonly path: readonly PathStep[];
  /** Whether the key or its value is at fault. The value, unless said. */
  readonly at?: 'key' | 'value';
  /** Stable identifier without its class, such as `duplicate-route`. */
  readonly code: string;
  readonly message: string;
  readonly severity: 'error' | 'warning';
}

export function error(code: string, path: readonly PathStep[], message: string): Finding {
  return { code, path, message, severity: 'error' };
}

export function warning(code: string, path: readonly PathStep[], message: string): Finding {
  return { code, path, message, severity: 'warning' };
}
