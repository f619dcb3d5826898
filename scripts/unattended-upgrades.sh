#!/bin/sh
# unattended-upgrades.sh: installs what runs Debian's security fixes by itself, where it is missing.
set -eu
# shellcheck source-path=SCRIPTDIR source=../images/lib/apt.sh
. "$(dirname "$0")/../images/lib/apt.sh"

has() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }

# Without the timers of systemd apt's daily work is one of cron.
needs_cron=
[ -d /run/systemd/system ] || needs_cron=yes

set --
if ! has unattended-upgrades; then
  # Our file alone switches it on: the package's own would go on without that one, and after an uninstall.
  # What a person has in there stays.
  echo 'unattended-upgrades unattended-upgrades/enable_auto_updates boolean false' | debconf-set-selections
  set -- unattended-upgrades
fi
[ -z "$needs_cron" ] || has cron || set -- "$@" cron
if [ "$#" -gt 0 ]; then
  # One archive that is gone is no matter where another has the package.
  apt_get update -qq || :
  DEBIAN_FRONTEND=noninteractive apt_get install -y -qq --no-install-recommends "$@" >/dev/null
fi
if [ -n "$needs_cron" ] && ! service cron status >/dev/null 2>&1; then
  service cron start </dev/null >/dev/null 2>&1
fi
