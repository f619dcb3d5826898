# shellcheck shell=sh
# apt-get beside others who use it. Sourced, never run; for sh as well as bash.

APT_PATIENCE_SECONDS=600

# apt_get ARGUMENT…: apt-get, once whoever holds its locks is through. A new server installs its first updates
# by itself, and unattended-upgrades may run at any time. apt waits for one of its three locks only.
apt_get() {
  apt_deadline=$(($(date +%s) + APT_PATIENCE_SECONDS))
  apt_waits=
  # A file, not a pipe: a daemon that a package starts may keep it open for as long as it runs.
  apt_said=$(mktemp)
  while :; do
    apt_status=0
    apt_left=$((apt_deadline - $(date +%s)))
    # A negative one would have apt wait for ever.
    [ "$apt_left" -ge 0 ] || apt_left=0
    LC_ALL=C apt-get -o DPkg::Lock::Timeout="$apt_left" "$@" 2>"$apt_said" || apt_status=$?
    if [ "$apt_status" -eq 0 ] || ! grep -q 'Could not get lock' "$apt_said" || [ "$(date +%s)" -ge "$apt_deadline" ]; then
      break
    fi
    [ -n "$apt_waits" ] || sed -n 's/^E: Could not get lock .* is held by /waiting for /p' "$apt_said" >&2
    apt_waits=yes
    sleep 1
  done
  cat "$apt_said" >&2
  rm -f "$apt_said"
  return "$apt_status"
}
