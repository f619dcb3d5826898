/**
 * One line of `<paths.state>/logs/nginx/access.json`: for `holdfast logs nginx`, and for the agent, which makes its
 * request counters of it. A file rather than nginx's standard output, where the engine's work for each line took more
 * of the machine than nginx itself.
 *
 * Contract with the agent:
 * - JSON, one object per line, appended within a second of the end of the request; every worker process
 *   appends its own whole lines, so that they are not quite in the order of time.
 * - The agent moves the file away at the size of its choice and then runs `nginx -s reopen`
 *   ({@link REOPEN_LOGS}) in the container; nginx makes the new file. Lines written between the two are
 *   in the moved file. It keeps some of those.
 * - Requests for hosts that are not configured are not in it, but for those over a TLS connection to a known host,
 *   which are answered 421: their host is `_`.
 */
export interface AccessLine {
  /** ISO 8601 with an offset, to the second. */
  readonly time: string;
  /** Address; of IPv4 without its last part and of IPv6 its first 48 bits, where the config wishes so. */
  readonly client: string;
  readonly method: string;
  /** The configured host name, never what a client made up. */
  readonly host: string;
  /** As it came, without the query string: that may hold tokens. */
  readonly path: string;
  readonly protocol: string;
  readonly status: number;
  /** Bytes sent to the client, headers included. */
  readonly bytes: number;
  /** Seconds from the first byte of the request to the last byte of the answer; of a WebSocket, to its begin. */
  readonly seconds: number;
  /** The stack service that answered; `edge` when nginx did it itself. */
  readonly service: string;
  /** Addresses of the replicas that were asked, in order, separated by commas; so are the two that follow. */
  readonly upstream: string;
  readonly upstream_status: string;
  readonly upstream_seconds: string;
  /** What the cache of an edge host did, such as `HIT`; empty on other hosts. */
  readonly cache: string;
  readonly user_agent: string;
  readonly request_id: string;
  /** Which guard of the edge ended the request; empty for none. */
  readonly refused: '' | 'at-once' | 'limit' | 'uncounted' | 'waf';
}

export const ACCESS_LOG_FILE = 'access.json';

export const REOPEN_LOGS = [
  'nginx',
  '-c',
  '/etc/nginx/holdfast/nginx.conf',
  '-s',
  'reopen',
] as const;

interface LogField {
  readonly key: string;
  readonly variable: string;
  /** The variable always holds a number. */
  readonly isNumber: boolean;
}

const text = (key: string, variable: string): LogField => ({ key, variable, isNumber: false });
const number = (key: string, variable: string): LogField => ({ key, variable, isNumber: true });

const TIME = text('time', 'time_iso8601');

/** After the time and the client. */
const FIELDS: readonly LogField[] = [
  text('method', 'request_method'),
  text('host', 'server_name'),
  text('path', 'path_without_query'),
  text('protocol', 'server_protocol'),
  number('status', 'status'),
  number('bytes', 'bytes_sent'),
  number('seconds', 'answer_seconds'),
  text('service', 'answered_by'),
  text('upstream', 'upstream_addr'),
  text('upstream_status', 'upstream_status'),
  text('upstream_seconds', 'upstream_response_time'),
  text('cache', 'upstream_cache_status'),
  text('user_agent', 'http_user_agent'),
  text('request_id', 'edge_request_id'),
  text('refused', 'refused'),
];

/** Body of a `log_format … escape=json` directive, as an nginx string. */
export function logFormat({
  anonymised,
}: {
  /** Addresses are cut short. */
  readonly anonymised: boolean;
}): string {
  const client = text('client', anonymised ? 'logged_client' : 'remote_addr');
  const fields = [TIME, client, ...FIELDS];
  const members = fields.map(({ key, variable, isNumber }) =>
    isNumber ? `"${key}":$${variable}` : `"${key}":"$${variable}"`,
  );
  return `'{${members.join(',')}}'`;
}
