#!/bin/bash
# Sets up what the tests need on a fresh Debian machine and runs them all, unit to end to end.
# Closes with the line `N passed, N failed`. `--unit` stops after the tests that need no engine.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR source=lib/engine.sh
. scripts/lib/engine.sh
# shellcheck source-path=SCRIPTDIR source=lib/node.sh
. scripts/lib/node.sh

if [ "$(id -u)" -ne 0 ]; then
  echo "this needs root, for the Docker engine and the machines in containers: sudo ./scripts/test.sh" >&2
  exit 2
fi

# Program that must answer → Debian package that brings it.
wanted=(
  age:age
  mmdebstrap:mmdebstrap
  debootstrap:debootstrap
  shellcheck:shellcheck
  sshd:openssh-server
  ssh-keygen:openssh-client
  sudo:sudo
  docker-registry:docker-registry
  pebble:pebble
  named:bind9
  curl:curl
  git:git
  zstd:zstd
  node:nodejs
  npm:npm
)
packages=()
for pair in "${wanted[@]}"; do
  PATH=$PATH:/usr/sbin command -v "${pair%%:*}" >/dev/null || packages+=("${pair#*:}")
done
if [ "${#packages[@]}" -gt 0 ]; then
  echo "==> Installing from Debian: ${packages[*]}"
  apt_get update -qq
  # Services of test tools must not start by themselves and take ports.
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt_get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi
engine_install
engine_start

if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  echo "==> Installing the packages of package-lock.json"
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
fi
node_link .
# Hundreds of test files load the same sources, each in a process of its own: compiling them once saves a third.
export NODE_COMPILE_CACHE=$PWD/node_modules/.cache/tests
exec node_modules/.bin/node scripts/dev/run-tests.ts "$@"
