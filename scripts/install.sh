#!/bin/bash
# Installs or upgrades holdfast on this machine and brings up what the config says.
# Running it is the consent: it asks nothing. `--help` lists the options.
set -euo pipefail

source_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=lib/engine.sh
. "$source_root/scripts/lib/engine.sh"
# shellcheck source-path=SCRIPTDIR source=lib/machine-checks.sh
. "$source_root/scripts/lib/machine-checks.sh"
# shellcheck source-path=SCRIPTDIR source=lib/program.sh
. "$source_root/scripts/lib/program.sh"

usage() {
  cat <<'HELP'
Usage: sudo ./scripts/install.sh [OPTIONS]

Checks the machine, installs what is missing from Debian's packages, puts the
program under /opt/holdfast and runs `holdfast apply`. Run it again to upgrade.

  --config FILE   use this config; /etc/holdfast/config.yaml becomes a link to it
  --no-apply      install only; for `holdfast apply --host` from elsewhere
  --dry-run       show what it would do, change nothing
  -h, --help      this text

Without --config, and with no config in place, it brings up the example: the demo
app on https://localhost with a private certificate and backups to a folder.
HELP
}

config_file='' apply=yes dry_run=''
while [ $# -gt 0 ]; do
  case $1 in
    --config)
      config_file=${2:?--config takes a file}
      shift
      ;;
    --config=*) config_file=${1#*=} ;;
    --no-apply) apply= ;;
    --dry-run) dry_run=yes ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      echo "unknown option: $1" >&2
      usage >&2
      exit 2
      ;;
  esac
  shift
done

say() { printf '\n==> %s\n' "$*"; }

checked_config=$config_file
[ -n "$checked_config" ] || checked_config=/etc/holdfast/config.yaml
[ -e "$checked_config" ] || checked_config=$source_root/config.example.yaml

machine_problems "$checked_config" "$config_file"
[ -z "$apply" ] || check_project "$checked_config"
if [ "${#PROBLEMS[@]}" -gt 0 ]; then
  printf '%d problem(s); nothing was changed:\n' "${#PROBLEMS[@]}" >&2
  printf '  ✗ %s\n' "${PROBLEMS[@]}" >&2
  exit 4
fi
[ "${#WARNINGS[@]}" -eq 0 ] || printf '  ! %s\n' "${WARNINGS[@]}"

mapfile -t packages < <(missing_packages)
mapfile -t engine_parts < <(engine_missing)

if [ -n "$dry_run" ]; then
  echo "This machine is fit. install.sh would:"
  [ "${#packages[@]}" -eq 0 ] || echo "  install from Debian: ${packages[*]}"
  [ "${#engine_parts[@]}" -eq 0 ] || echo "  install from Debian for Docker: ${engine_parts[*]}"
  echo "  put holdfast $(program_version "$source_root") under /opt/holdfast and on the PATH"
  if [ -n "$config_file" ]; then
    echo "  link /etc/holdfast/config.yaml to $(readlink -f "$config_file")"
  elif [ ! -e /etc/holdfast/config.yaml ]; then
    echo "  write the example config to /etc/holdfast/config.yaml"
  fi
  [ -z "$apply" ] || echo "  run: holdfast apply --yes"
  exit 0
fi

if [ "${#packages[@]}" -gt 0 ]; then
  say "Installing from Debian: ${packages[*]}"
  apt_get update -qq
  DEBIAN_FRONTEND=noninteractive apt_get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi
if [ "${#engine_parts[@]}" -gt 0 ]; then
  say "Installing for Docker: ${engine_parts[*]}"
  engine_install
fi
engine_start

say "Installing holdfast $(program_version "$source_root")"
program_install "$source_root"
config_install "$source_root" "$config_file"

if [ -z "$apply" ]; then
  cat <<'NEXT'

holdfast is installed; nothing is running yet.
  holdfast apply                                bring up /etc/holdfast/config.yaml, which you may edit first
  holdfast init /etc/holdfast/own.yaml          or write another one, for holdfast apply --config
NEXT
  exit 0
fi

say "Applying /etc/holdfast/config.yaml"
holdfast apply --yes
if [ -n "$PROGRAM_REPLACED" ]; then sh /opt/holdfast/current/agent/service.sh restart; fi
# Never into a place that holds backups already: they may be those of a server that was lost.
if [ ! -e /var/lib/holdfast/agent/results/restore-test.json ] &&
  holdfast backup list --json 2>/dev/null | grep -q '"backups":\[\]'; then
  say "First backup, read back and restored for a test"
  # A store that cannot be reached yet is told here and by status; the agent tries again on schedule.
  if ! { holdfast backup run && holdfast backup restore-test; }; then
    echo "  ! the first backup did not succeed: see above, and run: holdfast backup run"
  fi
fi
echo
# Health is told by the exit code of status; here it is only shown.
holdfast status || true
shown="holdfast logs $(service_to_show)"
cat <<NEXT

Next:
  holdfast plan               what an edit of /etc/holdfast/config.yaml would change
  $(printf '%-26s' "$shown")  the last lines of a service
  holdfast backup list        what could be restored now
NEXT
