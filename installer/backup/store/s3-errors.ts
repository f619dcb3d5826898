import { AppError, type ErrorCode } from '../../errors.ts';

interface Kind {
  readonly code: ErrorCode;
  readonly why: string;
  readonly hint: string;
  /** Whether the same request may succeed a little later. */
  readonly passing: boolean;
}

const AGAIN = 'then `holdfast backup run`';

const WRONG_SECRET: Kind = {
  code: 'store/wrong-secret',
  why: 'the store refused the access key or its secret',
  hint: `set both again with \`holdfast secrets set\`, ${AGAIN}`,
  passing: false,
};
const FORBIDDEN: Kind = {
  code: 'store/forbidden',
  why: 'the key may not do this in the bucket',
  hint: `let the key list, read, write and delete in the bucket, ${AGAIN}`,
  passing: false,
};
const NO_BUCKET: Kind = {
  code: 'store/no-bucket',
  why: 'there is no such bucket',
  hint: `create the bucket or correct its name in config.yaml and apply, ${AGAIN}`,
  passing: false,
};
const CLOCK: Kind = {
  code: 'store/clock-skew',
  why: 'the clocks of this machine and of the store differ by more than the store allows',
  hint: `set this machine's clock (\`timedatectl\`), ${AGAIN}`,
  passing: false,
};
const LIMITED: Kind = {
  code: 'store/rate-limited',
  why: 'the store asks for fewer requests',
  hint: 'wait a little, then `holdfast backup run`',
  passing: true,
};
const SERVER: Kind = {
  code: 'store/server-error',
  why: 'the store answered with an error of its own',
  hint: "look at the provider's status page, then `holdfast backup run`",
  passing: true,
};
const HANGS: Kind = {
  code: 'store/timeout',
  why: 'the store did not answer in time',
  hint: `check the endpoint and the network, ${AGAIN}`,
  passing: true,
};
const CUT: Kind = {
  code: 'store/connection-cut',
  why: 'the connection to the store was cut',
  hint: `check the network, ${AGAIN}`,
  passing: true,
};
const UNREACHABLE: Kind = {
  code: 'store/unreachable',
  why: 'the store cannot be reached',
  hint: `check \`endpoint\` in config.yaml and the network, ${AGAIN}`,
  passing: true,
};
const UNTRUSTED: Kind = {
  code: 'store/certificate',
  why: "the store's certificate is not trusted",
  hint: `name the authority's file as \`caFile\` of the provider, ${AGAIN}`,
  passing: false,
};
const DAMAGED: Kind = {
  code: 'store/damaged-in-transit',
  why: 'the store received other bytes than were sent',
  hint: 'run `holdfast backup run` again; if it repeats, a proxy in between changes traffic',
  passing: true,
};
const MISSING: Kind = {
  code: 'store/missing',
  why: 'there is no such object',
  hint: 'see what is there: `holdfast backup list`',
  passing: false,
};
const OTHER: Kind = {
  code: 'store/refused',
  why: 'the store refused the request',
  hint: `check the provider's settings in config.yaml, ${AGAIN}`,
  passing: false,
};

/** By the error code of the S3 protocol, of Node, or of a time-out. */
const BY_NAME: Readonly<Record<string, Kind>> = {
  SignatureDoesNotMatch: WRONG_SECRET,
  InvalidAccessKeyId: WRONG_SECRET,
  InvalidClientTokenId: WRONG_SECRET,
  Unauthorized: WRONG_SECRET,
  AccessDenied: FORBIDDEN,
  AllAccessDisabled: FORBIDDEN,
  NoSuchBucket: NO_BUCKET,
  RequestTimeTooSkewed: CLOCK,
  RequestExpired: CLOCK,
  SlowDown: LIMITED,
  TooManyRequests: LIMITED,
  ServiceUnavailable: SERVER,
  InternalError: SERVER,
  RequestTimeout: HANGS,
  TimeoutError: HANGS,
  AbortError: HANGS,
  ETIMEDOUT: HANGS,
  ECONNRESET: CUT,
  EPIPE: CUT,
  IncompleteBody: CUT,
  ERR_STREAM_PREMATURE_CLOSE: CUT,
  ECONNREFUSED: UNREACHABLE,
  ENOTFOUND: UNREACHABLE,
  EAI_AGAIN: UNREACHABLE,
  EHOSTUNREACH: UNREACHABLE,
  ENETUNREACH: UNREACHABLE,
  CERT_HAS_EXPIRED: UNTRUSTED,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  ERR_TLS_CERT_ALTNAME_INVALID: UNTRUSTED,
  BadDigest: DAMAGED,
  InvalidDigest: DAMAGED,
  XAmzContentSHA256Mismatch: DAMAGED,
  NoSuchKey: MISSING,
  NotFound: MISSING,
};

/** Seconds; Amazon S3 and radosgw refuse what is signed a quarter of an hour off their own clock. */
const MOST_SKEW = 14 * 60;

function kindOf(error: unknown): Kind {
  // Whatever name the store gives it.
  if (statusOf(error) === 429) return LIMITED;
  const known = namesOf(error)
    .map((name) => BY_NAME[name])
    .find((kind) => kind !== undefined);
  if (known !== undefined) return known;
  const status = statusOf(error);
  // The answer to a HEAD has no body that could name the reason.
  if (status === 403 && Math.abs(skewOf(error) ?? 0) > MOST_SKEW) return CLOCK;
  if (status === 401) return WRONG_SECRET;
  if (status === 403) return FORBIDDEN;
  if (status === 404) return MISSING;
  if (status !== undefined && status >= 500) return SERVER;
  return OTHER;
}

function namesOf(error: unknown): string[] {
  const fields = error as { name?: unknown; code?: unknown; Code?: unknown; cause?: unknown };
  const own = [fields.Code, fields.code, fields.name].filter((name) => typeof name === 'string');
  return fields.cause instanceof Error ? [...own, ...namesOf(fields.cause)] : own;
}

function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
}

/** Seconds by which our clock is ahead of the store's, by the date of its answer. */
function skewOf(error: unknown): number | undefined {
  const { $response } = error as { $response?: { headers?: Record<string, string> } };
  const theirs = Date.parse($response?.headers?.['date'] ?? '');
  return Number.isNaN(theirs) ? undefined : (Date.now() - theirs) / 1_000;
}

/** Which way a clock is to be set. */
function skewText(error: unknown): string {
  const skew = skewOf(error);
  if (skew === undefined) return '';
  const way = skew > 0 ? 'ahead of' : 'behind';
  return `: this one is ${Math.round(Math.abs(skew) / 60)} min ${way} the store's`;
}

/** Whether the same request may succeed when it is sent again. */
export function mayPass(error: unknown): boolean {
  return kindOf(error).passing;
}

export function isMissingObject(error: unknown): boolean {
  return kindOf(error) === MISSING;
}

/** The failure in our words. The store's own message is added: it names no secret but the account of R2. */
export function storeError(error: unknown, what: string): AppError {
  if (error instanceof AppError) return error;
  const kind = kindOf(error);
  const { name, message } = error as Error;
  const status = statusOf(error);
  const said = [status === undefined ? '' : `HTTP ${status}`, name, message]
    .filter((part) => part !== undefined && part !== '')
    .join(' ')
    .replaceAll(/[\w.-]+(?=\.r2\.cloudflarestorage\.com)/g, 'ACCOUNT');
  return new AppError({
    code: kind.code,
    what,
    why: `${kind.why}${kind === CLOCK ? skewText(error) : ''} (${said})`,
    hint: kind.hint,
    cause: error,
  });
}
