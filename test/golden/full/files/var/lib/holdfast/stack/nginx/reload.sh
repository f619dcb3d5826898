#!/bin/sh
# reload.sh [close]
# Lets nginx read its changed files without losing a request: see lua/closing.lua. Ends when the new configuration
# serves every new connection; with an error when it does not within a minute.
set -eu
closing=/tmp/holdfast-closing
reloading=/tmp/holdfast-reloading

# Whether one of the processes given, by /proc files, is a worker that takes connections; none given, none is.
takes_connections() { grep -qsxz 'nginx: worker process' "$@" /dev/null; }

: >"$closing"
# A worker looks ten times a second; one that is stuck must not hold the reload up.
tries=50
while [ -e "$closing" ] && [ "$tries" -gt 0 ]; do
  sleep 0.1
  tries=$((tries - 1))
done
# Clients that ask more often than this have another connection by now.
sleep 2
# Somebody else takes the new connections: nginx is about to be replaced.
[ "${1:-}" != close ] || exit 0

: >"$reloading"
old=$(grep -lsxz 'nginx: worker process' /proc/[0-9]*/cmdline || true)
nginx -c /etc/nginx/holdfast/nginx.conf -s reload
tries=600
# shellcheck disable=SC2086 # paths without spaces, one word each
while [ -e "$reloading" ] || takes_connections $old; do
  if [ "$tries" -eq 0 ]; then
    echo "nginx did not take up its new configuration within 60 s: its log tells why" >&2
    exit 1
  fi
  sleep 0.1
  tries=$((tries - 1))
done
