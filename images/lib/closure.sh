# shellcheck shell=bash
# Asks apt what would be installed on an empty system, without touching the
# machine's own apt: sources, lists and caches stand in a directory of our own.
# Sourced, never run. Needs debian.sh.

CLOSURE_HOME=${HOLDFAST_APT_CACHE:-/var/cache/holdfast/apt}

# closure_open SUITE: prepares the directory; CLOSURE_SETUP is then the archive
# that gives a build the same view of the mirror. Until the caller ends, nobody else
# gets past this: the agent may look for updates while a person plans.
closure_open() {
  local suite=$1 dir=$CLOSURE_HOME/$1 keyring ca lock
  install -d -m 0755 "$CLOSURE_HOME"
  exec {lock}<"$CLOSURE_HOME"
  flock "$lock"
  install -d -m 0755 "$dir/lists/partial" "$dir/archives/partial" "$dir/setup/sources" "$dir/setup/auth.conf.d"
  keyring=$(debian_keyring)
  ca=$(debian_apt_ca)
  install -m 0644 "$keyring" "$dir/setup/mirror${keyring##*/debian-archive-keyring}"
  debian_sources "$suite" "@HOME@/mirror${keyring##*/debian-archive-keyring}" >"$dir/sources.in"
  [ -z "$ca" ] || install -m 0644 "$ca" "$dir/setup/ca.crt"
  find /etc/apt/auth.conf.d -name '*.conf' -exec cp -t "$dir/setup/auth.conf.d" {} + 2>/dev/null || true

  # Inside a build all of it lies in /debs.
  closure_config /debs /debs /var/lib/dpkg/status "$ca" >"$dir/setup/apt.conf"
  sed 's|@HOME@|/debs|' "$dir/sources.in" >"$dir/setup/sources/mirror.sources"
  CLOSURE_SETUP=$dir/setup.tar
  (umask 077 && tar --sort=name --mtime=@0 --owner=0 --group=0 -C "$dir/setup" -cf "$CLOSURE_SETUP" .)

  install -d -m 0755 "$dir/sources"
  sed "s|@HOME@|$dir/setup|" "$dir/sources.in" >"$dir/sources/mirror.sources"
  closure_config "$dir" "$dir/setup" /dev/null "$ca" >"$dir/apt.conf"
  export APT_CONFIG=$dir/apt.conf
}

# closure_config STATE SETUP DPKG_STATUS CA
closure_config() {
  cat <<CONF
Dir::State "$1";
Dir::State::lists "$1/lists";
Dir::State::status "$3";
Dir::State::extended_states "$1/extended_states";
Dir::Cache "$1";
Dir::Cache::archives "$1/archives";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$1/sources";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::netrcparts "$2/auth.conf.d";
Dir::Log "/dev/null";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
CONF
  [ -z "$4" ] || printf 'Acquire::https::CaInfo "%s/ca.crt";\n' "$2"
  debian_apt_settings
}

closure_update() {
  apt-get update -qq
}

# closure_key DIR SUITE: changes when the package lists or the files of DIR do.
closure_key() {
  {
    find "$CLOSURE_HOME/$2/lists" -maxdepth 1 -name '*Release' -print0 | LC_ALL=C sort -z | xargs -0r cat
    (cd "$1" && find . -type f ! -name '*.md' -printf '%m %p\0' | LC_ALL=C sort -z && find . -type f ! -name '*.md' -print0 | LC_ALL=C sort -z | xargs -0r cat)
  } | sha256sum | cut -c1-64
}

# What every Debian system has, and apt.
closure_essential() {
  apt-cache dumpavail | awk '
    BEGIN { RS = ""; FS = "\n" }
    /\nEssential: yes/ || /\nPriority: required/ { split($1, name, " "); if (!seen[name[2]]++) print name[2] }'
  echo apt
}

# closure_of PACKAGE…: "package version" of all that would come, sorted.
closure_of() {
  apt-get install -s "$@" | sed -n 's/^Inst \([^ ]*\) (\([^ ]*\).*/\1 \2/p' | LC_ALL=C sort
}

# 5:8.0.2-3+deb13u3 is upstream's 8.0.2, 2.53.3+ds1-2 is 2.53.3.
closure_upstream() {
  printf '%s\n' "$1" | sed -E 's/^[0-9]+://; s/-[^-]*$//; s/[+~](ds|dfsg|repack).*$//; s/[^A-Za-z0-9._]/_/g'
}

# closure_rootfs DIR IMAGE: the folders of rootfs/ that go into IMAGE, which may
# be those of another one.
closure_rootfs() {
  if [ "$2" = base ]; then
    echo base
  else
    awk -v image="$2" '
      /^FROM / { mine = ($NF == image) }
      mine && sub(/^COPY rootfs\//, "") && sub(/\/.*/, "")' "$1/Dockerfile"
  fi
}

# closure_recipe DIR IMAGE: a hash over the files that make IMAGE and no other,
# so that a change to one image leaves the others as they are.
closure_recipe() {
  local dir=$1 image=$2
  {
    if [ "$image" = base ]; then
      cat "$dir/base.sh"
    else
      cat "$dir/build/install"
      awk -v image="$image" '
        /^FROM / { mine = ($NF == image) }
        mine && !/^#/' "$dir/Dockerfile"
    fi
    for folder in $(closure_rootfs "$dir" "$image"); do
      (cd "$dir/rootfs/$folder" && find . -type f -printf '%m %p\n' | LC_ALL=C sort &&
        find . -type f -print0 | LC_ALL=C sort -z | xargs -0r cat)
    done
  } | sha256sum | cut -c1-64
}

# closure_json IMAGE REFERENCE VERSION RECIPE INSTALL PACKAGES_FILE: one entry of
# "images". Names and versions of Debian packages need no escaping.
closure_json() {
  printf '{"name":"%s","reference":"%s","version":"%s","recipe":"%s","install":"%s","packages":{' "${@:1:5}"
  awk '{ printf "%s\"%s\":\"%s\"", n++ ? "," : "", $1, $2 }' "$6"
  printf '}}'
}
