#!/bin/sh
# service.sh reload|restart|stop|disable: one word for the agent's service under systemd and without it.
# `restart` also enables it; `reload` starts it where it does not run. Both return once it answers.
set -eu
name=holdfast-agent
unit=/etc/systemd/system/$name.service
init=${HOLDFAST_ROOT:-}/etc/init.d/$name
socket=${HOLDFAST_ROOT:-}/run/holdfast/agent.sock

# A signal that comes while the agent is still starting would end it.
wait_until_up() {
  waited=0
  until [ -S "$socket" ]; do
    waited=$((waited + 1))
    if [ "$waited" -gt 200 ]; then
      echo "the agent does not come up within 20 s; its words are in \`journalctl -u $name\`, or in agent.log below the state folder" >&2
      return 1
    fi
    sleep 0.1
  done
}

# Nothing was applied yet.
if [ ! -e "$unit" ] && [ ! -e "$init" ]; then exit 0; fi

# A server below another root, as the tests have them, is no business of this machine's systemd.
if [ -d /run/systemd/system ] && [ -z "${HOLDFAST_ROOT:-}" ]; then
  systemctl daemon-reload
  case "$1" in
    restart)
      systemctl enable --quiet "$name.service"
      systemctl stop "$name.service"
      rm -f "$socket"
      systemctl start "$name.service"
      wait_until_up
      ;;
    reload)
      systemctl reload-or-restart "$name.service"
      wait_until_up
      ;;
    stop) systemctl stop "$name.service" ;;
    disable) systemctl disable --quiet --now "$name.service" ;;
    *) exit 2 ;;
  esac
  exit 0
fi

case "$1" in
  restart)
    if [ -z "${HOLDFAST_ROOT:-}" ] && command -v update-rc.d >/dev/null; then update-rc.d "$name" defaults >/dev/null; fi
    "$init" stop
    rm -f "$socket"
    "$init" start
    wait_until_up
    ;;
  reload)
    "$init" reload || "$init" start
    wait_until_up
    ;;
  stop) "$init" stop ;;
  disable)
    "$init" stop
    if [ -z "${HOLDFAST_ROOT:-}" ] && command -v update-rc.d >/dev/null; then update-rc.d "$name" remove >/dev/null; fi
    ;;
  *) exit 2 ;;
esac
