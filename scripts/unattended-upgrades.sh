#!/bin/sh
# unattended-upgrades.sh: installs what runs Debian's security fixes by itself, where it is missing.
set -eu
# shellcheck source-path=SCRIPTDIR source=../images/lib/apt.sh
. "$(dirname "$0")/../images/lib/apt.sh"

has() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }

set --
has unattended-upgrades || set -- unattended-upgrades
# Without the timers of systemd apt's daily work is one of cron.
[ -d /run/systemd/system ] || has cron || set -- "$@" cron
[ "$#" -gt 0 ] || exit 0

apt_get update -qq
DEBIAN_FRONTEND=noninteractive apt_get install -y -qq --no-install-recommends "$@" >/dev/null
