# shellcheck shell=bash
# Where this machine gets its Debian packages from, so that everything we add
# or build uses the same mirror, keyring and proxy. Sourced, never run.

# shellcheck source-path=SCRIPTDIR source=apt.sh
. "$(dirname "${BASH_SOURCE[0]}")/apt.sh"

# debian_codename: bookworm, trixie …
debian_codename() {
  # shellcheck source=/dev/null
  (. /etc/os-release && printf '%s\n' "${VERSION_CODENAME:-unknown}")
}

# Debian's own archives among this machine's, one "URI codename" a line. apt
# itself reads the sources, so one-line and deb822 files both count, and it knows
# from the signed Release file what "stable" means and who made the archive.
debian_archives() {
  # shellcheck disable=SC2016  # apt fills these in, not the shell
  apt-get indextargets 'Created-By: Packages' --format '$(ORIGIN) $(COMPONENT) $(CODENAME) $(REPO_URI)' |
    awk '$1 == "Debian" && $2 == "main" && $4 !~ /^cdrom:/ { print $4, $3 }'
}

# debian_uri ARCHIVES CODENAME: the first URI that has CODENAME.
debian_uri() {
  local uri
  uri=$(awk -v codename="$2" '$2 == codename { uris[n++] = $1 } END { print uris[0] }' <<<"$1")
  # Cloud images name a file that lists mirrors: the first of them will do.
  case $uri in
    mirror+file:*)
      uri=$(sed -nE 's/^[[:space:]]*([a-z]+:[^[:space:]]+).*/\1/p' "/${uri#mirror+file:/}" | head -n 1)
      ;;
  esac
  [ -n "$uri" ] || return 1
  printf '%s\n' "${uri%/}"
}

# The keyring that signs the machine's main archive.
debian_keyring() {
  local found
  found=$(
    {
      find /etc/apt/sources.list.d -name '*.sources' -exec \
        awk 'tolower($1) == "signed-by:" && $2 ~ /^\// { print $2 }' {} + 2>/dev/null
      find /etc/apt/sources.list /etc/apt/sources.list.d -name '*.list' -exec \
        sed -n 's/^deb .*signed-by=\(\/[^], ]*\).*/\1/p' {} + 2>/dev/null
    } | grep -m1 debian-archive || true
  )
  printf '%s\n' "${found:-/usr/share/keyrings/debian-archive-keyring.gpg}"
}

# debian_sources SUITE [KEYRING]: a deb822 file for SUITE from the same mirrors.
# A machine without a security archive of its own gets none here either.
debian_sources() {
  local suite=$1 keyring=${2:-$(debian_keyring)} codename archives main security
  codename=$(debian_codename)
  archives=$(debian_archives)
  if [ -z "$archives" ]; then
    apt_get update -qq >&2
    archives=$(debian_archives)
  fi
  main=$(debian_uri "$archives" "$codename") || {
    echo "no archive in /etc/apt has Debian $codename (main): which mirror to use is not known" >&2
    return 1
  }
  printf 'Types: deb\nURIs: %s\nSuites: %s %s-updates\nComponents: main\nSigned-By: %s\n' \
    "$main" "$suite" "$suite" "$keyring"
  security=$(debian_uri "$archives" "$codename-security") || return 0
  printf '\nTypes: deb\nURIs: %s\nSuites: %s-security\nComponents: main\nSigned-By: %s\n' \
    "$security" "$suite" "$keyring"
}

# The apt settings that decide whether a mirror can be reached at all: proxies,
# time-outs, and the date checks that a frozen mirror needs switched off.
debian_apt_settings() {
  local scheme proxy
  apt-config dump | grep -E '^Acquire::((http|https|ftp)::(Proxy|Timeout|No-Cache)|Check-Valid-Until|Check-Date|Retries|ForceIPv[46])( |::)' |
    grep -v '::Proxy-Auto-Detect' || true
  for scheme in http https; do
    apt-config dump | grep -q "^Acquire::$scheme::Proxy " && continue
    proxy=${scheme}_proxy
    if [ -n "${!proxy:-}" ]; then
      printf 'Acquire::%s::Proxy "%s";\n' "$scheme" "${!proxy}"
    fi
  done
}

# The certificate bundle that apt trusts for https mirrors on this machine, if
# it is not simply the system's.
debian_apt_ca() {
  local bundle
  bundle=$(apt-config dump --format '%v%n' Acquire::https::CaInfo 2>/dev/null || true)
  if [ -z "$bundle" ] && compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null; then
    bundle=/etc/ssl/certs/ca-certificates.crt
  fi
  [ -z "$bundle" ] || [ ! -r "$bundle" ] || printf '%s\n' "$bundle"
}
