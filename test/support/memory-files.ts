import { posix } from 'node:path';
import type { FileAttributes, FileStat } from '../../installer/host/host.ts';

type Node =
  | ({ readonly type: 'directory' } & FileAttributes)
  | ({ readonly type: 'file'; readonly content: Buffer } & FileAttributes);

/** A POSIX file tree in memory. Errors carry the `code` that the system would give. */
export class MemoryFiles {
  readonly #nodes = new Map<string, Node>([
    ['/', { type: 'directory', mode: 0o755, uid: 0, gid: 0 }],
  ]);

  /** Paths of all files, sorted. */
  paths(): string[] {
    return [...this.#nodes].flatMap(([path, node]) => (node.type === 'file' ? [path] : [])).sort();
  }

  /** Everything, for comparing two servers: mode, owner and content by path. */
  snapshot(): Record<string, string> {
    return Object.fromEntries(
      [...this.#nodes]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([path, node]) => [
          path,
          `${node.type} ${node.mode.toString(8)} ${node.uid}:${node.gid} ${node.type === 'file' ? node.content : ''}`,
        ]),
    );
  }

  totalBytes(): number {
    let total = 0;
    for (const node of this.#nodes.values())
      total += node.type === 'file' ? node.content.length : 0;
    return total;
  }

  text(path: string): string | undefined {
    return this.read(path)?.toString('utf8');
  }

  read(path: string): Buffer | undefined {
    const node = this.#nodes.get(posix.normalize(path));
    if (node?.type === 'directory') throw systemError('EISDIR', path);
    return node && Buffer.from(node.content);
  }

  write(path: string, content: Buffer, { mode, uid, gid }: FileAttributes): void {
    const target = posix.normalize(path);
    this.#ensureFolder(posix.dirname(target));
    if (this.#nodes.get(target)?.type === 'directory') throw systemError('EISDIR', path);
    this.#nodes.set(target, { type: 'file', content: Buffer.from(content), mode, uid, gid });
  }

  stat(path: string): FileStat | undefined {
    const node = this.#nodes.get(posix.normalize(path));
    if (node === undefined) return undefined;
    const { type, mode, uid, gid } = node;
    return { type, mode, uid, gid, size: node.type === 'file' ? node.content.length : 4096 };
  }

  makeDirectory(path: string, { mode, uid, gid }: FileAttributes): void {
    const target = posix.normalize(path);
    this.#ensureFolder(target);
    this.#nodes.set(target, { type: 'directory', mode, uid, gid });
  }

  remove(path: string, recursive: boolean): void {
    const target = posix.normalize(path);
    if (!recursive && this.#nodes.get(target)?.type === 'directory') {
      throw systemError('EISDIR', path);
    }
    for (const one of [...this.#nodes.keys()]) {
      if (one === target || one.startsWith(`${target}/`)) this.#nodes.delete(one);
    }
  }

  list(path: string): string[] {
    const folder = posix.normalize(path);
    return [...this.#nodes.keys()]
      .filter((one) => one !== '/' && posix.dirname(one) === folder)
      .map((one) => posix.basename(one))
      .sort();
  }

  #ensureFolder(path: string): void {
    const node = this.#nodes.get(path);
    if (node?.type === 'file') throw systemError('ENOTDIR', path);
    if (node !== undefined) return;
    this.#ensureFolder(posix.dirname(path));
    this.#nodes.set(path, { type: 'directory', mode: 0o755, uid: 0, gid: 0 });
  }
}

function systemError(code: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
