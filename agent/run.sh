#!/bin/sh
# Becomes the resident agent. The settings of the engine are measured ones: a small young generation and
# no optimizing compiler keep the process at tens of MiB (docs/decisions/agent-memory.md).
here=$(cd "$(dirname "$0")/.." && pwd -P)
entry=$here/dist/agent/main.js
[ -f "$entry" ] || entry=$here/agent/main.ts
exec "$here/node_modules/.bin/node" \
  --max-semi-space-size=1 --max-old-space-size=64 --optimize-for-size --no-opt \
  "$entry" "$@"
