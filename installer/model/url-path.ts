/**
 * A path as nginx compares it with that of a request: what is percent-encoded counts as what it stands for, and a
 * lone % for itself. Undefined when it stands for no text.
 */
export function decodedPath(path: string): string | undefined {
  try {
    return path.replace(/(?:%[0-9a-f]{2})+/gi, decodeURIComponent);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}

/** Whether a path is the folder or something in it; both decoded, with or without a slash at the end. */
export function isBelow(path: string, folder: string): boolean {
  return `${withoutSlash(path)}/`.startsWith(`${withoutSlash(folder)}/`);
}

export function withoutSlash(path: string): string {
  return path.replace(/\/+$/, '');
}
