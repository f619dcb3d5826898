# shellcheck shell=sh
# Keeps the agent running where no systemd does. Sourced by the init script, which sets
# $program, $pidfile and $log.

LOG_BYTES=1048576

supervisor_start() {
  if supervisor_status >/dev/null; then
    return 0
  fi
  mkdir -p "$(dirname "$pidfile")" "$(dirname "$log")"
  chmod 0700 "$(dirname "$pidfile")"
  # A session of its own, and none of our descriptors: whoever reads our output must not wait for it.
  # shellcheck disable=SC2016  # expanded by the shell that it starts
  setsid sh -c '. "$1/agent/supervisor.sh"; supervisor_loop "$1" "$2" "$3"' \
    holdfast-agent-supervisor "$program" "$pidfile" "$log" </dev/null >/dev/null 2>&1 &
  waited=0
  until supervisor_status >/dev/null; do
    waited=$((waited + 1))
    [ "$waited" -lt 100 ] || return 1
    sleep 0.1
  done
}

# Runs as its own process: starts the agent again whenever it ends.
supervisor_loop() {
  program=$1 pidfile=$2 log=$3
  umask 077
  child=
  trap 'kill -HUP "$child" 2>/dev/null' HUP
  trap 'trap - TERM; kill -TERM "$child" 2>/dev/null; wait "$child"; rm -f "$pidfile"; exit 0' TERM INT
  echo $$ >"$pidfile.new" && mv "$pidfile.new" "$pidfile"
  while :; do
    if [ -f "$log" ] && [ "$(wc -c <"$log")" -gt "$LOG_BYTES" ]; then mv "$log" "$log.1"; fi
    sh "$program/agent/run.sh" >>"$log" 2>&1 </dev/null &
    child=$!
    # A signal ends the wait, not the agent.
    while kill -0 "$child" 2>/dev/null; do wait "$child"; done
    # The server was removed from this machine.
    [ -e "$pidfile" ] || exit 0
    sleep 2 &
    child=$!
    wait "$child"
  done
}

supervisor_pid() {
  [ -r "$pidfile" ] || return 1
  pid=$(cat "$pidfile")
  # The number may belong to another program by now.
  tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q holdfast-agent-supervisor || return 1
  echo "$pid"
}

supervisor_signal() {
  pid=$(supervisor_pid) || return 1
  kill "-$1" "$pid"
}

supervisor_stop() {
  pid=$(supervisor_pid) || return 0
  kill -TERM "$pid" 2>/dev/null || return 0
  waited=0
  while kill -0 "$pid" 2>/dev/null; do
    waited=$((waited + 1))
    if [ "$waited" -ge 250 ]; then
      echo "the agent does not stop within 25 s" >&2
      return 1
    fi
    sleep 0.1
  done
}

supervisor_status() {
  if pid=$(supervisor_pid); then
    echo "holdfast-agent runs under supervisor $pid"
  else
    echo "holdfast-agent does not run"
    return 3
  fi
}
