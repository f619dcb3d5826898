#!/bin/sh
# What is no command of this image is a script or an option for node.
set -eu

case ${1:-} in
  -*) set -- node "$@" ;;
  *) command -v "${1:-node}" >/dev/null || set -- node "$@" ;;
esac

exec "$@"
