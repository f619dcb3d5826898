#!/bin/bash
# build.sh: makes the image of pgBackRest (from Debian) and prints its reference.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../../test/integration/support/rootfs.sh
. "$here/../../test/integration/support/rootfs.sh"

rootfs_image pgbackrest trixie "$here/files" 'pgbackrest' 'CMD ["sleep", "infinity"]'
