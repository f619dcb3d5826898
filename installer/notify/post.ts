export interface Failure {
  /** Words for a warning: nothing of the URL, which is a secret, nor of what the other side said. */
  readonly why: string;
  readonly worthAnother: boolean;
}

/** Sends JSON. The words of a failed request may hold the URL: they are not repeated. */
export async function post(url: URL, body: string, seconds: number): Promise<Failure | undefined> {
  try {
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': 'holdfast' },
      body,
      // A redirect would carry the event to whoever it names.
      redirect: 'manual',
      signal: AbortSignal.timeout(seconds * 1000),
    });
    await answer.body?.cancel();
    if (answer.ok) return undefined;
    const worthAnother = answer.status === 429 || answer.status >= 500;
    return { why: `it answered ${answer.status}`, worthAnother };
  } catch (error) {
    const isLate = error instanceof DOMException && error.name === 'TimeoutError';
    return isLate
      ? { why: `no answer within ${seconds} s`, worthAnother: false }
      : { why: 'no connection', worthAnother: true };
  }
}
