#!/bin/sh
# firewall.sh load|confirm|rollback|ensure: puts the rendered rules in force, without a chance to lock the
# person out for good.
#
#   load      arms a timer that brings back the confirmed rules, then loads the new ones in one step
#   confirm   keeps them: they are what the next boot loads, and the timer goes
#   rollback  what the timer runs
#   ensure    loads the confirmed rules again where something else threw the table away
set -eu

rules=/var/lib/holdfast/stack/firewall/rules.nft
state=/var/lib/holdfast/firewall
confirmed=$state/confirmed.nft
armed=/run/holdfast-firewall.armed
timer=holdfast-firewall-rollback
unit=holdfast-firewall.service
init=/etc/init.d/holdfast-firewall
# A login over a slow line and a person's second thought fit in.
SECONDS_TO_CONFIRM=${HOLDFAST_FIREWALL_SECONDS:-60}

with_systemd() { [ -d /run/systemd/system ]; }

disarm() {
  rm -f "$armed"
  if with_systemd; then systemctl stop "$timer.timer" 2>/dev/null || true; fi
}

arm() {
  token=$$.$(date +%s%N)
  echo "$token" >"$armed"
  if with_systemd; then
    systemd-run --quiet --collect --unit="$timer" --on-active="$SECONDS_TO_CONFIRM" --timer-property=AccuracySec=1s \
      /bin/sh "$0" rollback "$token"
  else
    # A session of its own and none of our descriptors: it outlives the login that it guards.
    # shellcheck disable=SC2016  # expanded by the shell that it starts
    setsid sh -c 'sleep "$1"; exec sh "$2" rollback "$3"' holdfast-firewall-rollback \
      "$SECONDS_TO_CONFIRM" "$0" "$token" </dev/null >/dev/null 2>&1 &
  fi
}

unload() { nft 'add table inet holdfast; delete table inet holdfast'; }

load() {
  if ! command -v nft >/dev/null; then
    # Rules that only take ours away have nothing to do here.
    if grep -q '^table inet holdfast' "$rules"; then
      echo "the program nft is missing: apt-get install nftables" >&2
      exit 1
    fi
    exit 0
  fi
  disarm
  arm
  nft --file "$rules"
}

confirm() {
  if ! grep -q '^table inet holdfast' "$rules"; then
    disarm
    forget
    return
  fi
  if [ ! -e "$armed" ]; then
    echo "too late: the rules from before are in force again" >&2
    exit 1
  fi
  cp "$rules" "$confirmed.new"
  sync "$confirmed.new"
  mv "$confirmed.new" "$confirmed"
  disarm
  if with_systemd; then
    systemctl daemon-reload
    systemctl enable --quiet "$unit"
    systemctl start "$unit"
  elif [ -x "$init" ] && command -v update-rc.d >/dev/null; then
    update-rc.d holdfast-firewall defaults >/dev/null
  fi
}

# The firewall was taken out of the config, and its unit with it.
forget() {
  rm -f "$confirmed" /etc/systemd/system/*.wants/holdfast-firewall.service
  if with_systemd; then
    systemctl daemon-reload
  elif command -v update-rc.d >/dev/null; then
    update-rc.d -f holdfast-firewall remove >/dev/null
  fi
}

rollback() {
  # Confirmed, or armed anew, in the meantime.
  [ "$(cat "$armed" 2>/dev/null)" = "$1" ] || exit 0
  if [ -e "$confirmed" ]; then nft --file "$confirmed"; else unload; fi
  rm -f "$armed"
}

ensure() {
  [ -e "$confirmed" ] || exit 0
  if nft list table inet holdfast >/dev/null 2>&1; then return 0; fi
  nft --file "$confirmed"
  echo "the table was gone: the confirmed rules are in force again"
}

case ${1:-} in
  load) load ;;
  confirm) confirm ;;
  rollback) rollback "${2:?}" ;;
  ensure) ensure ;;
  *)
    echo "usage: $0 {load|confirm|rollback|ensure}" >&2
    exit 2
    ;;
esac
