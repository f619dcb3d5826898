#!/bin/sh
# fail2ban.sh: brings Debian's fail2ban to what apply wrote, and installs it where it is asked for and missing.
set -eu
# shellcheck source-path=SCRIPTDIR source=../images/lib/apt.sh
. "$(dirname "$0")/../images/lib/apt.sh"

table=/var/lib/holdfast/stack/firewall/bans.nft
jail=/etc/fail2ban/jail.d/holdfast.local

runs() { fail2ban-client ping >/dev/null 2>&1; }

if command -v nft >/dev/null; then nft --file "$table"; fi

if [ ! -e "$jail" ]; then
  # Not asked for, or not any more: an instance that somebody else uses goes on without our jails.
  if command -v fail2ban-client >/dev/null && runs; then fail2ban-client reload >/dev/null; fi
  exit 0
fi

# fail2ban does not start without the files that its jails read.
sed -n 's/^logpath = //p' "$jail" | while read -r log; do
  if [ -e "$log" ]; then continue; fi
  if [ "$log" = /var/log/auth.log ]; then
    echo "there is no $log for fail2ban to read: apt-get install rsyslog" >&2
    exit 1
  fi
  install -D -m 0640 -o 101 -g 101 /dev/null "$log"
done

if ! command -v fail2ban-client >/dev/null; then
  # One archive that is gone is no matter where another has the package.
  apt_get update -qq || :
  # It reads the journal by python3-systemd, which is only recommended.
  # Our own files stand in its folders already: they stay.
  DEBIAN_FRONTEND=noninteractive apt_get install -y -qq --no-install-recommends \
    -o Dpkg::Options::=--force-confold fail2ban python3-systemd >/dev/null
fi

fail2ban-client --test >/dev/null
if runs; then
  fail2ban-client reload >/dev/null
elif [ -d /run/systemd/system ]; then
  systemctl enable --quiet fail2ban
  systemctl restart fail2ban
else
  service fail2ban restart </dev/null >/dev/null 2>&1
fi

waited=0
until runs; do
  waited=$((waited + 1))
  if [ "$waited" -gt 100 ]; then
    echo "fail2ban does not come up within 20 s; its words are in /var/log/fail2ban.log" >&2
    exit 1
  fi
  sleep 0.2
done
