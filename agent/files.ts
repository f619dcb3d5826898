import { fs } from './builtins.ts';

/** The text of a file; undefined when there is none. */
export function readText(path: string): string | undefined {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** The JSON of a file; undefined when there is none or it is not JSON, as after a disk that lied. */
export function readJson<T>(path: string): T | undefined {
  const text = readText(path);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/**
 * Replaces a file in one step, with this mode whatever the umask: that of the agent lets nobody else read.
 * What is not `durable` may be the old one after a power cut.
 */
export function replaceFile(
  path: string,
  content: string,
  options: { readonly mode: number; readonly durable: boolean },
): void {
  const beside = `${path}.${process.pid}.new`;
  const file = fs.openSync(beside, 'w', options.mode);
  try {
    fs.fchmodSync(file, options.mode);
    const bytes = Buffer.from(content);
    // One write may take a part only, as on a disk that is all but full: the next one says why.
    for (let written = 0; written < bytes.length; ) {
      written += fs.writeSync(file, bytes, written);
    }
    if (options.durable) fs.fsyncSync(file);
  } finally {
    fs.closeSync(file);
  }
  fs.renameSync(beside, path);
  if (options.durable) syncFolder(path.slice(0, path.lastIndexOf('/')));
}

function syncFolder(path: string): void {
  const folder = fs.openSync(path, 'r');
  try {
    fs.fsyncSync(folder);
  } finally {
    fs.closeSync(folder);
  }
}

export function removeFile(path: string): void {
  fs.rmSync(path, { force: true });
}

/** The last bytes of a file as text; empty when there is none. */
export function readTail(path: string, bytes: number): string {
  let file: number;
  try {
    file = fs.openSync(path, 'r');
  } catch (error) {
    if (isMissing(error)) return '';
    throw error;
  }
  try {
    const { size } = fs.fstatSync(file);
    const buffer = Buffer.alloc(Math.min(size, bytes));
    const length = fs.readSync(file, buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString('utf8', 0, length);
  } finally {
    fs.closeSync(file);
  }
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
