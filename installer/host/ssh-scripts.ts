/**
 * What file operations are on the other machine: fixed scripts, whose particulars come as arguments and
 * whose content comes through standard input. All of it is in every Debian's essential packages.
 * Messages are kept in English, so that their cause can be told.
 */

/** Exit code for a path where nothing is. */
export const ABSENT = 44;

/** Exit code for content that came short, because the connection broke. */
export const CUT_SHORT = 45;

const START = 'export LC_ALL=C; set -eu; umask 077';

/** Makes the missing ones of the folders that are its arguments, each below the one before. */
const ENSURE_FOLDERS = `
parent=/
for folder in "$@"; do
  if [ ! -d "$folder" ]; then
    mkdir -m 0755 -- "$folder" || [ -d "$folder" ]
    sync -- "$parent"
  fi
  parent=$folder
done`;

/** $1 path */
export const READ = `${START}
[ -e "$1" ] || exit ${ABSENT}
exec cat -- "$1"`;

/** $1 path; prints the mode in hex, uid, gid, bytes */
export const STAT = `${START}
[ -e "$1" ] || [ -L "$1" ] || exit ${ABSENT}
exec stat -c '%f %u %g %s' -- "$1"`;

/** $1 path; prints names, each ended by a NUL */
export const LIST = `${START}
[ -d "$1" ] || exit ${ABSENT}
exec find "$1/" -mindepth 1 -maxdepth 1 -printf '%f\\0'`;

/** $1 path, $2 its temporary sibling, $3 find pattern of leftovers, $4 their least age in minutes, $5 mode, $6 uid:gid, $7 bytes; then the folders above */
export const WRITE = `${START}
path=$1 temporary=$2 leftovers=$3 age=$4 mode=$5 owner=$6 bytes=$7
shift 7
${ENSURE_FOLDERS}
find "$parent/" -maxdepth 1 -type f -name "$leftovers" -mmin "+$age" -delete || true
trap 'rm -f -- "$temporary"' EXIT
set -C
: > "$temporary"
set +C
chown -- "$owner" "$temporary"
chmod -- "$mode" "$temporary"
cat >> "$temporary"
[ "$(stat -c %s -- "$temporary")" = "$bytes" ] || exit ${CUT_SHORT}
sync -- "$temporary"
mv -fT -- "$temporary" "$path"
trap - EXIT
sync -- "$parent"`;

/** $1 path, $2 mode, $3 uid:gid; then the folders above */
export const MAKE_DIRECTORY = `${START}
path=$1 mode=$2 owner=$3
shift 3
${ENSURE_FOLDERS}
if [ ! -d "$path" ]; then
  mkdir -m "$mode" -- "$path" || [ -d "$path" ]
  sync -- "$parent"
fi
chown -- "$owner" "$path"
chmod -- "$mode" "$path"
sync -- "$path"`;

/** $1 path, $2 its folder, $3 whether whole folders go: yes or no */
export const REMOVE = `${START}
if [ "$3" = yes ]; then
  rm -rf -- "$1"
elif [ -d "$1" ] && [ ! -L "$1" ]; then
  echo 'Is a directory' >&2
  exit 1
else
  rm -f -- "$1"
fi
[ ! -d "$2" ] || sync -- "$2"`;
