#!/bin/bash
# Starts PostgreSQL as the official image does: same variables, same paths, same
# init directory. What differs: a new cluster is built in a directory of its own
# inside the volume and moved into place at the end, PG_VERSION last, so that a
# kill at any moment leaves either nothing or a complete cluster.
set -euo pipefail
shopt -s nullglob

sockets=/var/run/postgresql

say() { echo "postgres: $*" >&2; }
die() {
  say "$*"
  exit 1
}

# file_env NAME [DEFAULT]: takes NAME from the environment or from the file that
# NAME_FILE names, never both.
file_env() {
  local name=$1 file="${1}_FILE" value=${2:-}
  if [ -n "${!name:-}" ] && [ -n "${!file:-}" ]; then
    die "both $name and $file are set; use one"
  fi
  if [ -n "${!name:-}" ]; then
    value=${!name}
  elif [ -n "${!file:-}" ]; then
    [ -r "${!file}" ] || die "$file names ${!file}, which uid $(id -u) cannot read"
    value=$(<"${!file}")
  fi
  export "$name"="$value"
  unset "$file"
}

load_settings() {
  file_env POSTGRES_PASSWORD
  file_env POSTGRES_USER postgres
  file_env POSTGRES_DB "$POSTGRES_USER"
  file_env POSTGRES_INITDB_ARGS
  : "${POSTGRES_HOST_AUTH_METHOD:=scram-sha-256}"
}

# A named volume starts with the image's owner; only bind mounts need this. The
# top comes last: interrupted, it is done again.
own() {
  local dir=$1
  mkdir -p "$dir"
  [ "$(stat -c %U "$dir")" = postgres ] || find "$dir" -depth -exec chown postgres:postgres {} +
}

# Stays one step before a cluster until the last rename. While PG_VERSION is
# missing, the presence of .initialising says that all here is our own debris.
build_cluster() {
  local data=$PGDATA stage=$PGDATA/.initialising entry
  if [ -d "$stage" ]; then
    say "the last initialisation was cut short: starting over"
    find "$data" -mindepth 1 -maxdepth 1 ! -name lost+found ! -name .initialising -exec rm -rf {} +
    [ -z "${POSTGRES_INITDB_WALDIR:-}" ] || find "$POSTGRES_INITDB_WALDIR" -mindepth 1 -delete
    rm -rf "$stage"
  fi
  entry=$(find "$data" -mindepth 1 -maxdepth 1 ! -name lost+found -print -quit)
  [ -z "$entry" ] || die "$data is not empty (${entry##*/}) and holds no cluster: not touching it"

  mkdir -m 0700 "$stage"
  sync -f "$data"
  # Init scripts write to $PGDATA: for now that is the stage.
  export PGDATA=$stage
  run_initdb
  run_init_scripts
  export PGDATA=$data

  find "$stage" -mindepth 1 -maxdepth 1 ! -name PG_VERSION -exec mv -t "$data" {} +
  sync -f "$data"
  mv "$stage/PG_VERSION" "$data/"
  sync -f "$data"
  say "the new cluster is ready"
}

run_initdb() {
  local args=(--username="$POSTGRES_USER" --pgdata="$PGDATA" --auth-local=trust --auth-host="$POSTGRES_HOST_AUTH_METHOD")
  [ -z "${POSTGRES_INITDB_WALDIR:-}" ] || args+=(--waldir="$POSTGRES_INITDB_WALDIR")
  # The variable is a command line by contract: words and quotes as in a shell.
  eval "args+=($POSTGRES_INITDB_ARGS)"
  if [ -n "$POSTGRES_PASSWORD" ]; then
    initdb "${args[@]}" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD")
  elif [ "$POSTGRES_HOST_AUTH_METHOD" = trust ]; then
    initdb "${args[@]}"
  else
    die "the data directory is empty and there is no superuser password:
  set POSTGRES_PASSWORD_FILE (or POSTGRES_PASSWORD)"
  fi
  printf '\nhost all all all %s\n' "$POSTGRES_HOST_AUTH_METHOD" >>"$PGDATA/pg_hba.conf"
}

# Runs the init directory against a server that listens on its socket only.
run_init_scripts() {
  local file files=(/docker-entrypoint-initdb.d/*)
  if [ "$POSTGRES_DB" = postgres ] && [ ${#files[@]} = 0 ]; then return; fi
  pg_ctl -w -t 120 -s -o "-c listen_addresses='' -c unix_socket_directories='$sockets' -p 5432" start
  if [ "$POSTGRES_DB" != postgres ]; then
    psql -X -q -v ON_ERROR_STOP=1 -h "$sockets" -U "$POSTGRES_USER" -d postgres -v name="$POSTGRES_DB" \
      <<<'CREATE DATABASE :"name";'
  fi
  for file in "${files[@]}"; do
    say "running $file"
    case $file in
      *.sh)
        # shellcheck source=/dev/null
        if [ -x "$file" ]; then "$file"; else . "$file"; fi
        ;;
      *.sql) init_sql <"$file" ;;
      *.sql.gz) gunzip -c "$file" | init_sql ;;
      *.sql.xz) xz -dc "$file" | init_sql ;;
      *.sql.zst) zstd -dc "$file" | init_sql ;;
      *) say "ignoring $file" ;;
    esac
  done
  pg_ctl -m fast -w -s stop
}

init_sql() {
  psql -X -v ON_ERROR_STOP=1 --no-password -h "$sockets" -U "$POSTGRES_USER" -d "$POSTGRES_DB"
}

# True for `postgres` with options that start a server, false for `postgres --help`.
starts_server() {
  [ "${1:-}" = postgres ] || return 1
  local arg
  for arg in "${@:2}"; do
    case $arg in -'?' | --help | --describe-config | -V | --version | -C) return 1 ;; esac
  done
}

if [ "${1:0:1}" = - ]; then set -- postgres "$@"; fi

if starts_server "$@"; then
  if [ "$(id -u)" = 0 ]; then
    # Secrets that only root can read are read before root is given up. A root
    # without capabilities cannot see into PGDATA: then it reads them in vain.
    if [ ! -s "$PGDATA/PG_VERSION" ]; then load_settings; fi
    own "$PGDATA"
    [ -z "${POSTGRES_INITDB_WALDIR:-}" ] || own "$POSTGRES_INITDB_WALDIR"
    chown postgres:postgres "$sockets" 2>/dev/null || true
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
  fi
  mkdir -p "$PGDATA"
  chmod 0700 "$PGDATA" 2>/dev/null || true
  if [ ! -s "$PGDATA/PG_VERSION" ]; then
    load_settings
    build_cluster
  fi
  rm -rf "$PGDATA/.initialising"
  unset "${!POSTGRES_@}"
fi

exec "$@"
