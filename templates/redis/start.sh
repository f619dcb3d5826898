#!/bin/sh
# Redis reads its data from the AOF or from the dump, as its configuration says, and starts empty where only the
# other is there. After another `persistence` the data is brought from the one to the other first. May be killed
# anywhere: what it reads from goes last. Where both are there the newer one counts, and the other is kept.
set -eu
# Dumps hold the data: nobody but the server reads them.
umask 0077
conf=/etc/redis/redis.conf
cd /data

# For somebody to look at and to remove.
keep() {
  kept=$1.of-$(date -u -r "$1" +%Y%m%dT%H%M%SZ)
  while [ -e "$kept" ]; do kept=$kept+; done
  "$2" "$1" "$kept"
  echo "$1 is older than what is read, and kept as $kept" >&2
}

# Whether the dump holds all of the AOF, such as one that a restore laid down and nothing has written to since. By the
# time at which the dump was begun: the AOF goes on beside it, and the server counts in seconds.
dump_is_newer() {
  [ -f dump.rdb ] || return 1
  written=0
  for file in appendonlydir/*; do
    at=$(date -r "$file" +%s) || continue
    [ "$at" -le "$written" ] || written=$at
  done
  [ "$(date -r dump.rdb +%s)" -gt "$written" ] || return 1
  checked=$(redis-check-rdb dump.rdb) || return 1
  begun=$(echo "$checked" | sed -n "s/.*AUX FIELD ctime = '\([0-9]*\)'.*/\1/p")
  [ "${begun:-0}" -gt $((written + 60)) ]
}

# The dump becomes the base of a new AOF.
dump_to_aof() {
  rm -rf aof.new
  mkdir aof.new
  ln dump.rdb aof.new/appendonly.aof.1.base.rdb
  echo "file appendonly.aof.1.base.rdb seq 1 type b" >aof.new/appendonly.aof.manifest
  sync aof.new/*
  mv aof.new appendonlydir
}

# A server that nobody reaches loads the AOF and saves it.
aof_to_dump() {
  if [ -f dump.rdb ]; then keep dump.rdb ln; fi
  socket=/data/converting.sock
  redis-server --dir /data --port 0 --unixsocket "$socket" --appendonly yes --save '' &
  server=$!
  # While it loads it says so.
  until [ "$(redis-cli -s "$socket" ping 2>/dev/null)" = PONG ]; do
    kill -0 "$server"
    sleep 0.2
  done
  redis-cli -e -s "$socket" save
  redis-cli -s "$socket" shutdown nosave
  wait "$server"
  rm -rf aof.old
  # Half an AOF would be read as an empty one.
  mv appendonlydir aof.old
}

append_only=$(sed -n 's/^appendonly //p' "$conf")
# Of the last start; none of an older version, under which an old AOF may lie beside the dump that was read.
before=$(cat persistence 2>/dev/null) || before=
case $append_only in
  yes)
    if [ "$before" != yes ] && [ -e appendonlydir ] && dump_is_newer; then keep appendonlydir mv; fi
    if [ -f dump.rdb ] && [ ! -e appendonlydir ]; then dump_to_aof; fi
    ;;
  *)
    if [ -e appendonlydir ]; then
      if dump_is_newer; then keep appendonlydir mv; else aof_to_dump; fi
    fi
    ;;
esac
echo "$append_only" >persistence
rm -rf aof.new aof.old
exec redis-server "$conf"
