/** The one place that reads the environment of this process. */
export const env = {
  /** https://no-color.org: any value but an empty one switches colour off. */
  noColor: (process.env['NO_COLOR'] ?? '') !== '',
  /** Puts the whole layout below another folder; for tests of several servers on one machine. */
  root: process.env['HOLDFAST_ROOT'] ?? '',
  /** Who called sudo, for the audit log. */
  sudoUser: process.env['SUDO_USER'],
  user: process.env['USER'] ?? process.env['LOGNAME'],
  /** What a client of a forced command asked sshd for. */
  sshOriginalCommand: process.env['SSH_ORIGINAL_COMMAND'],
  terminal: process.env['TERM'],
  home: process.env['HOME'] ?? '/root',
  /** Private key for `--host`; the usual ones of `~/.ssh` when absent. */
  sshKeyFile: process.env['HOLDFAST_SSH_KEY'],
  sshAgentSocket: process.env['SSH_AUTH_SOCK'],
  /** What the programs that we start get. */
  inherited: process.env,
} as const;
