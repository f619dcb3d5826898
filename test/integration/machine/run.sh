#!/bin/bash
# run.sh NAME [SUITE] [systemd|scripts]: starts the server NAME, a container that behaves as a small
# VPS, and waits until root can log in by ssh. Prints NAME ADDRESS KEYFILE.
# `reboot` inside and `docker kill` + `docker start` outside bring it back with
# the same address and disk. Remove it by: docker rm -f -v NAME,
# docker volume rm NAME-docker.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=${1:?usage: run.sh NAME [SUITE] [systemd|scripts]}
suite=${2:-trixie}
init=${3:-systemd}
network=holdfast-test-machines
prefix=172.31.253
state=${HOLDFAST_TEST_CACHE:-/var/cache/holdfast-test}/keys

image=$("$here/build.sh" "$suite")

# All machines share one key: they live for one test each.
mkdir -p "$state"
chmod 0700 "$state"
(
  flock 9
  [ -e "$state/id_ed25519" ] || ssh-keygen -q -t ed25519 -N '' -C holdfast-test -f "$state/id_ed25519"
  if ! docker network inspect "$network" >/dev/null 2>&1; then
    device=$(ip -o route get 192.0.2.1 2>/dev/null | sed -n 's/.* dev \([^ ]*\).*/\1/p')
    mtu=$(cat "/sys/class/net/${device:-lo}/mtu" 2>/dev/null || echo 1500)
    docker network create --label io.holdfast.test=1 --subnet "$prefix.0/24" \
      --opt "com.docker.network.driver.mtu=$((mtu > 1500 ? 1500 : mtu))" "$network" >/dev/null
  fi
) 9>"$state/lock"

resolvers=/etc/resolv.conf
if [ -e /run/systemd/resolve/resolv.conf ]; then resolvers=/run/systemd/resolve/resolv.conf; fi
dns=$(awk '$1 == "nameserver" && $2 !~ /^127\.|:/ && !n++ { print $2 }' "$resolvers")

# shellcheck disable=SC2054  # the commas belong to mount options
# Everything a server's root may do, except what would reach the outer machine:
# its clock, its modules, its raw memory.
options=(--hostname "$name" --network "$network" --env "MACHINE_DNS=$dns" --env "MACHINE_INIT=$init"
  --label io.holdfast.test=1 --label io.holdfast.machine=1
  --restart=always --cgroupns=private --stop-signal SIGRTMIN+3 --stop-timeout 20
  --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined
  --device-cgroup-rule 'a *:* rwm'
  --tmpfs /run:exec,mode=755 --tmpfs /run/lock --tmpfs /tmp:exec,mode=1777
  --volume "$name-docker:/var/lib/docker" --cap-drop ALL)
for capability in CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP \
  LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_CHROOT \
  SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE \
  AUDIT_CONTROL SETFCAP SYSLOG AUDIT_READ; do
  options+=(--cap-add "$capability")
done

# An address of its own, so that it is the same after a power cut.
# One that goes while it is looked at makes inspect fail; it has told the others by then.
used=$(docker ps -aq --filter label=io.holdfast.machine=1 |
  { xargs -r docker inspect --format "{{with index .NetworkSettings.Networks \"$network\"}}{{.IPAMConfig.IPv4Address}}{{end}}" 2>/dev/null || true; })
id=
for last in $(seq 10 250); do
  address=$prefix.$last
  if grep -qx "$address" <<<"$used"; then continue; fi
  docker volume create --label io.holdfast.test=1 "$name-docker" >/dev/null
  id=$(docker create --name "$name" --ip "$address" "${options[@]}" "$image")
  docker cp -q "$state/id_ed25519.pub" "$name:/authorized_key" 2>/dev/null ||
    docker cp "$state/id_ed25519.pub" "$name:/authorized_key" >/dev/null
  if docker start "$name" >/dev/null 2>"$state/$name.error"; then break; fi
  # Another machine took the address in between.
  docker rm -f "$id" >/dev/null
  grep -qi 'address already in use' "$state/$name.error" || {
    cat "$state/$name.error" >&2
    exit 1
  }
  id=
done
rm -f "$state/$name.error"
[ -n "$id" ] || {
  echo "no address is free in $prefix.0/24" >&2
  exit 1
}

login=(ssh -i "$state/id_ed25519" -o BatchMode=yes -o ConnectTimeout=2 -o StrictHostKeyChecking=no
  -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "root@$address")
deadline=$((SECONDS + 300))
until "${login[@]}" true 2>/dev/null; do
  [ "$SECONDS" -lt "$deadline" ] || {
    echo "no ssh login to $name ($address) within 300 s; its last words:" >&2
    docker logs --tail 30 "$name" >&2
    exit 1
  }
  sleep 0.3
done
printf '%s %s %s\n' "$name" "$address" "$state/id_ed25519"
