# shellcheck shell=bash
# Node 24 from the npm package of this machine's architecture. Sourced.
#
#   node_link ROOT   makes ROOT/node_modules/.bin/node

# npm 9, which Debian 13 has, does not link a program of the name `node`; npm 11 does.
node_link() {
  local root=$1 architecture
  case $(uname -m) in
    aarch64) architecture=arm64 ;;
    *) architecture=x64 ;;
  esac
  [ -x "$root/node_modules/.bin/node" ] ||
    ln -sfn "../node-linux-$architecture/bin/node" "$root/node_modules/.bin/node"
  "$root/node_modules/.bin/node" --version >/dev/null
}
