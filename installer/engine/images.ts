import type { Command } from '../host/host.ts';

/** Gives an image that is present a further name. */
export function tagImage(source: string, reference: string): Command {
  return { argv: ['docker', 'image', 'tag', source, reference] };
}

/** Removes a name, and the image when it was its last one. Fails while a container uses it. */
export function removeImage(reference: string): Command {
  return { argv: ['docker', 'image', 'rm', reference] };
}
