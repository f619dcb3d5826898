#!/bin/sh
# Redis reads its data from the AOF or from the dump, as its configuration says, and starts empty where only the
# other is there. After another `persistence` the data is brought from the one to the other first. May be killed
# anywhere: what it reads from goes last.
set -eu
# Dumps hold the data: nobody but the server reads them.
umask 0077
conf=/etc/redis/redis.conf
cd /data

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

case $(sed -n 's/^appendonly //p' "$conf") in
  yes) if [ -f dump.rdb ] && [ ! -e appendonlydir ]; then dump_to_aof; fi ;;
  *) if [ -e appendonlydir ]; then aof_to_dump; fi ;;
esac
rm -rf aof.new aof.old
exec redis-server "$conf"
