# shellcheck shell=bash
# Puts the program and the first config in place. Sourced.
#
#   program_version ROOT            version of a source tree
#   program_install ROOT            /opt/holdfast/releases/<id>, then the link `current` in one step
#                                   sets PROGRAM_REPLACED when another release was in use
#   config_install ROOT [CONFIG]    /etc/holdfast/config.yaml, never over one that is there
#   service_to_show                 name of a service that runs, of the user's own if there is one

PROGRAM_HOME=/opt/holdfast

# shellcheck source-path=SCRIPTDIR source=node.sh
. "$(dirname "${BASH_SOURCE[0]}")/node.sh"

program_version() {
  sed -n 's/^ *"version": *"\([^"]*\)".*/\1/p' "$1/package.json" | head -n 1
}

# The same sources have the same id: installing them again reuses the release.
program_id() {
  local digest
  digest=$(cd "$1" && find package.json package-lock.json config.example.yaml installer agent compose templates nginx images scripts examples/demo \
    -type f -not -path '*/node_modules/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)
  echo "$(program_version "$1")-${digest:0:12}"
}

program_install() {
  local root=$1 id release building previous
  id=$(program_id "$root")
  release=$PROGRAM_HOME/releases/$id
  previous=$(readlink "$PROGRAM_HOME/current" 2>/dev/null || true)
  if [ ! -d "$release" ]; then
    mkdir -p "$PROGRAM_HOME/releases"
    rm -rf "$PROGRAM_HOME/releases"/.building-*
    building=$PROGRAM_HOME/releases/.building-$$
    mkdir "$building"
    cp -R "$root/package.json" "$root/package-lock.json" "$root/.npmrc" "$root/config.example.yaml" "$root/installer" "$root/agent" \
      "$root/compose" "$root/templates" "$root/nginx" "$root/images" "$root/scripts" "$building/"
    # Modes go into the images and their names: the same sources shall give the same ones everywhere.
    chmod -R u=rwX,go=rX "$building"
    (
      cd "$building" || exit 1
      npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error
      node_link .
      ./node_modules/.bin/node --disable-warning=ExperimentalWarning scripts/dev/build.ts
    )
    sync -f "$building"
    mv -T "$building" "$release"
  fi
  PROGRAM_REPLACED=
  [ -z "$previous" ] || [ "$previous" = "$release" ] || PROGRAM_REPLACED=yes
  export PROGRAM_REPLACED
  ln -sfn "$release" "$PROGRAM_HOME/.current-$$"
  mv -fT "$PROGRAM_HOME/.current-$$" "$PROGRAM_HOME/current"
  write_launcher
  program_prune "$release" "$previous"
}

write_launcher() {
  local beside=/usr/local/bin/.holdfast-$$
  cat >"$beside" <<'LAUNCHER'
#!/bin/sh
exec /opt/holdfast/current/node_modules/.bin/node /opt/holdfast/current/dist/installer/cli/main.js "$@"
LAUNCHER
  chmod 0755 "$beside"
  mv -f "$beside" /usr/local/bin/holdfast
}

# Keeps the release in use and the one before it.
program_prune() {
  local keep=$1 previous=$2 release
  for release in "$PROGRAM_HOME/releases"/*/; do
    release=${release%/}
    [ "$release" = "$keep" ] || [ "$release" = "$previous" ] || rm -rf "$release"
  done
}

config_install() {
  local root=$1 given=${2:-} target=/etc/holdfast/config.yaml
  mkdir -p /etc/holdfast
  if [ -n "$given" ]; then
    given=$(readlink -f "$given")
    [ "$given" != "$(readlink -f "$target")" ] || return 0
    if [ -e "$target" ] && [ ! -L "$target" ]; then
      mv "$target" "$target.before-$(date -u +%Y%m%dT%H%M%SZ)"
    fi
    ln -sfn "$given" "$target"
  elif [ ! -e "$target" ]; then
    mkdir -p /etc/holdfast/examples
    [ -d /etc/holdfast/examples/demo ] || cp -R "$root/examples/demo" /etc/holdfast/examples/demo
    # Modes go into the image, whose user is not root.
    chmod -R u=rwX,go=rX /etc/holdfast/examples
    cp "$root/config.example.yaml" "$target.new"
    mv "$target.new" "$target"
  fi
}

service_to_show() {
  # Status tells by its exit code that something is unwell; which services there are it tells all the same.
  { holdfast status --json 2>/dev/null || true; } | "$PROGRAM_HOME/current/node_modules/.bin/node" -e '
    const { services = [] } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
    const own = services.find(({ watched }) => watched !== undefined) ?? services[0];
    console.log(own?.service ?? "nginx");
  ' 2>/dev/null || echo nginx
}
