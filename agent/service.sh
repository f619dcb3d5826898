#!/bin/sh
# service.sh reload|restart|stop|disable: one word for the agent's service under systemd and without it.
# `restart` also enables it; `reload` starts it where it does not run.
set -eu
name=holdfast-agent
init=${HOLDFAST_ROOT:-}/etc/init.d/$name

if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  case "$1" in
    restart)
      systemctl enable --quiet "$name.service"
      systemctl restart "$name.service"
      ;;
    reload) systemctl reload-or-restart "$name.service" ;;
    stop) systemctl stop "$name.service" ;;
    disable) systemctl disable --quiet --now "$name.service" ;;
    *) exit 2 ;;
  esac
  exit 0
fi

case "$1" in
  restart)
    if [ -z "${HOLDFAST_ROOT:-}" ] && command -v update-rc.d >/dev/null; then update-rc.d "$name" defaults >/dev/null; fi
    "$init" restart
    ;;
  reload) "$init" reload || "$init" start ;;
  stop) "$init" stop ;;
  disable)
    "$init" stop
    if [ -z "${HOLDFAST_ROOT:-}" ] && command -v update-rc.d >/dev/null; then update-rc.d "$name" remove >/dev/null; fi
    ;;
  *) exit 2 ;;
esac
