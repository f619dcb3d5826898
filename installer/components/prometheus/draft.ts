import type { AlertRule } from '../../model/contribution.ts';

/** An alert before its component and its usual five minutes are filled in. */
export type Draft = Omit<AlertRule, 'component' | 'for'> & { readonly for?: string };
