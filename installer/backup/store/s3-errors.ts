import { AppError, type ErrorCode } from '../../errors.ts';

interface Kind {
  readonly code: ErrorCode;
  readonly why: string;
  /** @param next the command to run again */
  readonly hint: (next: string) => string;
  /** Whether the same request may succeed a little later. */
  readonly passing: boolean;
}

/** Whose failures they are, where nobody says otherwise. */
const BACKUP = 'holdfast backup run';

const WRONG_SECRET: Kind = {
  code: 'store/wrong-secret',
  why: 'the store refused the access key or its secret',
  hint: (next) => `set both again with \`holdfast secrets set\`, then \`${next}\``,
  passing: false,
};
const FORBIDDEN: Kind = {
  code: 'store/forbidden',
  why: 'the key may not do this in the bucket',
  hint: (next) => `let the key list, read, write and delete in the bucket, then \`${next}\``,
  passing: false,
};
const NO_BUCKET: Kind = {
  code: 'store/no-bucket',
  why: 'there is no such bucket',
  hint: (next) =>
    `create the bucket or correct its name in config.yaml and apply, then \`${next}\``,
  passing: false,
};
const CLOCK: Kind = {
  code: 'store/clock-skew',
  why: 'the clocks of this machine and of the store differ by more than the store allows',
  hint: (next) => `set this machine's clock (\`timedatectl\`), then \`${next}\``,
  passing: false,
};
const LIMITED: Kind = {
  code: 'store/rate-limited',
  why: 'the store asks for fewer requests',
  hint: (next) => `wait a little, then \`${next}\``,
  passing: true,
};
const SERVER: Kind = {
  code: 'store/server-error',
  why: 'the store answered with an error of its own',
  hint: (next) => `look at the provider's status page, then \`${next}\``,
  passing: true,
};
const HANGS: Kind = {
  code: 'store/timeout',
  why: 'the store did not answer in time',
  hint: (next) => `check the endpoint and the network, then \`${next}\``,
  passing: true,
};
const CUT: Kind = {
  code: 'store/connection-cut',
  why: 'the connection to the store was cut',
  hint: (next) => `check the network, then \`${next}\``,
  passing: true,
};
const UNREACHABLE: Kind = {
  code: 'store/unreachable',
  why: 'the store cannot be reached',
  hint: (next) => `check \`endpoint\` in config.yaml and the network, then \`${next}\``,
  passing: true,
};
const UNTRUSTED: Kind = {
  code: 'store/certificate',
  why: "the store's certificate is not trusted",
  hint: (next) => `name the authority's file as \`caFile\` of the provider, then \`${next}\``,
  passing: false,
};
const DAMAGED: Kind = {
  code: 'store/damaged-in-transit',
  why: 'the store received other bytes than were sent',
  hint: (next) => `run \`${next}\` again; if it repeats, a proxy in between changes traffic`,
  passing: true,
};
const MISSING: Kind = {
  code: 'store/missing',
  why: 'there is no such object',
  hint: () => 'see what is there: `holdfast backup list`',
  passing: false,
};
const OTHER: Kind = {
  code: 'store/refused',
  why: 'the store refused the request',
  hint: (next) => `check the provider's settings in config.yaml, then \`${next}\``,
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
  const fields = (error ?? {}) as {
    name?: unknown;
    code?: unknown;
    Code?: unknown;
    cause?: unknown;
  };
  const own = [fields.Code, fields.code, fields.name].filter((name) => typeof name === 'string');
  return fields.cause instanceof Error ? [...own, ...namesOf(fields.cause)] : own;
}

function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata
    ?.httpStatusCode;
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
    hint: kind.hint(BACKUP),
    cause: error,
  });
}

/** A failure that `storeError` told, with another command to run again. */
export function forCommand(error: AppError, next: string): AppError {
  const kind = kindOf(error.cause);
  if (error.cause === undefined || kind.code !== error.code) return error;
  const { code, what, why, cause } = error;
  return new AppError({
    code,
    what,
    ...(why === undefined ? {} : { why }),
    hint: kind.hint(next),
    cause,
  });
}
