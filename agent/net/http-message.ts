/** What a server answered. The body is cut at the limit of the request. */
export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

export interface HttpMessage {
  readonly method: 'GET' | 'POST';
  readonly url: URL;
  readonly body?: string;
}

/** The bytes of a request that closes its connection afterwards. */
export function requestText({ method, url, body }: HttpMessage): string {
  const lines = [
    `${method} ${url.pathname}${url.search} HTTP/1.1`,
    `Host: ${url.host}`,
    'User-Agent: holdfast-agent',
    'Accept: */*',
    'Connection: close',
  ];
  if (body !== undefined) {
    lines.push('Content-Type: text/plain; charset=utf-8');
    lines.push(`Content-Length: ${Buffer.byteLength(body)}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n${body ?? ''}`;
}

/** Whether all of the answer is there, also when the server leaves the connection open. */
export function isComplete(bytes: Buffer): boolean {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) return false;
  const head = bytes.toString('latin1', 0, headEnd);
  const length = /^content-length:\s*(\d+)/im.exec(head)?.[1];
  if (length !== undefined) return bytes.length >= headEnd + 4 + Number(length);
  if (/^transfer-encoding:.*\bchunked\b/im.test(head)) {
    return bytes.subarray(-7).toString('latin1').endsWith('\r\n0\r\n\r\n');
  }
  return /^HTTP\/1\.[01] (?:204|304)/.test(head);
}

/** @throws Error when the bytes are no HTTP answer */
export function readAnswer(bytes: Buffer): HttpAnswer {
  const headEnd = bytes.indexOf('\r\n\r\n');
  const head = bytes.toString('latin1', 0, Math.max(headEnd, 0));
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1];
  if (status === undefined) throw new Error('the server closed without an HTTP answer');
  // An interim answer such as 103 stands before the real one.
  if (status.startsWith('1')) return readAnswer(bytes.subarray(headEnd + 4));
  const rest = bytes.subarray(headEnd + 4);
  const isChunked = /^transfer-encoding:.*\bchunked\b/im.test(head);
  return { status: Number(status), body: (isChunked ? unchunk(rest) : rest).toString('utf8') };
}

/** Joins the chunks; a last one that was cut by our limit counts as far as it came. */
function unchunk(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) break;
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    if (!(size > 0)) break;
    parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = lineEnd + 2 + size + 2;
  }
  return Buffer.concat(parts);
}
