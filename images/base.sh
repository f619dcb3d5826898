#!/bin/bash
# base.sh REFERENCE: makes REFERENCE, the Debian root file system under all other
# images, unless the engine has it. REFERENCE is what resolve.sh says.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=lib/debian.sh
. "$here/lib/debian.sh"

reference=${1:?usage: base.sh REFERENCE}
suite=${reference##*:}
suite=${suite%-*}
if docker image inspect "$reference" >/dev/null 2>&1; then exit 0; fi

if ! command -v mmdebstrap >/dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o Dpkg::Use-Pty=0 --no-install-recommends mmdebstrap >&2
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
debian_sources "$suite" >"$work/debian.sources"
debian_apt_settings >"$work/apt.conf"
ca=$(debian_apt_ca)
[ -z "$ca" ] || printf 'Acquire::https::CaInfo "%s";\n' "$ca" >>"$work/apt.conf"

# Whoever owns the folder here, root owns the files there.
tar --owner=0 --group=0 --mode='u=rwX,go=rX' -C "$here/rootfs/base" -cf "$work/files.tar" usr

# Settings of this machine (proxies, certificates) are used, not kept. The drop
# list stays in the image, so that packages installed later leave it out too.
excludes=()
for path in '/usr/share/man/*' '/usr/share/doc/*' '/usr/share/info/*' '/usr/share/locale/*' \
  '/usr/share/lintian/*' '/usr/share/bash-completion/*' '/usr/share/bug/*'; do
  excludes+=(--dpkgopt="path-exclude=$path")
done
excludes+=(--dpkgopt='path-include=/usr/share/doc/*/copyright' --dpkgopt='path-include=/usr/share/locale/locale.alias')

# In its root mode mmdebstrap makes every mount private, in the namespace it finds: the engine could then
# no longer share a mount with a container.
unshare --mount mmdebstrap --quiet --variant=minbase --include=ca-certificates \
  --aptopt="$work/apt.conf" --aptopt='Acquire::Languages "none"' "${excludes[@]}" \
  --customize-hook="tar-in $work/files.tar /" \
  --customize-hook="rm -rf \"\$1\"/etc/apt/apt.conf.d/99mmdebstrap \"\$1\"/etc/apt/sources.list \"\$1\"/var/cache/ldconfig/* \"\$1\"/var/log/apt \"\$1\"/var/log/*.log" \
  --customize-hook="upload $work/debian.sources /etc/apt/sources.list.d/0000debian.sources" \
  "$suite" "$work/base.tar" "$work/debian.sources"

docker import --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
  --change 'ENV LANG=C.UTF-8' --change 'CMD ["bash"]' --change 'LABEL io.holdfast.component=base' \
  --change "LABEL org.opencontainers.image.version=$suite" "$work/base.tar" "$reference" >/dev/null
