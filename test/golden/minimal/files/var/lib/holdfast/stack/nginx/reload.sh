#!/bin/sh
# reload.sh [close]
# Lets nginx read its changed files without losing a request: see lua/closing.lua.
set -eu
: >/tmp/holdfast-closing
# A worker looks ten times a second; one that is stuck must not hold the reload up.
tries=50
while [ -e /tmp/holdfast-closing ] && [ "$tries" -gt 0 ]; do
  sleep 0.1
  tries=$((tries - 1))
done
# Clients that ask more often than this have another connection by now.
sleep 2
# Somebody else takes the new connections: nginx is about to be replaced.
[ "${1:-}" != close ] || exit 0
exec nginx -c /etc/nginx/holdfast/nginx.conf -s reload
