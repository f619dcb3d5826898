#!/bin/bash
# resolve.sh [--offline] [--suite SUITE]: says, as one JSON document, what each
# image would be made of if it were built now: reference, version, packages. Needs
# no engine and changes nothing but its cache; the answer is the same until Debian
# or one of the files here changes. README.md shows how it is used.
#
#   --offline       ask the package lists of the last run, not the mirror
#   --suite SUITE   an older Debian, for what packages.SUITE.txt names
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=lib/debian.sh
. "$here/lib/debian.sh"
# shellcheck source-path=SCRIPTDIR source=lib/closure.sh
. "$here/lib/closure.sh"

suite=trixie
offline=
packages=$here/packages.txt
usage() {
  echo "usage: resolve.sh [--offline] [--suite SUITE]" >&2
  exit 2
}
while [ "$#" -gt 0 ]; do
  case $1 in
    --offline) offline=1 ;;
    --suite)
      suite=${2:-}
      packages=$here/packages.$suite.txt
      [ -r "$packages" ] || usage
      shift
      ;;
    *) usage ;;
  esac
  shift
done

# The same lists and the same files give the same answer: then it is not worked
# out again.
answer=$CLOSURE_HOME/$suite/answer.json
known_answer() {
  key=$(closure_key "$here" "$suite")
  if [ "$(head -n 1 "$answer" 2>/dev/null)" = "$key" ]; then
    tail -n +2 "$answer"
    exit 0
  fi
}

if [ -n "$offline" ]; then
  known_answer
  closure_open "$suite"
else
  closure_open "$suite"
  closure_update
  known_answer
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

base_reference=
base=
json=
separator=
while read -r image names; do
  case $image in '' | '#'*) continue ;; esac
  read -ra wanted <<<"$names"
  if [ "$image" = base ]; then mapfile -t -O ${#wanted[@]} wanted < <(closure_essential); fi
  closure_of "${wanted[@]}" >"$work/$image" || {
    echo "Debian $suite cannot install $names for image $image" >&2
    exit 1
  }

  # Bare base has the version of the distribution's files, others of their first package.
  full=$(awk -v package="${wanted[0]}" '$1 == package { print $2 }' "$work/$image")
  version=$(closure_upstream "$full")
  [ "$image" != base ] || version=$suite
  recipe=$(closure_recipe "$here" "$image")
  content=$({ printf '%s\n' "$recipe" "$base_reference" && cat "$work/$image"; } | sha256sum)
  reference=holdfast/$image:$version-${content:0:12}

  install=$(awk 'NR == FNR { want[$1] = 1; next } $1 in want { printf "%s%s=%s", n++ ? " " : "", $1, $2 }' \
    <(printf '%s\n' "${wanted[@]}") "$work/$image")
  [ "$image" != base ] || install=
  entry=$(closure_json "$image" "$reference" "$version" "$recipe" "$install" "$work/$image")
  if [ "$image" = base ]; then
    base=$entry base_reference=$reference
  else
    json+=$separator$entry
    separator=$',\n'
  fi
done <"$packages"

{
  printf '%s\n' "$key"
  printf '{"suite":"%s","aptSetup":"%s","base":%s,"images":[\n%s\n]}\n' \
    "$suite" "$CLOSURE_SETUP" "$base" "$json"
} >"$work/answer"
cp "$work/answer" "$answer.$$"
mv "$answer.$$" "$answer"
tail -n +2 "$answer"
