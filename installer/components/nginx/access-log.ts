/**
 * One line of `<paths.state>/logs/nginx/access.json`, the file from which the agent makes its request
 * counters. It says nothing about who asked for what: that stands on nginx's standard output only,
 * where the engine rotates it.
 *
 * Contract with the agent:
 * - JSON, one object per line, appended within a second of the end of the request; every worker process
 *   appends its own whole lines, so that they are not quite in the order of time.
 * - The agent moves the file away at the size of its choice and then runs `nginx -s reopen`
 *   ({@link REOPEN_LOGS}) in the container; nginx makes the new file. Lines written between the two are
 *   in the moved file.
 * - Requests for hosts that are not configured are not in it.
 */
export interface AccessLine {
  /** Seconds since the epoch, with milliseconds. */
  readonly time: number;
  /** The configured host name, never what a client made up. */
  readonly host: string;
  /** The stack service that answered; `edge` when nginx did it itself. */
  readonly service: string;
  readonly status: number;
  /** Seconds from the first byte of the request to the last byte of the answer; of a WebSocket, to its begin. */
  readonly seconds: number;
  /** Bytes sent to the client, headers included. */
  readonly bytes: number;
  /** Which guard of the edge ended the request; empty for none, absent where the config has no guards. */
  readonly refused?: '' | 'limit' | 'uncounted' | 'waf';
  /** What the cache of an edge host did, such as `HIT`; empty on other hosts. */
  readonly cache: string;
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

const METRIC_FIELDS: readonly LogField[] = [
  number('time', 'msec'),
  text('host', 'server_name'),
  text('service', 'answered_by'),
  number('status', 'status'),
  number('seconds', 'answer_seconds'),
  number('bytes', 'bytes_sent'),
  text('cache', 'upstream_cache_status'),
];

/** Query strings are left out: they may hold tokens. */
const CONSOLE_FIELDS: readonly LogField[] = [
  text('time', 'time_iso8601'),
  text('client', 'logged_client'),
  text('method', 'request_method'),
  text('host', 'host'),
  text('path', 'path_without_query'),
  text('protocol', 'server_protocol'),
  number('status', 'status'),
  number('bytes', 'bytes_sent'),
  number('seconds', 'request_time'),
  text('service', 'answered_by'),
  text('upstream', 'upstream_addr'),
  text('upstream_status', 'upstream_status'),
  text('upstream_seconds', 'upstream_response_time'),
  text('user_agent', 'http_user_agent'),
  text('request_id', 'request_id'),
];

const REFUSED = text('refused', 'refused');

/** Bodies of two `log_format … escape=json` directives, as nginx strings. */
export function logFormats({ refusals }: { readonly refusals: boolean }) {
  const more = refusals ? [REFUSED] : [];
  return {
    metricsFormat: logFormat([...METRIC_FIELDS, ...more]),
    consoleFormat: logFormat([...CONSOLE_FIELDS, ...more]),
  };
}

function logFormat(fields: readonly LogField[]): string {
  const members = fields.map(({ key, variable, isNumber }) =>
    isNumber ? `"${key}":$${variable}` : `"${key}":"$${variable}"`,
  );
  return `'{${members.join(',')}}'`;
}
