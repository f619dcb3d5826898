/** An S3 service's answer that there is none of what was asked for: a bucket, or a setting of it. */
const ABSENT = new Set([
  'NoSuchBucket',
  'NotFound',
  'NoSuchLifecycleConfiguration',
  'ServerSideEncryptionConfigurationNotFoundError',
  'NoSuchPublicAccessBlockConfiguration',
]);

/** That the service has no such setting at all. */
const UNSUPPORTED = new Set(['NotImplemented', 'MethodNotAllowed']);

export function isAbsent(error: unknown): boolean {
  return ABSENT.has((error as Error).name);
}

export function isUnsupported(error: unknown): boolean {
  const { name, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
  return UNSUPPORTED.has(name) || $metadata?.httpStatusCode === 501;
}

/** That the key has no right to it; a wrong key is another answer. */
export function isRefused(error: unknown): boolean {
  return (error as Error).name === 'AccessDenied';
}

/** What `ask` gives, or undefined where the store says that there is none. */
export async function present<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}
