import type { FileSpec, Reaction } from '../../model/contribution.ts';
import type { ComponentInput } from '../component.ts';
import { edgeFolders, NGINX_UID } from './places.ts';

/** Lua comes with every start of a worker, so a reload is enough for it and for what it reads. */
interface Owner {
  readonly component: string;
  readonly onChange: readonly Reaction[];
}

/** @param names below `nginx/lua/`, in the sources and on the server */
export function luaFiles(names: readonly string[], { component, onChange }: Owner): FileSpec[] {
  return names.map((name) => ({
    path: `nginx/lua/${name}`,
    component,
    content: { template: `nginx/lua/${name}`, data: {}, format: 'plain' },
    onChange,
  }));
}

/** A file of secrets that nobody but nginx may read. */
export function luaSecretsFile(
  { paths }: ComponentInput,
  name: string,
  text: string,
  { component, onChange }: Owner,
): FileSpec {
  return {
    path: `${edgeFolders(paths).certificates}/${name}`,
    component,
    content: { text },
    secret: true,
    mode: 0o400,
    uid: NGINX_UID,
    gid: NGINX_UID,
    onChange,
  };
}
