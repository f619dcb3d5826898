#!/bin/bash
# Runs the executable scripts of /docker-entrypoint.d in order, then the command.
set -euo pipefail
shopt -s nullglob

if [ "${1:-}" = nginx ]; then
  for file in /docker-entrypoint.d/*.sh; do
    [ ! -x "$file" ] || "$file"
  done
fi

exec "$@"
