/** Grafana keeps the password in its own database: the file of it is read at its first start only. */
export const GRAFANA_SERVICE = 'grafana';
export const GRAFANA_ADMIN_SECRET = 'GRAFANA_ADMIN_PASSWORD';

/** Grafana's own way to another password; reads it as a line of standard input. */
export const RESET_PASSWORD: readonly [string, ...string[]] = [
  ...(['grafana', 'cli', '--homepath', '/usr/share/grafana'] as const),
  ...['admin', 'reset-admin-password', '--password-from-stdin'],
];

/** What it says when it did so. */
export const PASSWORD_CHANGED = /changed successfully/;
