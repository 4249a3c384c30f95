#!/bin/sh
# service.sh ROOT MEMBER start|stop|status: a service that is a word in a file; exit 3 when it does not run.
root=$1 member=$2 act=$3
state=$root/state/$member
if [ "$act" = status ]; then
  [ "$(cat "$state")" = running ] || exit 3
  exit 0
fi
. "$root/effect.sh"
strike before
case $act in
start)
  flock --nonblock "$root/migrating" true || echo "$member started while the database was migrated" >>"$root/corrupt"
  echo running >"$state.new"
  ;;
stop) echo stopped >"$state.new" ;;
esac
mv "$state.new" "$state"
strike after
