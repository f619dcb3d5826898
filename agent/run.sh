#!/bin/sh
# Becomes the resident agent.
here=$(cd "$(dirname "$0")/.." && pwd -P)
node=$here/node_modules/.bin/node
built=$here/dist/agent.cjs

# In a working copy the sources may be ahead of what was built. Node needs its compilers to read them.
if [ ! -f "$built" ] || [ -n "$(find "$here/agent" -name '*.ts' -newer "$built" -print -quit)" ]; then
  exec "$node" --disable-warning=ExperimentalWarning "$here/agent/main.ts" "$@"
fi

# Without compilers to machine code and with a small young generation Node takes 4 MB less, as one file
# 3 MB less, and 2.5 MB when it starts without its snapshot, which stays in memory (docs/decisions/agent.md);
# what it computes is little either way.
export MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=16384 MALLOC_TOP_PAD_=4096
exec "$node" --no-node-snapshot --jitless --no-use-ic --single-threaded --expose-gc --v8-pool-size=0 \
  --min-semi-space-size=1 --max-semi-space-size=1 --max-old-space-size=64 \
  "$built" "$@"
