#!/usr/bin/env bash
# Process 1 of a host of the bed. It runs inside fresh network, mount, process, hostname and IPC namespaces, gives the
# host its own /etc, /opt, /run, /var/lib and /var/log, and then does nothing but reap. When it dies, everything in the host dies.
#
#   host-init.sh NAME DIRECTORY      DIRECTORY holds etc/ opt/ run/ lib/ log/, made by the bed; "ready" on stdout when done
set -euo pipefail
name=$1 dir=$2

hostname "$name"
mount --bind "$dir/etc" /etc
mount --bind "$dir/opt" /opt
mount --bind "$dir/run" /run
mount --bind "$dir/lib" /var/lib
mount --bind "$dir/log" /var/log

# A new network namespace needs a new sysfs, or /sys/class/net shows the machine's own cards. Control groups hang below
# the old one and are carried across; a machine without them goes on without.
mkdir -p "$dir/cgroup"
mount --rbind /sys/fs/cgroup "$dir/cgroup" || true
mount -t sysfs sysfs /sys
mount --rbind "$dir/cgroup" /sys/fs/cgroup || true

ip link set lo up
echo ready

# bash reaps whatever is re-parented to it while it waits. TERM is ignored: a host ends by losing its power (KILL).
trap : TERM
set +e
while :; do
  sleep infinity &
  wait $!
done
