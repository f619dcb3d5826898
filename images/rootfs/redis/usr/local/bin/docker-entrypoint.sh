#!/bin/bash
# Starts Redis as the official image does: a first argument that is an option or
# a configuration file belongs to redis-server, and root is given up first.
set -euo pipefail

case ${1:-} in -* | *.conf) set -- redis-server "$@" ;; esac

if [ "${1:-}" = redis-server ]; then
  # Dumps hold the data: nobody but the server reads them.
  umask 0077
  if [ "$(id -u)" = 0 ]; then
    if [ "$(stat -c %U .)" != redis ]; then find . -depth -exec chown redis:redis {} +; fi
    exec setpriv --reuid=redis --regid=redis --init-groups "$0" "$@"
  fi
fi

exec "$@"
