#!/bin/bash
# build.sh: makes the image of an S3 server (Ceph's radosgw, from Debian) and
# prints its reference.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../support/rootfs.sh
. "$here/../support/rootfs.sh"

rootfs_image radosgw trixie "$here/files" \
  'ceph-mon ceph-mgr ceph-osd ceph-common radosgw ca-certificates procps' \
  'EXPOSE 7480' 'ENTRYPOINT ["/usr/local/bin/radosgw-node"]'
