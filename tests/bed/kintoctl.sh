#!/bin/sh
# Starts, stops and asks for the one Kinto of this host.  kintoctl start|stop|status
# start: at once, does not wait for an answer on the port; "already running" is a success. stop: TERM, at most 20 s,
# then KILL; "not running" is a success. status: exit 0 running, 3 not running (as init scripts say it).
set -eu
pidfile=/run/kinto.pid
log=/var/log/kinto.log

running() {
  [ -s "$pidfile" ] || return 1
  pid=$(cat "$pidfile")
  # A number may have been given to another process: ours has the ini file among its arguments.
  tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -q 'kinto start --ini /etc/kinto/kinto.ini'
}

case ${1:-} in
start)
  if running; then exit 0; fi
  echo "--- start of $(readlink /opt/kinto/current) at $(date -u +%FT%TZ)" >>"$log"
  setsid sh -c 'echo $$ >"$0"; exec /opt/kinto/current/bin/kinto start --ini /etc/kinto/kinto.ini' "$pidfile" \
    >>"$log" 2>&1 </dev/null &
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    if running; then exit 0; fi
    sleep 0.1
  done
  echo "kinto did not start: see $log" >&2
  exit 1
  ;;
stop)
  running || { rm -f "$pidfile"; exit 0; }
  kill -TERM "$pid"
  tries=0
  while running; do
    tries=$((tries + 1))
    [ "$tries" -lt 200 ] || kill -KILL "$pid"
    sleep 0.1
  done
  rm -f "$pidfile"
  ;;
status)
  if running; then echo "running $pid"; else echo "not running"; exit 3; fi
  ;;
*)
  echo "usage: kintoctl start|stop|status" >&2
  exit 64
  ;;
esac
