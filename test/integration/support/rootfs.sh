# shellcheck shell=bash
# Test images that are a whole Debian root file system. Sourced, never run.
#
#   rootfs_image NAME SUITE FILES PACKAGES [CHANGE…]
#
# makes the image holdfast-test/NAME:SUITE-<hash> of SUITE with PACKAGES (words)
# and the tree FILES on top, configured by the Dockerfile instructions CHANGE, and
# prints its reference. The root file system is kept in $HOLDFAST_TEST_CACHE, so
# that another engine, or this one after a clean-up, has it at once.

# shellcheck source-path=SCRIPTDIR source=../../../images/lib/debian.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../../images/lib/debian.sh"

HOLDFAST_TEST_CACHE=${HOLDFAST_TEST_CACHE:-/var/cache/holdfast-test}

rootfs_image() {
  local name=$1 suite=$2 files=$3 packages=$4 hash reference tar change changes=()
  shift 4
  for change in 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    'LABEL io.holdfast.test=1' "$@"; do
    changes+=(--change "$change")
  done
  hash=$({
    declare -f rootfs_make
    printf '%s\n' "$suite" "$packages"
    debian_sources "$suite"
    cd "$files" && find . -type f -printf '%m %p\n' -exec cat {} +
  } | sha256sum)
  hash=${hash:0:12}
  reference=$(printf '%s\n' "$hash" "$@" | sha256sum)
  reference=holdfast-test/$name:$suite-${reference:0:12}
  tar=$HOLDFAST_TEST_CACHE/$name-$suite-$hash.tar
  if ! docker image inspect "$reference" >/dev/null 2>&1; then
    mkdir -p "$HOLDFAST_TEST_CACHE"
    # Two tests that want the same image wait for each other.
    exec 9>"$HOLDFAST_TEST_CACHE/$name-$suite.lock"
    flock 9
    [ -e "$tar" ] || rootfs_make "$suite" "$files" "$packages" "$tar"
    docker import "${changes[@]}" "$tar" "$reference" >/dev/null
    exec 9>&-
  fi
  printf '%s\n' "$reference"
}

rootfs_make() {
  local suite=$1 files=$2 packages=$3 tar=$4 work ca options=()
  if ! command -v mmdebstrap >/dev/null; then
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mmdebstrap >&2
  fi
  work=$(mktemp -d)
  debian_sources "$suite" >"$work/debian.sources"
  debian_apt_settings >"$work/apt.conf"
  ca=$(debian_apt_ca)
  if [ -n "$ca" ]; then
    printf 'Acquire::https::CaInfo "%s";\n' "$ca" >>"$work/apt.conf"
    options+=(--setup-hook="mkdir -p \"\$1$(dirname "$ca")\"" --customize-hook="upload $ca $ca")
  fi
  (cd "$files" && tar --owner=0 --group=0 -cf "$work/files.tar" -- *)
  mmdebstrap --quiet --variant=minbase --include="${packages// /,}" --aptopt="$work/apt.conf" \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    "${options[@]}" --customize-hook="tar-in $work/files.tar /" \
    --customize-hook="rm -f \"\$1\"/etc/apt/sources.list \"\$1\"/etc/apt/sources.list.d/* && rm -rf \"\$1\"/var/lib/apt/lists/*_*" \
    --customize-hook="upload $work/debian.sources /etc/apt/sources.list.d/debian.sources" \
    "$suite" "$work/root.tar" "$work/debian.sources" >&2
  mv "$work/root.tar" "$tar"
  rm -rf "$work"
}
