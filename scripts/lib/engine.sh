# shellcheck shell=bash
# A Docker engine with Compose v2 and buildx, from Debian's own packages.
# Sourced, never run. Works under `set -euo pipefail`, with systemd or without.
#
#   engine_missing   prints what is missing, one word a line: engine compose buildx
#   engine_install   installs exactly that, replaces nothing
#   engine_start     starts an engine that does not answer, waits until it does
#
# An engine that is already there, from whatever source, is left as it is.

# shellcheck source-path=SCRIPTDIR source=../../images/lib/debian.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../images/lib/debian.sh"

ENGINE_SOURCES=/etc/apt/sources.list.d/holdfast-trixie.sources
ENGINE_PREFERENCES=/etc/apt/preferences.d/holdfast-trixie
ENGINE_LOG=/var/log/dockerd.log

engine_answers() {
  command -v docker >/dev/null && timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

engine_present() {
  command -v dockerd >/dev/null || [ -x /usr/sbin/dockerd ] || engine_answers
}

engine_plugin_present() {
  command -v docker >/dev/null && docker "$1" version >/dev/null 2>&1
}

engine_missing() {
  if ! engine_present || ! command -v docker >/dev/null; then echo engine; fi
  if ! engine_plugin_present compose; then echo compose; fi
  if ! engine_plugin_present buildx; then echo buildx; fi
}

engine_candidate() {
  apt-cache policy "$1" 2>/dev/null | awk '$1 == "Candidate:" && $2 != "(none)" { found = 1 } END { exit !found }'
}

# Debian 12 has no Compose v2 and no buildx. Debian 13's two packages run there;
# the pin lets apt take these two from trixie and nothing else.
engine_add_trixie() {
  DEBIAN_FRONTEND=noninteractive apt_get install -y -qq --no-install-recommends debian-archive-keyring >/dev/null
  local keyring sources
  keyring=$(debian_keyring)
  sources=$(debian_sources trixie "$keyring") || return 1
  printf '%s\n' '# Written by holdfast: docker-compose and docker-buildx for Debian 12.' "$sources" >"$ENGINE_SOURCES"
  cat >"$ENGINE_PREFERENCES" <<'PIN'
# Written by holdfast: of Debian 13 only these two packages.
Package: docker-compose docker-buildx
Pin: release n=trixie*
Pin-Priority: 990

Package: *
Pin: release n=trixie*
Pin-Priority: 100
PIN
  chmod 0644 "$ENGINE_SOURCES" "$ENGINE_PREFERENCES"
  apt_get update -qq
}

# The plugin package that this machine's apt offers: the name that Debian uses,
# or the one of Docker's own archive when the engine came from there.
engine_plugin_package() {
  local plugin=$1
  if dpkg-query -W -f '${Status}' docker-ce 2>/dev/null | grep -q 'ok installed' &&
    engine_candidate "docker-$plugin-plugin"; then
    echo "docker-$plugin-plugin"
  else
    echo "docker-$plugin"
  fi
}

engine_install() {
  local missing packages=()
  missing=$(engine_missing)
  [ -n "$missing" ] || return 0
  apt_get update -qq

  case $missing in *engine*)
    if ! engine_present; then packages+=(docker.io containerd runc iptables); fi
    # Since Debian 13 the client is a package of its own.
    # On Debian 12 the name exists only where trixie was added already, and breaks docker.io.
    if [ "$(debian_codename)" != bookworm ] && ! command -v docker >/dev/null && engine_candidate docker-cli; then
      packages+=(docker-cli)
    fi
    ;;
  esac
  case $missing in *compose* | *buildx*)
    if [ "$(debian_codename)" = bookworm ]; then engine_add_trixie; fi
    ;;
  esac
  case $missing in *compose*) packages+=("$(engine_plugin_package compose)") ;; esac
  case $missing in *buildx*) packages+=("$(engine_plugin_package buildx)") ;; esac

  DEBIAN_FRONTEND=noninteractive apt_get install -y --no-install-recommends "${packages[@]}"
  missing=$(engine_missing)
  if [ -n "$missing" ]; then
    echo "still missing after the installation:" "${missing//$'\n'/ }" >&2
    return 1
  fi
}

engine_start() {
  if engine_answers; then return 0; fi
  if [ -d /run/systemd/system ]; then
    systemctl enable --now docker.service >/dev/null 2>&1 || true
  else
    # Neither start must inherit our descriptors: a caller that reads our output
    # through a pipe would wait for the daemon to end.
    if [ -x /etc/init.d/docker ]; then
      service docker start </dev/null >/dev/null 2>&1 || true
    fi
    if ! engine_wait 20 && ! pgrep -x dockerd >/dev/null; then
      if [ -x /etc/init.d/docker ]; then
        echo "! \`service docker start\` does not start the engine; started by hand, it will not come back with the machine" >&2
      fi
      setsid nohup dockerd </dev/null >>"$ENGINE_LOG" 2>&1 &
    fi
  fi
  if engine_wait 60; then return 0; fi
  echo "the Docker engine does not answer within 60 s" >&2
  if [ -d /run/systemd/system ]; then
    journalctl -u docker --no-pager -n 20 >&2 || true
  else
    tail -n 20 "$ENGINE_LOG" /var/log/docker.log 2>/dev/null >&2 || true
  fi
  return 1
}

engine_wait() {
  local deadline=$((SECONDS + $1))
  until engine_answers; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.5
  done
}
