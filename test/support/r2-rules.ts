import type { IncomingMessage } from 'node:http';

/** Of the headers that S3 knows, those that R2 does not implement, by its compatibility page and by what it was seen to refuse. */
const HEADERS =
  /^x-amz-(acl|grant-.*|tagging.*|object-lock-.*|website-.*|trailer|sdk-checksum-algorithm|checksum-.*|server-side-encryption|request-payer)$/;
/** Of the kinds of requests, by their query. */
const QUERIES =
  /[?&](acl|tagging|versioning|versions|versionId|object-lock|retention|legal-hold|policy|publicAccessBlock|replication|notification|website|torrent)(=|&|$)/;
const CLASSES = ['STANDARD', 'STANDARD_IA'];
const SMALLEST_PART = 5 * 1024 ** 2;

/** What an S3 service like R2 refuses although others take it. */
export class R2Rules {
  /** Bytes of each part, by upload. */
  readonly #parts = new Map<string, Map<number, number>>();

  /** Why a request is refused; undefined for one that is taken. */
  refusalOf({ method, url = '', headers }: IncomingMessage): string | undefined {
    const header = Object.keys(headers).find((name) => HEADERS.test(name));
    if (header !== undefined) return `header ${header}`;
    const [, query] = QUERIES.exec(url) ?? [];
    if (query !== undefined) return `request ${query}`;
    if (String(headers['x-amz-content-sha256']).startsWith('STREAMING-')) return 'a signed stream';
    if (headers['content-encoding']?.includes('aws-chunked') === true) return 'aws-chunked';
    const storageClass = headers['x-amz-storage-class'];
    if (storageClass !== undefined && !CLASSES.includes(String(storageClass))) {
      return `storage class ${storageClass}`;
    }
    return this.#partsRefused(method, url, Number(headers['content-length']));
  }

  /** All parts but the last have the same size, which is told when the upload is completed. */
  #partsRefused(method: string | undefined, url: string, bytes: number): string | undefined {
    const query = new URL(url, 'http://store').searchParams;
    const id = query.get('uploadId');
    if (id === null) return undefined;
    const parts = this.#parts.get(id) ?? new Map<number, number>();
    const number = query.get('partNumber');
    if (method === 'PUT' && number !== null) this.#parts.set(id, parts.set(Number(number), bytes));
    if (method !== 'POST') return undefined;
    const sizes = [...parts].sort(([a], [b]) => a - b).map(([, size]) => size);
    const [first = 0] = sizes;
    const isEqual = sizes.slice(0, -1).every((size) => size === first && size >= SMALLEST_PART);
    return isEqual && (sizes.at(-1) ?? 0) <= first
      ? undefined
      : `parts of ${sizes.join(', ')} bytes`;
  }
}
