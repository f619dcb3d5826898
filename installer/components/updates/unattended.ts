/** Read after Debian's own 20auto-upgrades and 50unattended-upgrades. */
export const UNATTENDED_FILE = '/etc/apt/apt.conf.d/52holdfast-unattended';
