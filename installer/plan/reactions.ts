import type { Reaction } from '../model/contribution.ts';

/** The same reaction has the same key; keys stand in `manifest.pending`. */
export function reactionKey(reaction: Reaction): string {
  switch (reaction.kind) {
    case 'reload':
    case 'restart':
      return `${reaction.kind}:${reaction.service}`;
    case 'provision':
    case 'host':
      return `${reaction.kind}:${reaction.id}`;
  }
}

/** The pending keys that are settled once containers of this service were created or started anew. */
export function settledByStart(service: string): readonly string[] {
  return [`reload:${service}`, `restart:${service}`];
}
