# shellcheck shell=bash
# Is this machine fit? Collects every problem before anything is touched. Sourced.
#
#   machine_problems CONFIG GIVEN   fills PROBLEMS (stop) and WARNINGS (go on)
#   check_project CONFIG            adds to PROBLEMS that another project runs here
#   missing_packages                Debian packages that are not here, one a line

MIN_MEMORY_MB=900
MIN_DISK_MB=6000
OS_RELEASE=/etc/os-release
MEMINFO=/proc/meminfo
APPLIED=/var/lib/holdfast/stack/agent/agent.json

machine_problems() {
  PROBLEMS=() WARNINGS=()
  local config=$1 given=$2
  check_identity
  check_resources
  check_ports
  check_clock
  if [ -n "$given" ] && { [ ! -f "$given" ] || [ ! -r "$given" ]; }; then
    PROBLEMS+=("there is no config file $given")
  else
    check_domain "$config"
  fi
}

check_identity() {
  [ "$(id -u)" -eq 0 ] || PROBLEMS+=("this needs root: sudo ./scripts/install.sh")
  local id='' version=''
  if [ -r "$OS_RELEASE" ]; then
    # shellcheck source=/dev/null
    id=$(. "$OS_RELEASE" && echo "${ID:-}")
    # shellcheck source=/dev/null
    version=$(. "$OS_RELEASE" && echo "${VERSION_ID:-}")
  fi
  case $id:$version in
    debian:12 | debian:13) ;;
    *) PROBLEMS+=("holdfast runs on Debian 12 and 13; this is ${id:-unknown} ${version:-}") ;;
  esac
  case $(uname -m) in
    x86_64 | aarch64) ;;
    *) PROBLEMS+=("holdfast runs on amd64 and arm64; this is $(uname -m)") ;;
  esac
}

check_resources() {
  local memory disk folder=/var/lib
  memory=$(awk '/^MemTotal:/ { print int($2 / 1024) }' "$MEMINFO")
  [ "$memory" -ge "$MIN_MEMORY_MB" ] ||
    PROBLEMS+=("$memory MB of memory; $MIN_MEMORY_MB MB are needed")
  disk=$(df -Pm "$folder" | awk 'NR == 2 { print $4 }')
  [ "$disk" -ge "$MIN_DISK_MB" ] ||
    PROBLEMS+=("$disk MB free under $folder; $MIN_DISK_MB MB are needed")
}

# Ports that an earlier installation of ours holds are as good as free.
check_ports() {
  local port holder
  for port in 80 443; do
    holder=$(port_holder "$port")
    [ -z "$holder" ] || ours_holds "$port" ||
      PROBLEMS+=("port $port is taken by $holder: stop it first")
  done
}

port_holder() {
  local hex inode pid
  hex=$(printf ':%04X' "$1")
  inode=$(awk -v port="$hex" '$4 == "0A" && substr($2, length($2) - 4) == port { print $10; exit }' \
    /proc/net/tcp /proc/net/tcp6 2>/dev/null)
  [ -n "$inode" ] || return 0
  for pid in /proc/[0-9]*; do
    if find "$pid/fd" -lname "socket:\[$inode\]" -print -quit 2>/dev/null | grep -q .; then
      echo "$(cat "$pid/comm") (pid ${pid#/proc/})"
      return 0
    fi
  done
  echo "an unknown program"
}

ours_holds() {
  local ids
  command -v docker >/dev/null || return 1
  # Over IPv6 the second one listens in the host's network.
  ids=$({
    docker ps --filter label=io.holdfast.project --filter "publish=$1" --format '{{.ID}}'
    docker ps --filter label=io.holdfast.project --filter label=com.docker.compose.service=nginx-ipv6 --format '{{.ID}}'
  } 2>/dev/null) || return 1
  [ -n "$ids" ]
}

# A clock far off breaks certificates, signatures of S3 requests and retention.
check_clock() {
  local now newest
  now=$(date +%s)
  newest=$(stat -c %Y /var/lib/dpkg/status 2>/dev/null || echo 0)
  [ "$now" -ge "$newest" ] ||
    PROBLEMS+=("the clock says $(date -u '+%F %R') UTC, before the last change to this system: set it first")
  [ "$now" -ge 1760000000 ] ||
    PROBLEMS+=("the clock says $(date -u '+%F %R') UTC, years ago: set it first")
}

check_domain() {
  local domain addresses own address
  domain=$(sed -n 's/^domain:[[:space:]]*["'\'']\{0,1\}\([^"'\'' #]*\).*/\1/p' "$1" | head -n 1)
  case $domain in '' | localhost | *.localhost) return 0 ;; esac
  addresses=$(getent ahosts "$domain" 2>/dev/null | awk '!seen[$1]++ { print $1 }') || true
  if [ -z "$addresses" ]; then
    WARNINGS+=("$domain does not resolve yet: point its A record at this machine before anybody visits it")
    return 0
  fi
  own=" $(hostname -I 2>/dev/null || true) "
  for address in $addresses; do
    case $own in *" $address "*) return 0 ;; esac
  done
  # Behind a proxy, or where the provider translates addresses, that is as it should be.
  WARNINGS+=("$domain leads to ${addresses//$'\n'/, }, which is no address of this machine: look at its A record, unless a proxy or NAT stands between")
}

# `apply` refuses another project than the one that runs; by then its config would be the one in place.
check_project() {
  local applied wanted
  [ -f "$APPLIED" ] && command -v holdfast >/dev/null || return 0
  applied=$(project_in <"$APPLIED")
  # What is wrong with a config is for `apply` to say.
  wanted=$({ holdfast check --json "$1" || true; } | project_in)
  [ -z "$applied" ] || [ -z "$wanted" ] || [ "$applied" = "$wanted" ] ||
    PROBLEMS+=("this server runs the project $applied, and $1 is of the project $wanted, which would begin without its data: write \`project: $applied\` into it, or run \`holdfast uninstall\` first")
}

project_in() {
  sed -n 's/^[^}]*"project": *"\([^"]*\)".*/\1/p' | head -n 1
}

missing_packages() {
  local package
  for package in age ca-certificates curl mmdebstrap nftables nodejs npm; do
    case $package in
      nodejs) command -v node >/dev/null && continue ;;
      npm | age | curl | mmdebstrap) command -v "$package" >/dev/null && continue ;;
      *) dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' && continue ;;
    esac
    echo "$package"
  done
}
