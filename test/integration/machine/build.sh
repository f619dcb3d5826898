#!/bin/bash
# build.sh bookworm|trixie: makes the image of a bare Debian server, with systemd
# and sshd and nothing else of note, and prints its reference.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../support/rootfs.sh
. "$here/../support/rootfs.sh"

rootfs_image machine "${1:?usage: build.sh bookworm|trixie}" "$here/files" \
  'systemd systemd-sysv dbus openssh-server sudo ca-certificates iproute2 procps netbase curl kmod nftables' \
  'ENV container=docker' 'ENTRYPOINT ["/usr/local/sbin/machine-init"]'
