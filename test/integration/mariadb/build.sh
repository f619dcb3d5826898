#!/bin/bash
# build.sh: makes an image of MariaDB from Debian, as an accessory of somebody would
# be, and prints its reference.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../support/rootfs.sh
. "$here/../support/rootfs.sh"

rootfs_image mariadb trixie "$here/files" 'mariadb-server-core mariadb-client' \
  'VOLUME /var/lib/mysql' 'ENTRYPOINT ["/usr/local/bin/mariadb-node"]'
